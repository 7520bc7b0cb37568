"""Which column is what: as asked for, else by the usual names."""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from km_cli.errors import InputError, did_you_mean
from km_cli.kissmetrics import LONGEST_NAME, fold_name, is_reserved
from km_cli.model import Persona

USUAL = {
    "user": ("user", "user_id", "email", "person", "identity", "distinct_id"),
    "account": ("account", "account_id", "organization", "org", "company", "group", "workspace", "tenant"),
    "event": ("event", "event_name", "action", "activity"),
    "timestamp": ("timestamp", "time", "created_at", "occurred_at", "ts", "date"),
}
"""What a column is taken for when no flag says so; the first match wins."""


_FLAGS = frozenset({*USUAL, "id", "property", "exclude-property", "ignore-column"})


_MEMBERS = "members."
_ALIAS, _PROPERTIES, _SET = "'s alias", "'s properties", "'s set"
_IN_PERSONAS = (_ALIAS, _PROPERTIES, _SET)


class ColumnOptions(NamedTuple):
    """The columns as they are asked for; "" and None: recognise them. Those of identities are the personas'.

    `properties` are the only ones to send; () for none, None for every column not named elsewhere.
    `event_name` is what every row did: no column says it. `ignore` are neither sent nor compared.
    """

    event: str = ""
    timestamp: str = ""
    id: str = ""
    properties: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    flatten: bool = False
    event_name: str = ""
    ignore: tuple[str, ...] = ()


class PersonaColumns(NamedTuple):
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

    personas: tuple[PersonaColumns, ...]
    event: str
    timestamp: str
    id: str
    properties: tuple[str, ...] | None
    exclude: tuple[str, ...]
    flatten: bool
    event_name: str = ""
    ignore: tuple[str, ...] = ()

    def is_ignored(self, name: str) -> bool:
        """Tell whether a column, or an object that it is in, is neither sent nor compared."""
        return name in self.ignore or any(name.startswith(f"{other}.") for other in self.ignore)

    def is_sent(self, name: str) -> bool:
        """Tell whether anything that is sent has to do with a column: it is used, or records carry it."""
        if name in self.taken:
            return True
        if self.is_ignored(name) or name in self.exclude:
            return False
        sent = self.all_properties
        return sent is None or name in sent or any(name.startswith(f"{other}.") for other in sent)

    @property
    def taken(self) -> frozenset[str]:
        """The columns that are used for something else than a property of records."""
        names = [self.event, self.timestamp, self.id]
        for who in self.personas:
            names += [who.identity, who.alias, *who.sets]
        return frozenset(filter(None, names))

    @property
    def named(self) -> tuple[str, ...]:
        """Every column that has a name here, each once."""
        return tuple(dict.fromkeys((*sorted(self.taken), *(self.all_properties or ()), *self.exclude)))

    @property
    def all_properties(self) -> tuple[str, ...] | None:
        """The columns that records carry, whoever's; None for every column not named elsewhere."""
        asked = [self.properties if who.properties is None else who.properties for who in self.personas]
        named = tuple(dict.fromkeys(name for names in asked for name in names or ()))
        return None if None in asked else named


