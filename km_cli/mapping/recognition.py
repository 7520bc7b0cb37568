"""Choosing the columns of an input: as asked for, else by the usual names."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from km_cli.errors import InputError
from km_cli.kissmetrics import LONGEST_NAME, fold_name, is_reserved
from km_cli.mapping.columns import ColumnOptions, Columns, Condition, PersonaColumns, property_columns
from km_cli.mapping.found_columns import (
    ALIAS,
    ALIAS_COLUMN,
    IN_MEMBERS,
    PROPERTIES,
    RENAMED,
    SET,
    FoundColumns,
    NamedAt,
    how_to_ask,
    normal_name,
    usual_names,
)
from km_cli.mapping.naming import Naming
from km_cli.mapping.nested import MEMBERS
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
    columns = FoundColumns(found, source, tabular=tabular, named_at=named_at)
    is_export = bool(column_options.export)
    asked = _asked_columns(column_options, personas, columns)
    people = tuple(_persona_columns(persona, "", columns) for persona in personas)
    _check_apart(asked, people, source)
    by_role = _columns_by_role(column_options, people, asked, columns, tabular=tabular)
    _check_found(by_role, column_options, personas, members, columns)
    ignored = columns.all_named(column_options.ignore, "ignore-column", sparse=True) or ()
    # The first objects need not have all members that `OBJECT.*` may send, and that are to be left out.
    is_open = is_export or any(name.endswith(MEMBERS) for name in column_options.properties or ())
    made = Columns(
        tuple(one._replace(identity=by_role[one.persona]) for one in people),
        by_role["event"],
        by_role["timestamp"],
        asked.get("id", ""),
        columns.all_named(column_options.properties, "property", sparse=is_export),
        (*(columns.all_named(column_options.exclude, "exclude-property", sparse=is_open) or ()), *ignored),
        column_options.flatten,
        column_options.event_name,
        ignored,
        _renamed(column_options, columns),
        column_options.constant,
        _conditions(column_options, columns),
        column_options.skip_anonymous,
        "set" if column_options.profiles else column_options.without_event,
        column_options.leave_out_reserved,
        column_options.export,
        columns.named(column_options.withheld_alias, ALIAS_COLUMN, sparse=True)
        if column_options.withheld_alias
        else "",
        column_options.at,
        tuple(columns.value(name, "timestamp", sparse=True) for name in column_options.times),
    )
    _check_ignored(made, source)
    if tabular:
        _check_properties(
            _sent_columns((*property_columns(made, found), *_set_columns(made)), made),
            source,
            leaves_out=made.leave_out_reserved,
        )
        _check_links(made, personas, found, source)
    _check_constants(made, personas, found if tabular else (), source)
    return made


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
    asked = {
        role: columns.value(name, role, sparse=is_export) for role, name in _asked(column_options) if name
    }
    for persona in personas:
        if persona.column:
            sparse = is_export or bool(
                persona.others
            )  # the first objects may all have the identity in another column
            asked[persona.name] = columns.value(persona.column, persona.name, sparse=sparse)
    return asked


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


def override_columns(
    known: Columns,
    column_options: ColumnOptions,
    personas: Sequence[Persona],
    found: tuple[str, ...],
    source: str,
) -> Columns:
    """Return a reading's columns, overridden by those that are asked for now.

    Raises InputError if a column that was asked for is missing.
    """
    # A column of the log counts as found, even if none of its rejects in this file has it.
    columns = FoundColumns(
        (*found, *(name for name in known.named if name not in found)), source, tabular=False
    )
    asked = {role: columns.value(name, role) for role, name in _asked(column_options) if name}
    before = {one.persona: one for one in known.personas}
    people = [
        _overridden(persona, before.get(persona.name, PersonaColumns(persona.name)), columns, known.taken)
        for persona in personas
    ]
    event_name = column_options.event_name or ("" if "event" in asked else known.event_name)
    properties = columns.all_named(column_options.properties, "property")
    ignored = columns.all_named(column_options.ignore, "ignore-column", sparse=True) or ()
    return Columns(
        tuple(people),
        "" if event_name else asked.get("event", known.event),
        asked.get("timestamp", known.timestamp),
        asked.get("id", known.id),
        known.properties if properties is None else properties,
        (*known.exclude, *(columns.all_named(column_options.exclude, "exclude-property") or ()), *ignored),
        known.flatten or column_options.flatten,
        event_name,
        tuple(dict.fromkeys((*known.ignore, *ignored))),
        _renamed(column_options, columns) or known.rename,
        column_options.constant or known.constant,
        _conditions(column_options, columns) or known.where,
        known.skip_anonymous or column_options.skip_anonymous,
        known.without_event or column_options.without_event,
        known.leave_out_reserved or column_options.leave_out_reserved,
        known.export,
        known.withheld_alias,
        column_options.at or known.at,
        () if column_options.timestamp or column_options.at else known.times,
    )


def _renamed(column_options: ColumnOptions, columns: FoundColumns) -> tuple[tuple[str, str], ...]:
    return tuple(
        (columns.named(column, RENAMED, sparse=True), name) for column, name in column_options.rename
    )


def _conditions(column_options: ColumnOptions, columns: FoundColumns) -> tuple[Condition, ...]:
    """Return the conditions on columns. A column that must not have a value may be one that few rows have."""
    return tuple(
        one._replace(
            column=columns.value(one.column, "where", sparse=not one.is_in or bool(column_options.export))
        )
        for one in column_options.where
    )


def _overridden(
    persona: Persona, before: PersonaColumns, columns: FoundColumns, taken: frozenset[str]
) -> PersonaColumns:
    """Return a persona's columns; where none is asked for now, its identity is in those of `before`."""
    if persona.column:
        return _persona_columns(persona, columns.value(persona.column, persona.name), columns)
    identity = before.identity or columns.usual(usual_names(persona.name), taken)
    made = _persona_columns(persona, identity, columns)
    return made._replace(others=before.others, nobody=made.nobody or before.nobody)


