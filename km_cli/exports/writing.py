"""An export as plain columns: the km.toml that reads it without a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from km_cli.exports.resolving import ExportColumns
from km_cli.exports.tables import ExportTable


def export_toml(table: ExportTable, found: ExportColumns, log: str) -> str:
    """Return the text of the km.toml for a log that is an export; `log` is the name of its file."""
    return "\n".join(_lines(table, found, log)) + "\n"


def _lines(table: ExportTable, found: ExportColumns, log: str) -> Iterator[str]:
    columns = table.columns
    yield f"# The columns of {json.dumps(log, ensure_ascii=False)}, an export of {table.title}."
    yield f"# The shape of its rows: {table.source}"
    yield ""
    yield "[columns]"
    yield 'export = "none"  # use the columns below instead of the built-in table'
    yield from _given("event", found.event)
    yield from _given("timestamp", found.timestamp)
    yield from _times(table)
    yield from _given("id", found.id)
    yield from _given("properties", found.properties)
    yield from _given("exclude", columns.exclude)
    yield from _given("ignore", found.ignore)
    if found.rename:
        yield f"rename = {{ {', '.join(f'{_toml(old)} = {_toml(new)}' for old, new in found.rename)} }}"
    yield from _given("where", columns.where)
    if found.alias:
        yield f"alias = {_toml(found.alias)}  # sent with --allow-alias only: it cannot be undone"
    yield from _given("without_event", columns.without_event)
    if columns.leave_out_reserved:
        yield "leave_out_reserved = true"
    yield from _people(table, found)


def _times(table: ExportTable) -> Iterator[str]:
    columns = table.columns
    yield from _given("time_format", columns.time_format)
    yield from _given("timezone", columns.timezone)
    if columns.time_format and not columns.timezone:
        yield '# timezone = "UTC"  # question: in UTC, or in the zone of the project (America/Los_Angeles)?'


def _people(table: ExportTable, found: ExportColumns) -> Iterator[str]:
    yield ""
    yield "[[personas]]"
    yield 'name = "user"'
    yield from _given("column", _one_or_all(found.user))
    yield ""
    if found.account:
        yield "[[personas]]"
        yield 'name = "account"'
        yield from _given("column", _one_or_all(found.account))
    else:
        yield "# No column of its first records names the account. If one does, name it here:"
        yield "# [[personas]]"
        yield '# name = "account"'
        yield f"# column = {_toml(_example(table))}"


def _example(table: ExportTable) -> str:
    """Return how a column of the account may be called in an export, where its rows have properties."""
    named = table.columns.properties or ("",)
    return f"{named[0].removesuffix('*')}company_id"


def _one_or_all(columns: Sequence[str]) -> str | Sequence[str]:
    return columns[0] if len(columns) == 1 else columns


def _given(key: str, value: str | Sequence[str] | None) -> Iterator[str]:
    """Yield the line of a key, if it has a value."""
    if value:
        yield f"{key} = {_toml(value)}"


def _toml(value: str | Sequence[str]) -> str:
    """Return a text or a list as TOML: a JSON text is one, if nothing is escaped beyond need."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return f"[{', '.join(map(_toml, value))}]"