def recognise(
    column_options: ColumnOptions,
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
    asked = {role: columns.value(name, role) for role, name in _asked(column_options) if name}
    for persona in personas:
        if persona.column:
            asked[persona.name] = columns.value(persona.column, persona.name)
    _check_apart(asked, personas, source)
    people = tuple(_who(persona, "", columns) for persona in personas)
    chosen = _Choice(columns, people, asked).chosen()
    if column_options.event_name:
        chosen["event"] = ""
    for role in ("event", "timestamp"):
        if not (chosen[role] or (role == "event" and column_options.event_name)):
            raise columns.missing(role)
    able = [persona.name for persona in personas if persona.is_recorded]
    if not any(chosen[name] or name in members for name in able):
        raise columns.missing(*able)
    ignored = columns.all_named(column_options.ignore, "ignore-column", sparse=True) or ()
    made = Columns(
        tuple(who._replace(identity=chosen[who.persona]) for who in people),
        chosen["event"],
        chosen["timestamp"],
        asked.get("id", ""),
        columns.all_named(column_options.properties, "property"),
        (*(columns.all_named(column_options.exclude, "exclude-property") or ()), *ignored),
        column_options.flatten,
        column_options.event_name,
        ignored,
    )
    _check_ignored(made, source)
    if tabular:
        _check_properties((*property_columns(made, found), *_set_columns(made)), source)
        _check_links(made, personas, found, source)
    return made


def find(names: Mapping[str, str], found: tuple[str, ...], source: str, *, tabular: bool) -> dict[str, str]:
    """Return the columns of a members' file by role. Raises InputError if one is not there."""
    columns = _Found(found, source, tabular=tabular)
    return {role: columns.value(name, f"{_MEMBERS}{role}") for role, name in names.items()}


def override(
    known: Columns,
    column_options: ColumnOptions,
    personas: Sequence[Persona],
    found: tuple[str, ...],
    source: str,
) -> Columns:
    """Return known columns with what is asked for in place of it; what is left open stays.

    Raises InputError if a column that was asked for is not there.
    """
    # What was a column of the log is one, though none of its rejects at hand has it.
    columns = _Found((*found, *(name for name in known.named if name not in found)), source, tabular=False)
    asked = {role: columns.value(name, role) for role, name in _asked(column_options) if name}
    before = {who.persona: who.identity for who in known.personas}
    identities = {
        persona.name: columns.value(persona.column, persona.name)
        if persona.column
        else before.get(persona.name) or columns.usual(_usual(persona.name), known.taken)
        for persona in personas
    }
    event_name = column_options.event_name or ("" if "event" in asked else known.event_name)
    properties = columns.all_named(column_options.properties, "property")
    ignored = columns.all_named(column_options.ignore, "ignore-column", sparse=True) or ()
    return Columns(
        tuple(_who(persona, identities[persona.name], columns) for persona in personas),
        "" if event_name else asked.get("event", known.event),
        asked.get("timestamp", known.timestamp),
        asked.get("id", known.id),
        known.properties if properties is None else properties,
        (*known.exclude, *(columns.all_named(column_options.exclude, "exclude-property") or ()), *ignored),
        known.flatten or column_options.flatten,
        event_name,
        tuple(dict.fromkeys((*known.ignore, *ignored))),
    )


def _who(persona: Persona, identity: str, columns: _Found) -> PersonaColumns:
    """Return a persona's columns, given that of its identity.

    Objects may lack a member that some have, even all of the first: there a name stands as it is.
    """
    return PersonaColumns(
        persona.name,
        identity,
        columns.value(persona.alias, f"{persona.name}{_ALIAS}", sparse=True) if persona.alias else "",
        columns.all_named(persona.properties, f"{persona.name}{_PROPERTIES}", sparse=True),
        columns.all_named(persona.sets, f"{persona.name}{_SET}", sparse=True) or (),
    )


def _check_ignored(columns: Columns, source: str) -> None:
    """Raise InputError if a column is to be ignored and is used."""
    for name in columns.ignore:
        if used := name if name in columns.taken else next(filter(columns.is_ignored, columns.taken), ""):
            raise InputError(
                f"{source}: the column {used!r} is to be ignored (--ignore-column), and is used: without it "
                "there is no telling who did what when",
                "ignore only columns such as offsets and times of arrival",
            )


def _check_apart(asked: Mapping[str, str], personas: Sequence[Persona], source: str) -> None:
    """Raise InputError if a persona and something else are asked to be one column."""
    for persona in personas:
        column = asked.get(persona.name)
        roles = [role for role, name in asked.items() if column and name == column]
        if len(roles) > 1:
            raise InputError(
                f"{source}: the column {column!r} is asked for as {' and as '.join(roles)}",
                f"name another column for one of them: {' or '.join(_saying(role) for role in roles)}",
            )


class _Choice:
    """Chooses the columns of roles that were not `asked` for, so that none is taken twice."""

    def __init__(self, columns: _Found, people: Sequence[PersonaColumns], asked: Mapping[str, str]) -> None:
        self._columns = columns
        self._asked = asked
        self._beside = {who.persona: frozenset(filter(None, (who.alias, *who.sets))) for who in people}

    def chosen(self) -> dict[str, str]:
        """Return the column of event, timestamp and each persona; "" for none."""
        chosen = dict(self._asked)
        for role in ("event", "timestamp"):
            self._choose(chosen, role, _usual(role))
        for name in self._beside:
            self._choose(chosen, name, (_normal(name),))
        for name in self._beside:
            self._choose(chosen, name, _usual(name))
        return chosen

    def _choose(self, chosen: dict[str, str], role: str, usual: tuple[str, ...]) -> None:
        if not chosen.get(role):
            taken = frozenset(chosen.values())
            others = taken.union(*(names for name, names in self._beside.items() if name != role))
            beside = others | self._beside.get(role, frozenset())
            # What a persona itself names beside its identity may be its identity, if nothing else is.
            chosen[role] = self._columns.usual(usual, beside) or self._columns.usual(usual, others)


def _asked(column_options: ColumnOptions) -> tuple[tuple[str, str], ...]:
    return (
        ("event", column_options.event),
        ("timestamp", column_options.timestamp),
        ("id", column_options.id),
    )


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
                plain=f"{source}: the name of a column has over {LONGEST_NAME} characters (D4)",
            )
    if reserved := [name for name in names if is_reserved(name)]:
        raise InputError(
            f"{source}: Kissmetrics reserves for itself the columns {', '.join(map(repr, reserved))}",
            "leave out: " + " ".join(f"--exclude-property {shlex.quote(name)}" for name in reserved),
            plain=f"{source}: Kissmetrics reserves for itself {len(reserved)} of its columns",
        )


