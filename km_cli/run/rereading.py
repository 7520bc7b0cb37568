"""Reads again the row that a call was sent from, so that a conflict shows the values of both rows.

The ledger keeps digests of values, not the values. They can be shown as long as the file is still there and
the row in it is the one that was sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from km_cli.errors import KmError
from km_cli.inputs import Source, open_reader
from km_cli.ledger import Reading
from km_cli.mapping import Mapping, cells_reader
from km_cli.model import KnownRow, Properties, Row
from km_cli.planning.keyed import fingerprints_for

MOST_ROWS = 200_000
"""How many rows a run reads for this: reading a long log again for each conflict would take hours."""


class Rereading:
    """Finds rows by their lines. Rows that are asked for in order are found in one pass over a file."""

    def __init__(self, secret: bytes = b"") -> None:
        """`secret` is that of the ledger."""
        self._left = MOST_ROWS
        self._fingerprints = fingerprints_for("", secret)
        self._reading = 0
        self._line = 0
        self._rows: Iterator[tuple[int, Properties]] = iter(())

    def cells(self, reading: Reading, known: KnownRow) -> Properties:
        """Return the columns of a row as they were sent; none if they cannot be read again."""
        if not known.columns or not known.line or not reading.mapping or reading.source == "<stdin>":
            return ()
        if reading.number != self._reading or known.line <= self._line:
            self._reading, self._line, self._rows = reading.number, 0, _rows_of(reading)
        for line, cells in self._rows:
            self._line = line
            self._left -= 1
            if line == known.line and self._fingerprints.fingerprint_row(cells).columns == known.columns:
                return cells
            if line >= known.line or self._left <= 0:
                break
        return ()


def _rows_of(reading: Reading) -> Iterator[tuple[int, Properties]]:
    """Yield the line and the columns of each row of a file; fewer if it cannot be read."""
    with suppress(KmError, ValueError, TypeError, LookupError):
        opened = open_reader(Source(reading.source))
        try:
            columns = Mapping.from_json(reading.mapping).columns
            read = cells_reader(columns, opened.columns, tabular=opened.format.is_tabular)
            for item in opened.reader().items():
                if type(item) is Row:
                    yield item.line, read(item.values)
        finally:
            opened.close()
