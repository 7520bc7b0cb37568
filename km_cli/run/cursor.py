"""How far an input was read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from km_cli.errors import KmError, Unclosed
from km_cli.inputs import Item
from km_cli.inputs.base import LINE_ENDS
from km_cli.ledger import Reading
from km_cli.model import Gap
from km_cli.run.batch import BatchBuilder
from km_cli.run.overlaps import Span

if TYPE_CHECKING:
    from hashlib import _Hash


class Cursor:
    """How far a reading got: the bytes behind it and their hash."""

    def __init__(self, reading: Reading, state: _Hash) -> None:
        self.reading = reading
        self._state = state

    def begin(self, preamble: bytes) -> None:
        """Go on over what stands before the first record; a header without its end may still grow."""
        if preamble.endswith(LINE_ENDS):
            self._go_on(preamble, 0, 0)

    def spans(self, span: Span) -> None:
        """Note the seconds of all events so far."""
        self.reading = self.reading._replace(first=span.first, last=span.last, dated=span.dated)

    def advance(self, batch: BatchBuilder) -> None:
        """Go on over a batch, but not over a last record without its line end: it may still grow.

        It is planned as it stands. When it comes again it is known, or judged as the whole that it is then.
        """
        if batch.is_open:
            *raws, _ = batch.raws
            self._go_on(b"".join(raws), batch.rows - 1, batch.rejected - batch.last_rejected)
        elif batch.raws:
            self._go_on(b"".join(batch.raws), batch.rows, batch.rejected)

    def _go_on(self, raw: bytes, rows: int, rejected: int) -> None:
        self._state.update(raw)
        at = self.reading
        self.reading = at._replace(
            length=at.length + len(raw),
            line=at.line + _line_ends(raw),
            rows=at.rows + rows,
            rejected=at.rejected + rejected,
            digest=self._state.digest(),
        )


class FixedCursor:
    """The cursor of a rejects file, which is judged anew each time: it stays where it is."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def advance(self, batch: BatchBuilder) -> None:
        """Stay."""

    def spans(self, span: Span) -> None:
        """Note nothing: its rows belong to other readings."""


def _line_ends(raw: bytes) -> int:
    return len((raw + b".").splitlines()) - 1


class Holding:
    """Items of a file that may still be written, without a last one that may still grow.

    `may_grow` tells at the file's end whether it may; `is_open` whether its last item would. `held` if so,
    or if a quotation mark is not closed. `rows` is 1 if it was a record, and no blank line.
    """

    def __init__(
        self, items: Iterable[Item], may_grow: Callable[[], bool], is_open: Callable[[Item], bool]
    ) -> None:
        self._items = items
        self._may_grow = may_grow
        self._is_open = is_open
        self.held = False
        self.rows = 0

    def __iter__(self) -> Iterator[Item]:
        last: Item | None = None
        error: KmError | None = None
        try:
            for item in self._items:
                if last is not None:
                    yield last
                last = item
        except KmError as met:
            error = met
        if isinstance(error, Unclosed) and self._may_grow():
            error, self.held, self.rows = None, True, 1
        elif error is None and last is not None and self._is_open(last) and self._may_grow():
            self.held, self.rows = True, int(not isinstance(last, Gap))
            return
        if last is not None:
            yield last
        if error is not None:
            raise error
