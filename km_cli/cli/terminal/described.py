"""The roles of the columns of an input, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from km_cli.exports import export_tables
from km_cli.mapping import Columns, condition_text

_MOST_LISTED = 2
"""Columns that are named of those that are tried where the first one is empty."""


def described(columns: Columns, members: Collection[str] = (), *, shows_values: bool = True) -> str:
    """Return the roles as one line. `members` are personas whose identities the members' file has.

    Without `shows_values` the values of conditions are left out: they may name people.
    """
    text = ", ".join(f"{role} from {column}" for role, column in _roles(columns) if column)
    if columns.event_name:
        text += f"; the event is {columns.event_name!r}"
    for one in columns.personas:
        if one.persona in members:
            text += f"; {one.persona} from the members' file" + (" where it is empty" if one.identity else "")
    missing = [one.persona for one in columns.personas if not one.identities and one.persona not in members]
    if missing:
        text += f"; no column for {' and '.join(missing)}"
    return "; ".join([*_export(columns), text, *_properties(columns), *_conditions(columns, shows_values)])


def _export(columns: Columns) -> Iterator[str]:
    """Yield the export that the columns come from. The table of a known reading may be an older one."""
    if columns.export:
        name, version = columns.export.split()
        table = export_tables().get(name)
        yield f"read as an export of {table.title if table else name} ({name}, table {version})"


def _roles(columns: Columns) -> Iterator[tuple[str, str]]:
    """Yield the roles and their columns, in quotes; "" for none."""
    for one in columns.personas:
        others = " or ".join(map(repr, one.others[:_MOST_LISTED]))
        if more := len(one.others[_MOST_LISTED:]):
            others += f" or {more} more"
        yield one.persona, _quoted(one.identity) + (f", or from {others} if that is empty" if others else "")
        yield f"alias of the {one.persona}", _quoted(one.alias)
    yield "event", _quoted(columns.event)
    times = " or ".join(map(repr, columns.times))
    yield "time", _quoted(columns.timestamp) + (f", or from {times} if that is empty" if times else "")
    yield "id", _quoted(columns.id)


def _quoted(column: str) -> str:
    return repr(column) if column else ""


def _conditions(columns: Columns, shows_values: bool) -> Iterator[str]:
    if columns.at:
        yield f"the time of every row is {columns.at}"
    if columns.without_event and not columns.event:
        yield "each row sets its properties"
    elif columns.without_event:
        yield "rows without an event set their properties"
    if columns.leave_out_reserved:
        yield "names that Kissmetrics reserves are left out"
    if columns.where:
        where = columns.where if shows_values else [one._replace(values=("…",)) for one in columns.where]
        yield f"only rows with {' and '.join(map(condition_text, where))}"


def _without(columns: Columns) -> str:
    """Return which columns are no properties although they have no role: `, without 'note' and 3 more`."""
    left_out = [name for name in dict.fromkeys(columns.exclude) if name not in columns.taken]
    named = " and ".join(map(repr, left_out[:_MOST_LISTED]))
    if more := len(left_out[_MOST_LISTED:]):
        named = f"{', '.join(map(repr, left_out[:_MOST_LISTED]))} and {more} more"
    return f", without {named}" if named else ""


def _properties(columns: Columns) -> Iterator[str]:
    own = [one for one in columns.personas if one.properties is not None]
    if len(own) < len(columns.personas):
        others = " and the ".join(one.persona for one in columns.personas if one.properties is None)
        owners = f" of the {others}" if own else ""
        if columns.properties is None:
            yield f"all other columns are properties{owners}{_without(columns)}"
        else:
            yield f"properties{owners}: {', '.join(columns.properties) or 'none'}"
    for one in own:
        yield f"properties of the {one.persona}: {', '.join(one.properties or ()) or 'none'}"
    for column, name in columns.rename:
        yield f"{column!r} is sent as {name!r}"
    for name, value in columns.constant:
        yield f"{name!r} is {value!r} on every record"
    for one in columns.personas:
        if one.sets:
            yield f"set for each {one.persona} when they change: {', '.join(one.sets)}"
