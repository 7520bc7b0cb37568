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
    """Keeps how far a reading got: the number of bytes behind it, and their hash."""

    def __init__(self, reading: Reading, state: _Hash) -> None:
        self.reading = reading
        self._state = state

    def begin(self, preamble: bytes) -> None:
        """Advance over the header, unless it has no line end yet and may still grow."""
        if preamble.endswith(LINE_ENDS):
            self._add(preamble, 0, 0)

    def spans(self, span: Span) -> None:
        """Set the span of all events so far."""
        self.reading = self.reading._replace(first=span.first, last=span.last, dated=span.dated)

    def advance(self, batch: BatchBuilder) -> None:
        """Advance over a batch, but not over a last record without a line end, as it may still grow.

        That record is planned as it stands. A later run reads it again: if it has not changed it is known,
        and if it has grown it is planned as it is then.
        """
        if batch.is_open:
            *raws, _ = batch.raws
            self._add(b"".join(raws), batch.rows - 1, batch.rejected - batch.last_rejected)
        elif batch.raws:
            self._add(b"".join(batch.raws), batch.rows, batch.rejected)

    def _add(self, raw: bytes, rows: int, rejected: int) -> None:
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
    """The cursor of a rejects file. Nothing remembers a rejection, so every run reads it from the start."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def advance(self, batch: BatchBuilder) -> None:
        """Stay where it is."""

    def spans(self, span: Span) -> None:
        """Set no span, as the rows belong to other readings."""


def _line_ends(raw: bytes) -> int:
    return len((raw + b".").splitlines()) - 1


class HeldBack:
    """The items of a file that is still being written, without a last record that may still grow.

    `may_grow` is asked at the end of the file, and `is_open` whether the last item has no line end. `held`
    says that an item was held back, or that a quotation mark is not closed. `rows` is 1 if that item is a
    record, and 0 if it is a blank line.
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
