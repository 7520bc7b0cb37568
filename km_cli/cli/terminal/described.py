"""Which column was taken for what, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from km_cli.mapping import Columns


def described(columns: Columns, members: Collection[str] = ()) -> str:
    """Return it as one line. `members` are personas whose identities come from the members' file."""
    said = ", ".join(f"{role} from {column!r}" for role, column in _roles(columns) if column)
    if columns.event_name:
        said += f"; the event is {columns.event_name!r}"
    for who in columns.personas:
        if who.persona in members:
            said += f"; {who.persona} from the members' file" + (" where it is empty" if who.identity else "")
    missing = [who.persona for who in columns.personas if not who.identity and who.persona not in members]
    if missing:
        said += f"; no column for {' and '.join(missing)}"
    return "; ".join([said, *_properties(columns)])


def _roles(columns: Columns) -> Iterator[tuple[str, str]]:
    for who in columns.personas:
        yield who.persona, who.identity
        yield f"alias of the {who.persona}", who.alias
    yield "event", columns.event
    yield "time", columns.timestamp
    yield "id", columns.id


def _properties(columns: Columns) -> Iterator[str]:
    others = [who for who in columns.personas if who.properties is not None]
    if len(others) < len(columns.personas):
        mine = " and the ".join(who.persona for who in columns.personas if who.properties is None)
        whose = f" of the {mine}" if others else ""
        if columns.properties is None:
            yield f"all other columns are properties{whose}"
        else:
            yield f"properties{whose}: {', '.join(columns.properties) or 'none'}"
    for who in others:
        yield f"properties of the {who.persona}: {', '.join(who.properties or ()) or 'none'}"
    for who in columns.personas:
        if who.sets:
            yield f"set once for each {who.persona}: {', '.join(who.sets)}"
