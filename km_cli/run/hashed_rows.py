"""Rows with hashed columns: what is kept of them has the digests, and a reject has the row of the log."""

from __future__ import annotations

from collections.abc import Iterable

from km_cli.inputs.formats import format_with
from km_cli.model import Reject, Row


def as_hashed(row: Row, columns: tuple[str, ...], delimiter: str) -> Row:
    """Return a row whose `raw` has its hashed values: what stays home must not be kept.

    `columns` and `delimiter` are those of its log; a corrected reject has its own.
    """
    origin = row.origin
    if origin is not None:
        columns, delimiter = origin.columns, origin.delimiter
    written_in = format_with(delimiter)
    assert written_in is not None
    return row._replace(raw=written_in.write_record(row.values, columns, delimiter))


def as_in_log(rejects: Iterable[Reject], row: Row) -> tuple[Reject, ...]:
    """Return rejects, those of this row with the row as it stands in the log."""
    place = (row.source, row.line)
    return tuple(one._replace(row=row) if (one.row.source, one.row.line) == place else one for one in rejects)
