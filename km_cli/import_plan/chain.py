"""The digests of the calls of an import, in their order, which an interrupted import can take up again.

Each call has a digest: SHA-256 of `SITE LF PAYLOAD`, where the payload is the path and the query without the
key, as the tracker gets them. A row's digests are added to those of its *block*: block = SHA-256(block, calls
of the row). A block has a thousand rows that send calls, all of one input, so that two plans name the first
thousand rows that differ. `all` is a chain over the blocks. The state of both is 32 bytes each, which the
ledger notes with the run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

from km_cli.model import RowPlan

ROWS_IN_BLOCK = 1000
"""Rows that send calls. A plan of a million rows has a thousand blocks."""

MARK = 16
"""Bytes that a row's state of the block is known by, when a run is compared with its rehearsal."""

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
        self._at = at
        self._sites: dict[str, bytes] = {}
        self._calls = self._first = self._last = 0
        self._bytes = sha256()
        self.sums: defaultdict[str, int] = defaultdict(int)
        self.blocks: list[Block] = []

    @property
    def position(self) -> Position:
        """How far it got."""
        return self._at

    def take(self, plan: RowPlan) -> bytes:
        """Add the calls of a row; return its mark, b"" if the row sends none."""
        row, planned = plan.row, plan.planned
        at = self._at
        if not planned:
            self._bytes.update(row.raw)
            return b""
        if at.in_block and (at.in_block >= ROWS_IN_BLOCK or at.source != row.source):
            self._close()
            at = self._at
        digests = b"".join([self._digest(call.site, call.payload) for call in planned])
        block = sha256(at.block + digests).digest()
        in_block, rows, calls = at.in_block + 1, at.rows + 1, at.calls + len(planned)
        self._at = Position(at.all, block, in_block, rows, calls, at.taken, row.source)
        self._bytes.update(row.raw)
        self._calls += len(planned)
        self._first = self._first or row.line
        self._last = row.line
        return block[:MARK]

    def count(self, taken: int) -> None:
        """Count rows that --limit counts."""
        self._at = self._at._replace(taken=self._at.taken + taken)

    def finish(self) -> None:
        """Close the last block."""
        if self._at.in_block:
            self._close()

    def _digest(self, site: str, payload: bytes) -> bytes:
        prefix = self._sites.get(site) or self._sites.setdefault(site, f"{site}\n".encode())
        digest = sha256(prefix + payload).digest()
        self.sums[site] += int.from_bytes(digest)
        return digest

    def _close(self) -> None:
        at, lines = self._at, self._bytes.hexdigest()[:16]
        digest = at.block.hex()[:16]
        self.blocks.append(Block(at.source, self._first, self._last, at.in_block, self._calls, digest, lines))
        self._at = at._replace(all=at.whole, block=_NONE, in_block=0)
        self._calls = self._first = self._last = 0
        self._bytes = sha256()


def sum_text(total: int) -> str:
    """Return the sum of the digests of calls, modulo 2^256, in hexadecimal."""
    return f"{total % _MODULUS:064x}"
