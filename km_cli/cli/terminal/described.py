"""The roles of the columns of an input, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from km_cli.mapping import Columns


def described(columns: Columns, members: Collection[str] = ()) -> str:
    """Return the roles as one line. `members` are personas whose identities the members' file has."""
    text = ", ".join(f"{role} from {column!r}" for role, column in _roles(columns) if column)
    if columns.event_name:
        text += f"; the event is {columns.event_name!r}"
    for one in columns.personas:
        if one.persona in members:
            text += f"; {one.persona} from the members' file" + (" where it is empty" if one.identity else "")
    missing = [one.persona for one in columns.personas if not one.identity and one.persona not in members]
    if missing:
        text += f"; no column for {' and '.join(missing)}"
    return "; ".join([text, *_properties(columns)])


def _roles(columns: Columns) -> Iterator[tuple[str, str]]:
    for one in columns.personas:
        yield one.persona, one.identity
        yield f"alias of the {one.persona}", one.alias
    yield "event", columns.event
    yield "time", columns.timestamp
    yield "id", columns.id


def _properties(columns: Columns) -> Iterator[str]:
    own = [one for one in columns.personas if one.properties is not None]
    if len(own) < len(columns.personas):
        others = " and the ".join(one.persona for one in columns.personas if one.properties is None)
        owners = f" of the {others}" if own else ""
        if columns.properties is None:
            yield f"all other columns are properties{owners}"
        else:
            yield f"properties{owners}: {', '.join(columns.properties) or 'none'}"
    for one in own:
        yield f"properties of the {one.persona}: {', '.join(one.properties or ()) or 'none'}"
    for one in columns.personas:
        if one.sets:
            yield f"set once for each {one.persona}: {', '.join(one.sets)}"
