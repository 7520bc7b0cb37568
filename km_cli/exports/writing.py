"""An export as plain columns: the km.toml that reads it without a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from km_cli.exports.resolving import ExportColumns, columns_of
from km_cli.exports.tables import ExportTable
from km_cli.mapping import MEMBERS
from km_cli.toml_text import quoted


def export_toml(
    table: ExportTable, found: ExportColumns, log: str, header: Sequence[str] | None = None
) -> str:
    """Return the text of the km.toml for a log that is an export.

    `log` is the name of its file. `header` are its columns, if it is a table: other files of the export may
    lack some of them, or have more.
    """
    return "\n".join(_lines(table, _of_any_file(table, found, header), log, header)) + "\n"


def _of_any_file(table: ExportTable, found: ExportColumns, header: Sequence[str] | None) -> ExportColumns:
    """Return the columns that some file of the export may have, in the capital letters of this file."""
    spelled = {name.casefold(): name for name in reversed(header or ())}

    def every(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(spelled.get(name.casefold(), name) for name in names if name)

    columns = table.columns
    return found._replace(
        event=found.event or every([columns.event])[0],
        user=every(columns.user),
        account=found.account or columns_of(table, ()).account,
        alias=found.alias or "".join(every([columns.alias])),
        ignore=tuple(name for name in every(columns.ignore) if name not in (found.timestamp, *found.times)),
        rename=tuple((name, "*") for name in columns.properties or () if _is_prefix(name)),
    )


def _is_prefix(name: str) -> bool:
    """Tell whether a name stands for all columns of a table that begin like it, such as `Prop:*`."""
    return name.endswith("*") and not name.endswith(MEMBERS)


def _lines(table: ExportTable, found: ExportColumns, log: str, header: Sequence[str] | None) -> Iterator[str]:
    columns = table.columns
    yield f"# The columns of {quoted(log)}, an export of {table.title}."
    yield f"# The shape of its rows: {table.source}"
    yield ""
    yield "[columns]"
    yield 'export = "none"  # use the columns below instead of the built-in table'
    yield from _given("event", found.event)
    yield from _given("timestamp", _one_or_all((found.timestamp, *found.times)))
    yield from _times(table)
    yield from _given("id", found.id)
    yield from _given("properties", found.properties)
    yield from _given("exclude", columns.exclude)
    yield from _given("ignore", found.ignore)
    if found.rename:
        yield f"rename = {{ {', '.join(f'{quoted(old)} = {quoted(new)}' for old, new in found.rename)} }}"
    yield from _given("where", columns.where)
    if found.alias:
        yield f"alias = {quoted(found.alias)}  # sent with --allow-alias only: it cannot be undone"
    yield from _given("without_event", columns.without_event)
    if columns.leave_out_reserved:
        yield "leave_out_reserved = true"
    if optional := tuple(_optional(table, found, is_table=header is not None)):
        yield "# A file of the export, or its first rows, may lack these:"
        yield from _given("optional", optional)
    yield from _people(table, found)


def _optional(table: ExportTable, found: ExportColumns, *, is_table: bool) -> Iterator[str]:
    """Yield the columns whose absence from a file, or from its first rows, is no mistake.

    In JSON lines, columns of a list and columns that are left out may be absent without that.
    """
    lists = [(found.timestamp, *found.times), found.user, found.account]
    names = [
        *((found.event,) if table.columns.without_event else ()),
        found.id,
        *(name.removesuffix(MEMBERS) for name in found.properties or ()),
        *(name for one in lists[:2] if is_table and len(one) > 1 for name in one),
        *(lists[2] if is_table or len(lists[2]) == 1 else ()),
        *((*found.ignore, found.alias) if is_table else ()),
    ]
    always = [name.casefold() for name in table.recognise.every]
    for name in dict.fromkeys(filter(None, names)):
        if not any(one == name.casefold() or one.startswith(f"{name.casefold()}.") for one in always):
            yield name


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
        yield f"# column = {quoted(_example(table))}"


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
    """Return a text or a list as TOML."""
    return quoted(value) if isinstance(value, str) else f"[{', '.join(map(quoted, value))}]"
