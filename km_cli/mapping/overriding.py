"""Columns of a known reading, overridden by those that are asked for now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from km_cli.mapping.columns import ColumnOptions, Columns, PersonaColumns
from km_cli.mapping.found_columns import DROP, HASH, FoundColumns, usual_names
from km_cli.mapping.recognition import asked_by_role, conditions, persona_columns
from km_cli.mapping.renamed_columns import has_pattern, renamed_columns
from km_cli.model import Persona


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
        (*found, *(name for name in known.named if name not in found)),
        source,
        tabular=False,
        optional=(*column_options.optional, *column_options.times),
    )
    asked = {role: columns.value(name, role) for role, name in asked_by_role(column_options) if name}
    before = {one.persona: one for one in known.personas}
    people = [
        _overridden(persona, before.get(persona.name, PersonaColumns(persona.name)), columns, known.taken)
        for persona in personas
    ]
    event_name = column_options.event_name or ("" if "event" in asked else known.event_name)
    properties = columns.all_named(column_options.properties, "property")
    ignored = columns.all_named(column_options.ignore, "ignore-column", sparse=True) or ()
    excluded = columns.all_named(column_options.exclude, "exclude-property") or ()
    # A pattern was resolved for the log itself.
    rename = () if has_pattern(column_options.rename) else renamed_columns(column_options.rename, columns)
    times = tuple(columns.value(name, "timestamp") for name in column_options.times)
    return known._replace(
        personas=tuple(people),
        event="" if event_name else asked.get("event", known.event),
        timestamp=asked.get("timestamp", known.timestamp),
        id=asked.get("id", known.id),
        properties=known.properties if properties is None else properties,
        exclude=(*known.exclude, *excluded, *ignored),
        event_name=event_name,
        ignore=tuple(dict.fromkeys((*known.ignore, *ignored))),
        rename=rename or known.rename,
        where=conditions(column_options, columns) or known.where,
        hash=_together(known.hash, columns.all_named(column_options.hash, HASH)),
        drop=_together(known.drop, columns.all_named(column_options.drop, DROP)),
        times=times if column_options.timestamp or column_options.at else known.times,
        **_switches(known, column_options),
    )


def _together(known: tuple[str, ...], asked: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the columns that stay home: those that did, and those that are to stay home now."""
    return tuple(dict.fromkeys((*known, *(asked or ()))))


def _switches(known: Columns, column_options: ColumnOptions) -> dict[str, Any]:
    """Return the fields that name no column."""
    return {
        "flatten": known.flatten or column_options.flatten,
        "constant": column_options.constant or known.constant,
        "skip_anonymous": known.skip_anonymous or column_options.skip_anonymous,
        "without_event": known.without_event or column_options.without_event,
        "leave_out_reserved": known.leave_out_reserved or column_options.leave_out_reserved,
        "at": column_options.at or known.at,
        "hash_key": known.hash_key or column_options.hash_key,
    }


def _overridden(
    persona: Persona, before: PersonaColumns, columns: FoundColumns, taken: frozenset[str]
) -> PersonaColumns:
    """Return a persona's columns; where none is asked for now, its identity is in those of `before`."""
    if persona.column:
        return persona_columns(persona, columns.value(persona.column, persona.name), columns)
    identity = before.identity or columns.usual(usual_names(persona.name), taken)
    made = persona_columns(persona, identity, columns)
    return made._replace(others=before.others, nobody=made.nobody or before.nobody)