def _persona_columns(persona: Persona, identity: str, columns: FoundColumns) -> PersonaColumns:
    """Return a persona's columns, given that of its identity.

    The first objects of a log may all lack a member that later ones have, so these columns may be sparse.
    """
    return PersonaColumns(
        persona.name,
        identity,
        columns.value(persona.alias, f"{persona.name}{ALIAS}", sparse=True) if persona.alias else "",
        columns.all_named(persona.properties, f"{persona.name}{PROPERTIES}", sparse=True),
        columns.all_named(persona.sets, f"{persona.name}{SET}", sparse=True) or (),
        tuple(columns.value(name, persona.name, sparse=True) for name in persona.others),
        persona.nobody,
    )


def _check_ignored(columns: Columns, source: str) -> None:
    """Raise InputError if a column is both ignored and used."""
    for name in columns.ignore:
        if used := name if name in columns.taken else next(filter(columns.is_ignored, columns.taken), ""):
            raise InputError(
                f"{source}: the column {used!r} is both used and ignored (--ignore-column): calls cannot be "
                "made without it",
                "ignore only columns such as offsets and times of arrival",
            )


def _check_apart(asked: Mapping[str, str], people: Sequence[PersonaColumns], source: str) -> None:
    """Raise InputError if a persona and another role are asked to have the same column."""
    wanted = [*asked.items(), *((one.persona, name) for one in people for name in one.others)]
    personas = {one.persona for one in people}
    for column in [name for role, name in wanted if role in personas]:
        roles = [role for role, name in wanted if name == column]
        if len(roles) > 1:
            raise InputError(
                f"{source}: the column {column!r} is asked for as {' and as '.join(roles)}",
                f"name another column for one of them: {' or '.join(how_to_ask(role) for role in roles)}",
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


def _asked(column_options: ColumnOptions) -> tuple[tuple[str, str], ...]:
    return (
        ("event", column_options.event),
        ("timestamp", column_options.timestamp),
        ("id", column_options.id),
    )


def _set_columns(columns: Columns) -> tuple[str, ...]:
    return tuple(name for persona in columns.personas for name in persona.sets)


def _check_links(columns: Columns, personas: Sequence[Persona], found: tuple[str, ...], source: str) -> None:
    """Raise InputError if a link has the name of a column: both would be one property (D4)."""
    sent = _sent_columns(property_columns(columns, found), columns)
    by_name = {fold_name(name): column for name, column in sent}
    for persona in personas:
        for name, other in persona.link:
            if column := by_name.get(fold_name(name)):
                raise InputError(
                    f"{source}: the column {column!r} and the {other}'s identity would be one property of "
                    f"the {persona.name}, {name!r} (D4)",
                    f"leave the column out: --exclude-property {shlex.quote(column)}",
                )


def _check_constants(
    columns: Columns, personas: Sequence[Persona], found: tuple[str, ...], source: str
) -> None:
    """Raise InputError if a constant has the name of a link or of a table's column: no row could be sent."""
    if not columns.constant:
        return
    sent = _sent_columns(property_columns(columns, found), columns)
    others = {fold_name(name): f"the column {column!r}" for name, column in sent}
    links = ((fold_name(name), f"the {other}'s identity") for one in personas for name, other in one.link)
    others.update(links)
    for name, _ in columns.constant:
        if other := others.get(fold_name(name)):
            raise InputError(
                f"{source}: the constant {name!r} of km.toml and {other} would be one property (D4)",
                "give the constant another name, or leave it out",
            )


def _sent_columns(columns: tuple[str, ...], made: Columns) -> list[tuple[str, str]]:
    """Return the names of the properties that columns are sent as, with the columns.

    The members of an object are not among them: their names show only in the rows.
    """
    naming = Naming(made)
    return [(naming.name(column), column) for column in columns if not column.endswith(MEMBERS)]


def _check_properties(sent: Sequence[tuple[str, str]], source: str, *, leaves_out: bool) -> None:
    """Raise InputError if one of these columns cannot be a property, so that no row could be sent."""
    for name, _ in sent:
        if len(name) > LONGEST_NAME:
            raise InputError(
                f"{source}: the name of column {name[:30]!r}… has {len(name)} characters, "
                f"over {LONGEST_NAME} (D4)",
                "give it a shorter name in the header",
                plain=f"{source}: the name of a column has over {LONGEST_NAME} characters (D4)",
            )
    reserved = [column for name, column in sent if is_reserved(name)]
    if reserved and not leaves_out:
        raise InputError(
            f"{source}: Kissmetrics reserves the names of these columns: {', '.join(map(repr, reserved))}",
            "leave out: " + " ".join(f"--exclude-property {shlex.quote(name)}" for name in reserved),
            plain=f"{source}: Kissmetrics reserves the names of {len(reserved)} of its columns",
        )
