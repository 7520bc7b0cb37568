"""What `init` writes for the exports of other tools: the columns of the table, as a plain km.toml."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

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


def recognised_export(sources: Iterable[Source], asked: str) -> tuple[ExportTable, str] | None:
    """Return the table that reads all these files, and the text of their km.toml; None if there is none.

    `asked` is the value of --export. The columns are those of the first file.
    """
    tables = export_tables()
    found: list[tuple[str, str]] = []
    for source in sources:
        with closing(open_reader(source)) as opened:
            records = opened.first_records(RECORDS)
            name = asked or recognise_export(records, tables)
            if name in ("", NO_EXPORT):
                return None
            header = opened.columns if opened.format.is_tabular else None
            found.append(
                (name, export_toml(tables[name], columns_of(tables[name], records, header), source.name))
            )
    names = {name for name, _ in found}
    return (tables[found[0][0]], found[0][1]) if len(names) == 1 else None
