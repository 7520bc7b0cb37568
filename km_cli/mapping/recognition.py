"""Choosing the columns of an input: as asked for, else by the usual names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from km_cli.mapping.column_checks import check_apart, check_columns
from km_cli.mapping.columns import ColumnOptions, Columns, Condition, PersonaColumns
from km_cli.mapping.found_columns import (
    ALIAS,
    ALIAS_COLUMN,
    DROP,
    HASH,
    IN_MEMBERS,
    PROPERTIES,
    SET,
    FoundColumns,
    NamedAt,
    normal_name,
    usual_names,
)
from km_cli.mapping.nested import MEMBERS
from km_cli.mapping.renamed_columns import renamed_columns
from km_cli.model import Persona


def recognise_columns(
    column_options: ColumnOptions,
    personas: Sequence[Persona],
    found: tuple[str, ...],
    source: str,
    *,
    tabular: bool,
    members: frozenset[str] = frozenset(),
    named_at: NamedAt = MappingProxyType({}),
) -> Columns:
    """Return the columns to use, of those `found` in `source`. `named_at` says where each was named.

    `members` are the personas whose identities can come from the members' file. Raises InputError, with the
    columns that were found, if a column that was asked for is missing, if there is none for the event, the
    time or any persona that is recorded, or if one must never be a property.
    """
    columns = FoundColumns(
        found, source, tabular=tabular, named_at=named_at, optional=column_options.optional
    )
    asked = _asked_columns(column_options, personas, columns)
    people = tuple(persona_columns(persona, "", columns) for persona in personas)
    people = tuple(one._replace(others=_others(one, asked)) for one in people)
    check_apart({role: name for role, name in asked.items() if name}, people, source)
    by_role = _columns_by_role(column_options, people, asked, columns, tabular=tabular)
    _check_found(by_role, column_options, personas, members, columns)
    made = Columns(
        personas=tuple(one._replace(identity=by_role[one.persona]) for one in people),
        event=by_role["event"],
        timestamp=by_role["timestamp"],
        id=asked.get("id", ""),
        **_other_columns(column_options, columns),
    )
    check_columns(made, personas, found, source, tabular=tabular)
    return made


def _other_columns(column_options: ColumnOptions, columns: FoundColumns) -> dict[str, Any]:
    """Return the fields of Columns that are not columns of the roles."""
    is_export = bool(column_options.export)
    # The first objects need not have all members that `OBJECT.*` may send, and that are to be left out.
    is_open = is_export or any(name.endswith(MEMBERS) for name in column_options.properties or ())
    withheld = column_options.withheld_alias
    ignored = columns.all_named(column_options.ignore, "ignore-column", sparse=True) or ()
    excluded = columns.all_named(column_options.exclude, "exclude-property", sparse=is_open) or ()
    return {
        "properties": columns.all_named(column_options.properties, "property", sparse=is_export),
        "exclude": (*excluded, *ignored),
        "flatten": column_options.flatten,
        "event_name": column_options.event_name,
        "ignore": ignored,
        "rename": renamed_columns(column_options.rename, columns),
        "constant": column_options.constant,
        "where": conditions(column_options, columns),
        "skip_anonymous": column_options.skip_anonymous,
        "without_event": "set" if column_options.profiles else column_options.without_event,
        "leave_out_reserved": column_options.leave_out_reserved,
        "export": column_options.export,
        "withheld_alias": columns.named(withheld, ALIAS_COLUMN, sparse=True) if withheld else "",
        "at": column_options.at,
        "times": _times(column_options, columns)[1:],
        "hash": columns.all_named(column_options.hash, HASH, sparse=is_export) or (),
        "drop": columns.all_named(column_options.drop, DROP, sparse=is_export) or (),
        "hash_key": column_options.hash_key,
    }


def _columns_by_role(
    column_options: ColumnOptions,
    people: Sequence[PersonaColumns],
    asked: Mapping[str, str],
    columns: FoundColumns,
    *,
    tabular: bool,
) -> dict[str, str]:
    """Return the columns of event, time and personas: as `asked`, else by usual names; "" for none."""
    if column_options.export:  # a property of an export may well have a usual name
        by_role = dict.fromkeys(("event", "timestamp", *(one.persona for one in people)), "") | dict(asked)
    else:
        by_role = _Choice(columns, people, asked).by_role()
        if not tabular and _needs_objects(by_role, column_options, people):
            _look_inside(by_role, columns, people, column_options.exclude)
    by_role |= {role: "" for role, name in asked.items() if not name}
    if column_options.event_name or column_options.profiles:
        by_role["event"] = ""
    if column_options.at:
        by_role["timestamp"] = ""
    return by_role


def _asked_columns(
    column_options: ColumnOptions, personas: Sequence[Persona], columns: FoundColumns
) -> dict[str, str]:
    """Return the columns that are asked for, by role. Raises InputError if one is missing."""
    is_export = bool(column_options.export)
    named = {role: name for role, name in asked_by_role(column_options) if name}
    if column_options.times:
        named.pop("timestamp", None)
    asked = {role: columns.value(name, role, sparse=is_export) for role, name in named.items()}
    if column_options.times:
        asked["timestamp"] = next(iter(_times(column_options, columns)), "")
    for persona in personas:
        if persona.column:
            # The first objects may all have the identity in another column.
            sparse = is_export or bool(persona.others)
            names = (persona.column, *persona.others)
            found = (columns.value(name, persona.name, sparse=sparse) for name in names)
            asked[persona.name] = next(filter(None, found), "")
    return asked


def _times(column_options: ColumnOptions, columns: FoundColumns) -> tuple[str, ...]:
    """Return the columns of the time that the input may have, if several are named; else ()."""
    if not column_options.times:
        return ()
    names = (column_options.timestamp, *column_options.times)
    return tuple(filter(None, (columns.value(name, "timestamp", sparse=True) for name in names)))


def _others(one: PersonaColumns, asked: Mapping[str, str]) -> tuple[str, ...]:
    """Return a persona's other columns, but for the one that stands for a first column that is absent."""
    return tuple(name for name in one.others if name and name != asked.get(one.persona))


