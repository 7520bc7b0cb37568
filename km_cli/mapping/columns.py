"""Which column is what: as asked for, else by the usual names."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from km_cli.errors import InputError
from km_cli.model import Persona
from km_cli.names import LONGEST_NAME, fold_name, is_reserved, nearest

USUAL = {
    "user": ("user", "user_id", "email", "person", "identity", "distinct_id"),
    "account": ("account", "account_id", "organization", "org", "company", "group", "workspace", "tenant"),
    "event": ("event", "event_name", "action", "activity"),
    "timestamp": ("timestamp", "time", "created_at", "occurred_at", "ts", "date"),
}
"""What a column is taken for when no flag says so; the first match wins."""


_FLAGS = frozenset({*USUAL, "id", "property", "exclude-property"})


class Wanted(NamedTuple):
    """The columns as they are asked for; "" and None: recognise them. Those of identities are the personas'.

    `properties` are the only ones to send; () for none, None for every column not named elsewhere.
    `event_name` is what every row did: no column says it.
    """

    event: str = ""
    timestamp: str = ""
    id: str = ""
    properties: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    flatten: bool = False
    event_name: str = ""


class Who(NamedTuple):
    """The columns of one persona; "" where the input has none.

    `properties` are those of its records, None for those that everybody's carry.
    """

    persona: str
    identity: str = ""
    alias: str = ""
    properties: tuple[str, ...] | None = None
    sets: tuple[str, ...] = ()


class Columns(NamedTuple):
    """The columns as they are used; "" where the input has none. `personas` go by the strategy's order.

    `event_name` is what every row did, if no column says it.
    """

    personas: tuple[Who, ...]
    event: str
    timestamp: str
    id: str
    properties: tuple[str, ...] | None
    exclude: tuple[str, ...]
    flatten: bool
    event_name: str = ""

    @property
    def taken(self) -> frozenset[str]:
        """The columns that are used for something else than a property of records."""
        names = [self.event, self.timestamp, self.id]
        for who in self.personas:
            names += [who.identity, who.alias, *who.sets]
        return frozenset(filter(None, names))

    @property
    def carried(self) -> tuple[object, ...]:
        """What decides which properties records carry."""
        own = tuple((who.persona, who.properties) for who in self.personas)
        return self.properties, frozenset(self.exclude), self.flatten, own

    @property
    def all_properties(self) -> tuple[str, ...] | None:
        """The columns that records carry, whoever's; None for every column not named elsewhere."""
        asked = [self.properties if who.properties is None else who.properties for who in self.personas]
        named = tuple(dict.fromkeys(name for names in asked for name in names or ()))
        return None if None in asked else named


def recognise(
    wanted: Wanted,
    personas: Sequence[Persona],
    found: tuple[str, ...],
    source: str,
    *,
    tabular: bool,
    members: frozenset[str] = frozenset(),
) -> Columns:
    """Return the columns to use, of those `found` in `source`.

    `members` are personas whose identities can come from elsewhere. Raises InputError, naming the columns
    that were found, if one that was asked for is not there, if the event, the time or everybody who may do
    something has none, or if one must never be a property.
    """
    columns = _Found(found, source, tabular=tabular)
    asked = {role: columns.value(name, role) for role, name in _asked(wanted) if name}
    for persona in personas:
        if persona.column:
            asked[persona.name] = columns.value(persona.column, persona.name)
    named = frozenset(asked.values())
    roles = ("event", "timestamp", *(persona.name for persona in personas))
    chosen = {role: asked.get(role) or columns.usual(role, named) for role in roles}
    if wanted.event_name:
        chosen["event"] = ""
    for role in ("event", "timestamp"):
        if not (chosen[role] or (role == "event" and wanted.event_name)):
            raise columns.missing(role)
    able = [persona.name for persona in personas if persona.is_recorded]
    if not any(chosen[name] or name in members for name in able):
        raise columns.missing(*able)
    made = Columns(
        tuple(_who(persona, chosen[persona.name], columns) for persona in personas),
        chosen["event"],
        chosen["timestamp"],
        asked.get("id", ""),
        columns.all_named(wanted.properties, "property"),
        columns.all_named(wanted.exclude, "exclude-property") or (),
        wanted.flatten,
        wanted.event_name,
    )
    if tabular:
        _check_properties((*property_columns(made, found), *_set_columns(made)), source)
        _check_links(made, personas, found, source)
    return made


