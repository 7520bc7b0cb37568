"""What `init` writes for the exports of other tools: the columns of the table, as a plain km.toml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from km_cli.errors import UsageError
from km_cli.exports import (
    NO_EXPORT,
    RECORDS,
    ExportTable,
    columns_of,
    export_tables,
    export_toml,
    recognise_export,
)
from km_cli.inputs import Source, open_reader


class _Looked(NamedTuple):
    """A file, the name of the export that it is ("" for none), its columns if it is a table, its records."""

    file: str
    export: str
    header: tuple[str, ...] | None
    records: Sequence[Mapping[str, Any]]


def recognised_export(sources: Iterable[Source], asked: str) -> tuple[ExportTable, str] | None:
    """Return the table that reads all these files, and the text of their km.toml; None if there is none.

    `asked` is the value of --export. Raises UsageError if only some of the files are of the export.
    """
    if asked == NO_EXPORT:
        return None
    looked = [_look(source, asked) for source in sources]
    seen = [one for one in looked if one.records] or looked
    name = seen[0].export
    if other := next((one for one in seen if one.export != name), None):
        raise _mixed(seen[0], other)
    if not name:
        return None
    headers = [one.header for one in seen if one.header is not None]
    header = tuple(dict.fromkeys(column for columns in headers for column in columns)) if headers else None
    table, records = export_tables()[name], [record for one in seen for record in one.records]
    return table, export_toml(table, columns_of(table, records, header), seen[0].file, header)


def _look(source: Source, asked: str) -> _Looked:
    with closing(open_reader(source)) as opened:
        records = opened.first_records(RECORDS)
        name = asked or recognise_export(records, export_tables())
        return _Looked(source.name, name, opened.columns if opened.format.is_tabular else None, records)


def _mixed(one: _Looked, other: _Looked) -> UsageError:
    """Return the error for files with different columns. Their rows would need a km.toml each."""
    if not one.export:
        one, other = other, one
    table = export_tables()[one.export]
    but = f"an export of {export_tables()[other.export].title}" if other.export else "not"
    return UsageError(
        f"{one.file} is an export of {table.title}, and {other.file} is {but}: their columns differ",
        "run init for each of them, each time with another --output; in one km.toml, each is a [[backfill]] "
        f'of its own: export = "{one.export}" for the first, [backfill.columns] for the other',
    )