def _needs_objects(
    by_role: Mapping[str, str], column_options: ColumnOptions, people: Sequence[PersonaColumns]
) -> bool:
    """Tell whether no log without personas' columns in objects could be imported with these settings.

    No persona has a column, or an object would be a property, for which its row would be rejected. So no log
    that could be imported before such columns were recognised is read in another way now.
    """
    takes_all = column_options.properties is None and any(one.properties is None for one in people)
    is_nobody = not any(by_role.get(one.persona) for one in people)
    return is_nobody or (takes_all and not column_options.flatten)


def _look_inside(
    by_role: dict[str, str],
    columns: FoundColumns,
    people: Sequence[PersonaColumns],
    exclude: Sequence[str],
) -> None:
    """Choose the column `id` of an object with a persona's usual name, if the persona has no other column."""
    for one in people:
        if not by_role.get(one.persona):
            taken = frozenset(by_role.values()).union(exclude)
            by_role[one.persona] = columns.usual_id(usual_names(one.persona), taken)


def _check_found(
    by_role: Mapping[str, str],
    column_options: ColumnOptions,
    personas: Sequence[Persona],
    members: frozenset[str],
    columns: FoundColumns,
) -> None:
    """Raise InputError if there is no column for the event, for the time, or for any persona's identity."""
    wanted = column_options
    has_event = by_role["event"] or wanted.event_name or wanted.without_event or wanted.profiles
    if not has_event:
        raise columns.missing("event")
    if not (by_role["timestamp"] or wanted.at):
        raise columns.missing("timestamp", also=" or --at TIME" if wanted.profiles else "")
    able = [persona.name for persona in personas if persona.is_recorded]
    if not any(by_role[name] or name in members for name in able):
        raise columns.missing(*able)


def members_columns(
    names: Mapping[str, str], found: tuple[str, ...], source: str, *, tabular: bool
) -> dict[str, str]:
    """Return the columns of a members' file by role. Raises InputError if one is not there."""
    columns = FoundColumns(found, source, tabular=tabular)
    return {role: columns.value(name, f"{IN_MEMBERS}{role}") for role, name in names.items()}


def conditions(column_options: ColumnOptions, columns: FoundColumns) -> tuple[Condition, ...]:
    """Return the conditions on columns. A column that must not have a value may be one that few rows have."""
    return tuple(
        one._replace(
            column=columns.value(one.column, "where", sparse=not one.is_in or bool(column_options.export))
        )
        for one in column_options.where
    )


def persona_columns(persona: Persona, identity: str, columns: FoundColumns) -> PersonaColumns:
    """Return a persona's columns, given that of its identity.

    The first objects of a log may all lack a member that later ones have, so these columns may be sparse.
    """
    return PersonaColumns(
        persona.name,
        identity,
        columns.value(persona.alias, f"{persona.name}{ALIAS}", sparse=True) if persona.alias else "",
        columns.all_named(persona.properties, f"{persona.name}{PROPERTIES}", sparse=True),
        columns.all_named(persona.sets, f"{persona.name}{SET}", sparse=True) or (),
        tuple(filter(None, (columns.value(name, persona.name, sparse=True) for name in persona.others))),
        persona.nobody,
    )


class _Choice:
    """Chooses a column for each role that was not `asked` for, so that no column has two roles."""

    def __init__(
        self, columns: FoundColumns, people: Sequence[PersonaColumns], asked: Mapping[str, str]
    ) -> None:
        self._columns = columns
        self._asked = asked
        self._beside = {
            one.persona: frozenset(filter(None, (one.alias, *one.sets, *one.others))) for one in people
        }

    def by_role(self) -> dict[str, str]:
        """Return the column of event, timestamp and each persona; "" for none."""
        by_role = dict(self._asked)
        for role in ("event", "timestamp"):
            self._choose(by_role, role, usual_names(role))
        for name in self._beside:
            self._choose(by_role, name, (normal_name(name),))
        for name in self._beside:
            self._choose(by_role, name, usual_names(name))
        return by_role

    def _choose(self, by_role: dict[str, str], role: str, usual: tuple[str, ...]) -> None:
        if not by_role.get(role):
            taken = frozenset(by_role.values())
            others = taken.union(*(names for name, names in self._beside.items() if name != role))
            beside = others | self._beside.get(role, frozenset())
            # A column that the persona has as alias or set may be its identity too, if no other column fits.
            by_role[role] = self._columns.usual(usual, beside) or self._columns.usual(usual, others)


def asked_by_role(column_options: ColumnOptions) -> tuple[tuple[str, str], ...]:
    return (
        ("event", column_options.event),
        ("timestamp", column_options.timestamp),
        ("id", column_options.id),
    )
