"""Reads an input as the export that it is: its table fills in what flags and km.toml leave open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from km_cli.config.settings import Settings
from km_cli.exports import (
    NO_EXPORT,
    RECORDS,
    ExportColumns,
    ExportTable,
    columns_of,
    export_tables,
    recognise_export,
)
from km_cli.inputs import Opened
from km_cli.mapping import ColumnOptions, TimeOptions, make_condition
from km_cli.model import Persona

_ACCOUNT = "account"


class Asked(NamedTuple):
    """The columns and times that are asked for: by flags and km.toml, and else by the table of an export."""

    column_options: ColumnOptions
    personas: tuple[Persona, ...]
    time_options: TimeOptions


def asked_for(settings: Settings, opened: Opened) -> Asked:
    """Return the columns that are asked for in an input, with those of its export's table.

    An export that no flag names is recognised by its first records, but only if flags and km.toml leave open
    which columns are event, time and properties: a log that they describe is read as they say.
    """
    options = settings.column_options
    asked = Asked(options, settings.personas, settings.time_options)
    if settings.export == NO_EXPORT or opened.format.holds_rejects:
        return asked
    if not settings.export and _is_described(options):
        return asked
    tables, records = export_tables(), opened.first_records(RECORDS)
    name = settings.export or recognise_export(records, tables)
    if not name:
        return asked
    table = tables[name]
    found = columns_of(table, records, opened.columns if opened.format.is_tabular else None)
    return Asked(
        _with_columns(options, table, found, f"{name} {table.version}", allow_alias=settings.allow_alias),
        _with_people(settings, found),
        _with_times(settings.time_options, table),
    )


def _is_described(options: ColumnOptions) -> bool:
    """Tell whether flags or km.toml say how the log is read."""
    named = options.event or options.event_name or options.timestamp
    return bool(named or options.properties is not None or options.flatten)


def _with_columns(
    options: ColumnOptions, table: ExportTable, found: ExportColumns, label: str, *, allow_alias: bool
) -> ColumnOptions:
    columns = table.columns
    return options._replace(
        event=options.event or ("" if options.event_name else found.event),
        timestamp=options.timestamp or found.timestamp,
        id=options.id or found.id,
        properties=found.properties if options.properties is None else options.properties,
        rename=options.rename or found.rename,
        exclude=tuple(dict.fromkeys((*options.exclude, *columns.exclude))),
        where=options.where or tuple(map(make_condition, columns.where)),
        without_event=options.without_event or columns.without_event,
        leave_out_reserved=options.leave_out_reserved or columns.leave_out_reserved,
        export=label,
        withheld_alias="" if allow_alias else options.withheld_alias or found.alias,
    )


def _with_people(settings: Settings, found: ExportColumns) -> tuple[Persona, ...]:
    """Give the actor and the account their columns, unless flags or km.toml do."""
    actor, *others = settings.personas
    alias = found.alias if settings.allow_alias else ""
    actor = _with_column(actor, found.user)._replace(alias=actor.alias or alias)
    return (
        actor,
        *(_with_column(one, (found.account,)) if one.name == _ACCOUNT else one for one in others),
    )


def _with_column(persona: Persona, columns: Sequence[str]) -> Persona:
    if persona.column:
        return persona
    return persona._replace(column=columns[0], others=tuple(columns[1:]))


def _with_times(options: TimeOptions, table: ExportTable) -> TimeOptions:
    columns = table.columns
    return options._replace(
        timezone=options.timezone or columns.timezone, format=options.format or columns.time_format
    )