def find(names: Mapping[str, str], found: tuple[str, ...], source: str, *, tabular: bool) -> dict[str, str]:
    """Return the columns that are asked for by role. Raises InputError if one is not there."""
    columns = _Found(found, source, tabular=tabular)
    return {role: columns.value(name, role) for role, name in names.items()}


def override(
    known: Columns, wanted: Wanted, personas: Sequence[Persona], found: tuple[str, ...], source: str
) -> Columns:
    """Return known columns with what is asked for in place of it; what is left open stays.

    Raises InputError if a column that was asked for is not there.
    """
    columns = _Found(found, source, tabular=False)
    asked = {role: columns.value(name, role) for role, name in _asked(wanted) if name}
    before = {who.persona: who.identity for who in known.personas}
    identities = {
        persona.name: columns.value(persona.column, persona.name)
        if persona.column
        else before.get(persona.name) or columns.usual(persona.name, known.taken)
        for persona in personas
    }
    event_name = wanted.event_name or ("" if "event" in asked else known.event_name)
    properties = columns.all_named(wanted.properties, "property")
    return Columns(
        tuple(_who(persona, identities[persona.name], columns) for persona in personas),
        "" if event_name else asked.get("event", known.event),
        asked.get("timestamp", known.timestamp),
        asked.get("id", known.id),
        known.properties if properties is None else properties,
        (*known.exclude, *(columns.all_named(wanted.exclude, "exclude-property") or ())),
        known.flatten or wanted.flatten,
        event_name,
    )


def _who(persona: Persona, identity: str, columns: _Found) -> Who:
    """Return a persona's columns, given that of its identity."""
    return Who(
        persona.name,
        identity,
        columns.value(persona.alias, f"{persona.name}'s alias") if persona.alias else "",
        columns.all_named(persona.properties, f"{persona.name}'s properties"),
        columns.all_named(persona.sets, f"{persona.name}'s set") or (),
    )


def _asked(wanted: Wanted) -> tuple[tuple[str, str], ...]:
    return (("event", wanted.event), ("timestamp", wanted.timestamp), ("id", wanted.id))