class _Found:
    """The columns found in one input, and finding one of them by its name."""

    def __init__(self, names: tuple[str, ...], source: str, *, tabular: bool) -> None:
        self._names = names
        self._source = source
        self._tabular = tabular

    def value(self, name: str, role: str, *, sparse: bool = False) -> str:
        """Return the column of a role, which must hold values: no object."""
        column = self.named(name, role, sparse=sparse)
        if inside := [] if column in self._names else self._inside(column):
            raise InputError(
                f"{self._source}: {column!r} ({_place(role)}) is an object with {', '.join(inside[:12])}",
                f"name what is in it: {_saying(role, inside[0])}",
                plain=f"{self._source}: what is asked for as {role} is an object",
            )
        return column

    def named(self, name: str, role: str, *, sparse: bool = False) -> str:
        """Return the column of this name: exactly, or but for upper and lower case.

        If it may be `sparse`, objects need not have it.
        """
        if name in self._names or (not self._tabular and self._inside(name)):
            return name
        alike = [path for path in self._names if path.casefold() == name.casefold()]
        if len(alike) == 1:
            return alike[0]
        if sparse and not self._tabular:
            return name
        raise InputError(
            f"{self._source}: there is no column {name!r} ({_place(role)}); {self._said()}",
            did_you_mean(name, self._names, "name one of the columns found", repr),
            plain=f"{self._source}: there is no column {name!r} ({_place(role)})",
        )

    def all_named(
        self, names: tuple[str, ...] | None, role: str, *, sparse: bool = False
    ) -> tuple[str, ...] | None:
        """Return the columns with these names, each once; None for None."""
        if names is None:
            return None
        return tuple(dict.fromkeys(self.named(name, role, sparse=sparse) for name in names))

    def usual(self, words: tuple[str, ...], taken: frozenset[str]) -> str:
        """Return the column with the first of the usual names, "" if there is none; not one that is taken."""
        by_name: dict[str, str] = {}
        for name in self._names:
            if name not in taken:
                by_name.setdefault(_normal(name), name)
        return next((by_name[word] for word in words if word in by_name), "")

    def missing(self, *roles: str) -> InputError:
        """Return the error for an input in which none of these roles was recognised."""
        near = [(role, close) for role in roles for close in self._near(role)]
        hint = "say which it is: " + " or ".join(_saying(role) for role in roles)
        if near:
            hint += f"; perhaps {_saying(*near[0])}?"
        if self._tabular and self._names[:1] and self._names[0].startswith("#"):
            hint += "; or drop the first line if it is a comment: tail -n +2"
        what = f"{self._source}: no column was recognised as {' or '.join(roles)}"
        return InputError(f"{what}; {self._said()}", hint, plain=what)

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


def _place(role: str) -> str:
    """Return where a column is asked for: by a flag, or in km.toml."""
    if role in _FLAGS:
        return f"--{role}"
    if role.startswith(_MEMBERS):
        return f"km.toml, {role}"
    return f"km.toml, {role}" if role.endswith(_IN_PERSONAS) else f"km.toml, the persona {role!r}"


def _saying(role: str, column: str = "NAME") -> str:
    """Return how a column is asked for."""
    if role in _FLAGS:
        return f"--{role} {shlex.quote(column)}"
    if role.startswith(_MEMBERS):
        return f"{role.removeprefix(_MEMBERS)} = {_toml(column)} in km.toml's [members]"
    persona, _, key = role.rpartition("'s ") if role.endswith(_IN_PERSONAS) else (role, "", "column")
    return f"{key} = {_toml(column)} in km.toml's persona {persona!r}"


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _normal(name: str) -> str:
    return name.casefold().replace(" ", "_").replace("-", "_")
