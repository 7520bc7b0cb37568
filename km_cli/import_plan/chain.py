"""The digests of the calls of an import, in their order, which an interrupted import can take up again.

Each call has a digest: SHA-256 of its site, its path (e, s or a), identity, event, second, and of the names
and values of its properties in their order, as a tracker decodes them, joined by NUL, which none of them can
have. An alias has the other identity as its event, and neither second nor properties. A row's digests are
added to those of its *block*: block = SHA-256(block, calls of the row). A block has a thousand rows that send
calls, all of one input, so that two plans name the first thousand rows that differ. `all` is a chain over the
blocks. The state of both is 32 bytes each, which the ledger notes with the run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import NamedTuple

from km_cli.model import Alias, Properties, Record, RowPlan, Wired

ROWS_IN_BLOCK = 1000
"""Rows that send calls. A plan of a million rows has a thousand blocks."""

MARK = 16
"""Bytes that a row's state of the block is known by, when a run is compared with its rehearsal."""

_SHOWN = 16
"""Hexadecimal digits of a digest that only says where to look."""

_NONE = bytes(32)
_MODULUS = 1 << 256


class Block(NamedTuple):
    """Up to a thousand rows of one input that send calls; `first` and `last` are the lines of the outer two.

    `digest` is that of their calls, and `bytes` that of all lines up to the last of these rows. Both are
    shortened to 64 bits: they say where to look, and the chain over the blocks says that all is equal.
    """

    source: str
    first: int
    last: int
    rows: int
    calls: int
    digest: str
    bytes: str


class Position(NamedTuple):
    """How far an import got: the chains over the whole blocks and within the present block, and the counts.

    `rows` are those that sent calls, `in_block` those of them in the present block, `source` is its input.
    `taken` are all rows but those outside of the selection, as --limit counts them.
    """

    all: bytes = _NONE
    block: bytes = _NONE
    in_block: int = 0
    rows: int = 0
    calls: int = 0
    taken: int = 0
    source: str = ""

    def noted(self) -> dict[str, str | int]:
        """Return it as the ledger notes it with the run."""
        return {**self._asdict(), "all": self.all.hex(), "block": self.block.hex()}

    @classmethod
    def from_noted(cls, noted: Mapping[str, object]) -> Position:
        """Return the position that a run noted. Raises KeyError, TypeError, ValueError if it is damaged."""
        found = {name: noted[name] for name in cls._fields}
        found.update({name: bytes.fromhex(str(noted[name])) for name in ("all", "block")})
        return cls(**found)  # type: ignore[arg-type]

    @property
    def whole(self) -> bytes:
        """The chain over all blocks, the present one among them."""
        return sha256(self.all + self.block).digest() if self.in_block else self.all


START = Position()


class CallChain:
    """Takes the plans of rows in order. `sums` are by site; `blocks` are those that are finished."""

    def __init__(self, at: Position = START) -> None:
        self._all, self._block, self._in_block, self._rows, self._made, self._taken, self._source = at
        self._properties: Properties = ()
        self._pairs = ""
        self._calls = self._first = self._last = 0
        self._lines = sha256()
        self.sums: defaultdict[str, int] = defaultdict(int)
        self.blocks: list[Block] = []

    @property
    def position(self) -> Position:
        """How far it got."""
        at = (self._all, self._block, self._in_block, self._rows, self._made, self._taken, self._source)
        return Position._make(at)

    def take(self, plans: Iterable[RowPlan]) -> bytes:
        """Add the calls of rows; return the marks of those rows that send any."""
        marks, digest_of = [], self._digest
        for plan in plans:
            row, planned = plan.row, plan.planned
            if planned:
                if self._in_block and (self._in_block >= ROWS_IN_BLOCK or self._source != row.source):
                    self._close()
                digests = [
                    digest_of(one.site, call, one.taken)
                    for one, call in zip(planned, plan.calls, strict=True)
                ]
                self._block = block = sha256(self._block + b"".join(digests)).digest()
                marks.append(block[:MARK])
                self._source = row.source
                self._first, self._last = self._first or row.line, row.line
                self._in_block += 1
                self._rows += 1
                self._calls += len(digests)
            self._lines.update(row.raw)
        return b"".join(marks)

    def count(self, taken: int) -> None:
        """Count rows that --limit counts."""
        self._taken += taken

    def finish(self) -> None:
        """Close the last block."""
        if self._in_block:
            self._close()

    def _digest(self, site: str, call: Wired, second: int) -> bytes:
        if isinstance(call, Alias):
            text = f"{site}\0a\0{call.identity}\0{call.other}"
        else:
            if self._properties is not call.properties:  # the calls of one row mostly share their properties
                self._properties = call.properties
                self._pairs = "".join([f"\0{name}\0{value}" for name, value in call.properties])
            path = "e" if type(call) is Record else "s"
            text = f"{site}\0{path}\0{call.identity}\0{call.event}\0{second}{self._pairs}"
        digest = sha256(text.encode()).digest()
        self.sums[site] += int.from_bytes(digest)
        self._made += 1
        return digest

    def _close(self) -> None:
        digest, lines = self._block.hex()[:_SHOWN], self._lines.hexdigest()[:_SHOWN]
        numbers = (self._first, self._last, self._in_block, self._calls)
        self.blocks.append(Block(self._source, *numbers, digest, lines))
        self._all, self._block, self._in_block = self.position.whole, _NONE, 0
        self._calls = self._first = self._last = 0
        self._lines = sha256()


def sum_text(total: int) -> str:
    """Return the sum of the digests of calls, modulo 2^256, in hexadecimal."""
    return f"{total % _MODULUS:064x}"