def property_columns(columns: Columns, found: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of a header that become properties of records, whoever's, in its order."""
    if columns.all_properties is not None:
        return columns.all_properties
    left_out = columns.taken.union(columns.exclude)
    asked = {name for who in columns.personas for name in who.properties or ()}
    return tuple(name for name in found if name not in left_out or name in asked)


def _set_columns(columns: Columns) -> tuple[str, ...]:
    return tuple(name for who in columns.personas for name in who.sets)


def _check_links(columns: Columns, personas: Sequence[Persona], found: tuple[str, ...], source: str) -> None:
    """Raise InputError if a property that holds another's identity has the name of a column (D4)."""
    by_name = {fold_name(name): name for name in property_columns(columns, found)}
    for persona in personas:
        for name, other in persona.link:
            if column := by_name.get(fold_name(name)):
                raise InputError(
                    f"{source}: the column {column!r} and the {other}'s identity would be one property of "
                    f"the {persona.name}, {name!r} (D4)",
                    f"leave the column out: --exclude-property {shlex.quote(column)}",
                )


def _check_properties(names: tuple[str, ...], source: str) -> None:
    """Raise InputError for what no row could be sent with."""
    for name in names:
        if len(name) > LONGEST_NAME:
            raise InputError(
                f"{source}: the name of column {name[:30]!r}… has {len(name)} characters, "
                f"over {LONGEST_NAME} (D4)",
                "give it a shorter name in the header",
            )
    if reserved := [name for name in names if is_reserved(name)]:
        said = ", ".join(map(repr, reserved))
        raise InputError(
            f"{source}: Kissmetrics reserves for itself, as properties, the columns {said}",
            "leave out: " + " ".join(f"--exclude-property {shlex.quote(name)}" for name in reserved),
        )


class _Found:
    """The columns found in one input, and finding one of them by its name."""

    def __init__(self, names: tuple[str, ...], source: str, *, tabular: bool) -> None:
        self._names = names
        self._source = source
        self._tabular = tabular

    def value(self, name: str, role: str) -> str:
        """Return the column of a role, which must hold values: no object."""
        column = self.named(name, role)
        if column not in self._names:
            inside = self._inside(column)
            raise InputError(
                f"{self._source}: {column!r} ({_flag(role)}) is an object; it holds {', '.join(inside[:12])}",
                f"name what is in it: {_flag(role)} {shlex.quote(inside[0])}",
            )
        return column

    def named(self, name: str, role: str) -> str:
        """Return the column that a flag names: exactly, or but for upper and lower case."""
        if name in self._names or (not self._tabular and self._inside(name)):
            return name
        alike = [path for path in self._names if path.casefold() == name.casefold()]
        if len(alike) == 1:
            return alike[0]
        near = nearest(name, self._names)
        raise InputError(
            f"{self._source}: there is no column {name!r} ({_flag(role)}); {self._said()}",
            f"did you mean {near!r}?" if near else "name one of the columns found",
        )

    def all_named(self, names: tuple[str, ...] | None, role: str) -> tuple[str, ...] | None:
        """Return the columns with these names, each once; None for None."""
        return None if names is None else tuple(dict.fromkeys(self.named(name, role) for name in names))

    def usual(self, role: str, named: frozenset[str]) -> str:
        """Return the column with the first usual name, "" if there is none; not what a flag named."""
        by_name: dict[str, str] = {}
        for name in self._names:
            if name not in named:
                by_name.setdefault(_normal(name), name)
        return next((by_name[usual] for usual in _usual(role) if usual in by_name), "")

    def missing(self, *roles: str) -> InputError:
        """Return the error for an input in which none of these roles was recognised."""
        near = [(role, close) for role in roles for close in self._near(role)]
        hint = "say which it is: " + " or ".join(f"{_flag(role)} NAME" for role in roles)
        if near:
            hint += f"; perhaps {_flag(near[0][0])} {shlex.quote(near[0][1])}?"
        if self._tabular and self._names[:1] and self._names[0].startswith("#"):
            hint += "; or drop the first line if it is a comment: tail -n +2"
        what = " or ".join(roles)
        return InputError(f"{self._source}: no column was recognised as {what}; {self._said()}", hint)

    def _near(self, role: str) -> list[str]:
        """Return what is in an object of a usual name, else the column whose last part is nearest to one."""
        for usual in _usual(role):
            inside = [name for name in self._names if _normal(name).startswith(f"{usual}.")]
            if inside:
                return [next((name for name in inside if _normal(name) == f"{usual}.id"), inside[0])]
        last = {_normal(name).rpartition(".")[2]: name for name in reversed(self._names)}
        close = (near for usual in _usual(role) for near in difflib.get_close_matches(usual, last, 1, 0.75))
        return [last[near] for near in close][:1]

    def _inside(self, name: str) -> list[str]:
        return [path for path in self._names if path.startswith(f"{name}.")]

    def _said(self) -> str:
        return f"columns found: {', '.join(self._names) or 'none'}"


def _usual(role: str) -> tuple[str, ...]:
    """Return what a column is usually called; for a persona of one's own, by its name."""
    return USUAL.get(role) or (_normal(role), f"{_normal(role)}_id")


def _flag(role: str) -> str:
    """Return how a column is asked for: by a flag, or for personas of one's own in km.toml."""
    return f"--{role}" if role in _FLAGS else f"km.toml, personas: {role}"


def _normal(name: str) -> str:
    return name.casefold().replace(" ", "_").replace("-", "_")
