"""Reads an input as the export that it is: its table fills in what flags and km.toml leave open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from km_cli.config.settings import Settings
from km_cli.errors import InputError
from km_cli.exports import (
    NO_EXPORT,
    RECORDS,
    ExportColumns,
    ExportTable,
    columns_of,
    export_tables,
    likely_export,
    recognise_export,
    value_in,
)
from km_cli.inputs import Opened
from km_cli.mapping import (
    ABSENT,
    LOCAL_EPOCH,
    MEMBERS,
    ColumnOptions,
    Columns,
    Condition,
    TimeOptions,
    make_condition,
    root,
)
from km_cli.model import Persona
from km_cli.run.names_in_export import check_names

_ACCOUNT = "account"


Accounts = Callable[[str], tuple[str, ...]]
"""Returns the columns in which the last file of an export had its account, () for none."""


def no_accounts(_: str) -> tuple[str, ...]:
    """Return (): no file of an export was read before."""
    return ()


class Asked(NamedTuple):
    """The columns and times that are asked for: by flags and km.toml, and else by the table of an export."""

    column_options: ColumnOptions
    personas: tuple[Persona, ...]
    time_options: TimeOptions


def asked_for(settings: Settings, opened: Opened, accounts: Accounts = no_accounts) -> Asked:
    """Return the columns that are asked for in an input, with those of its export's table.

    An export that no flag names is recognised by its first records, but only if flags and km.toml leave open
    which columns are event, time and properties: a log that they describe is read as they say. `accounts`
    returns the account columns of the last file of an export. Raises InputError if flags or km.toml name a
    column that the export does not have.
    """
    options = settings.column_options
    asked = Asked(options, settings.personas, settings.time_options)
    if settings.export == NO_EXPORT or opened.format.holds_rejects:
        return asked
    if not settings.export and _is_described(settings):
        return asked
    tables, records = export_tables(), opened.first_records(RECORDS)
    name = settings.export or recognise_export(records, tables)
    if not name:
        return asked
    table = tables[name]
    if not settings.export and _leaves_out(options, table):
        return asked
    times = _with_times(settings.time_options, table)
    if times.format == LOCAL_EPOCH and not times.timezone and records:
        raise _without_zone(opened, table)
    check_names(settings, table, records, opened)
    header = opened.columns if opened.format.is_tabular else None
    found = columns_of(table, records, header)
    account = _account(found.account, accounts(name), header)
    found = found._replace(account=tuple(one for one in account if not root(one, options.ignore)))
    options = options._replace(exclude=tuple(_left_out(options, table, opened, records)))
    return Asked(
        _with_columns(options, table, found, f"{name} {table.version}", allow_alias=settings.allow_alias),
        _with_people(settings, found),
        times,
    )


def export_hint(asked: Asked, opened: Opened) -> str:
    """Return what to do about an export that is not read by its table, "" for any other log.

    Flags or km.toml describe it in part, or too many of its first records are of another form.
    """
    tables = export_tables()
    is_read = asked.column_options.export
    name = "" if is_read else likely_export(opened.first_records(RECORDS), tables)
    if not name:
        return ""
    return (
        f"it looks like an export of {tables[name].title}: add --export {name}, which names all other columns"
    )


def account_of(columns: Columns) -> tuple[str, ...]:
    """Return the columns of the account, () for none."""
    return next((one.identities for one in columns.personas if one.persona == _ACCOUNT), ())


def has_aliases_as_asked(settings: Settings, known: Columns) -> bool:
    """Tell whether a reading sends the aliases of its export if, and only if, --allow-alias is given."""
    if settings.allow_alias:
        return not known.withheld_alias
    is_asked = any(persona.alias for persona in settings.personas)
    return is_asked or not (known.export and known.personas[0].alias)


def with_aliases_as_asked(settings: Settings, known: Columns) -> tuple[Columns, tuple[Persona, ...]]:
    """Return the columns of a reading and the personas with the aliases of an export, for its rejects.

    They are sent if --allow-alias is given now, whatever was given when the row was rejected.
    """
    actor, *others = settings.personas
    alias = known.withheld_alias or (known.personas[0].alias if known.export else "")
    if not settings.allow_alias:
        return known._replace(withheld_alias="" if actor.alias else alias), settings.personas
    return known._replace(withheld_alias=""), (actor._replace(alias=actor.alias or alias), *others)


def _is_described(settings: Settings) -> bool:
    """Tell whether flags or km.toml say how the log is read."""
    options = settings.column_options
    named = options.event or options.event_name or options.timestamp or options.profiles
    has_lists = any(one.properties is not None or one.sets for one in settings.personas)
    return bool(named or options.properties is not None or options.flatten or has_lists)


def _leaves_out(options: ColumnOptions, table: ExportTable) -> bool:
    """Tell whether flags or km.toml leave out an object whose members the table sends."""
    objects = {name.removesuffix(MEMBERS) for name in table.columns.properties or ()}
    return not objects.isdisjoint(options.exclude)


def _with_columns(
    options: ColumnOptions, table: ExportTable, found: ExportColumns, label: str, *, allow_alias: bool
) -> ColumnOptions:
    columns = table.columns
    event = options.event or ("" if options.event_name else found.event)
    timestamp, event_id = options.timestamp or found.timestamp, options.id or found.id
    ignored = (name for name in found.ignore if name not in (event, timestamp, event_id))
    return options._replace(
        event=event,
        timestamp=timestamp,
        times=options.times if options.timestamp else found.times,
        id=event_id,
        properties=_kept(found, options) if options.properties is None else options.properties,
        rename=options.rename or found.rename,
        exclude=tuple(dict.fromkeys((*options.exclude, *columns.exclude))),
        ignore=tuple(dict.fromkeys((*options.ignore, *ignored))),
        where=(*options.where, *_conditions(options, table)),
        without_event=options.without_event or columns.without_event,
        leave_out_reserved=options.leave_out_reserved or columns.leave_out_reserved,
        export=label,
        withheld_alias="" if allow_alias else options.withheld_alias or found.alias,
    )


def _account(
    found: tuple[str, ...], before: tuple[str, ...], header: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the columns of the account: the column of the last file, so that all files have the same one.

    The usual names stand for a column that was not found yet, so any of them that is found goes first.
    """
    has_before = before and all(header is None or root(name, header) for name in before)
    return before if has_before and (len(before) == 1 or found[:1] == before[:1]) else found


def _left_out(
    options: ColumnOptions, table: ExportTable, opened: Opened, records: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Yield the columns that are left out.

    A name that holds for all logs (it is optional then) may be that of a property here: `card` leaves out
    `properties.card`, too, unless a record has a column `card`.
    """
    for name in options.exclude:
        yield name
        if name in options.optional and not _has(name, opened, records):
            yield from (f"{named.removesuffix('*')}{name}" for named in table.columns.properties or ())


def _has(name: str, opened: Opened, records: Sequence[Mapping[str, Any]]) -> bool:
    is_column = name in opened.columns or any(one.startswith(f"{name}.") for one in opened.columns)
    return is_column or any(value_in(record, name) is not ABSENT for record in records)


def _kept(found: ExportColumns, options: ColumnOptions) -> tuple[str, ...] | None:
    """Return the properties of an export without the objects that are left out as a whole."""
    if found.properties is None:
        return None
    left_out = {name.removesuffix(MEMBERS) for name in options.exclude}
    return tuple(name for name in found.properties if name.removesuffix(MEMBERS) not in left_out)


def _conditions(options: ColumnOptions, table: ExportTable) -> Iterator[Condition]:
    """Yield the conditions of a table, but for those on a column that is asked about in another way."""
    asked = {one.column for one in options.where}
    yield from (one for one in map(make_condition, table.columns.where) if one.column not in asked)


def _with_people(settings: Settings, found: ExportColumns) -> tuple[Persona, ...]:
    """Give the actor and the account their columns, unless flags or km.toml do."""
    actor, *others = settings.personas
    alias = found.alias if settings.allow_alias else ""
    actor = _with_column(actor, found.user)._replace(alias=actor.alias or alias)
    return (
        actor,
        *(_with_column(one, found.account) if one.name == _ACCOUNT else one for one in others),
    )


def _with_column(persona: Persona, columns: Sequence[str]) -> Persona:
    if persona.column or not columns:
        return persona
    return persona._replace(column=columns[0], others=tuple(columns[1:]))


def _without_zone(opened: Opened, table: ExportTable) -> InputError:
    return InputError(
        f"{opened.source.name}: it is read as an export of {table.title}, whose times count from 1970 on the "
        "clock of the project, and nothing in the file says in which zone that is",
        "name the zone of the project: --timezone UTC if it was made since 2023, else for example --timezone "
        "America/Los_Angeles",
        plain=f"{opened.source.name}: its times need a --timezone",
    )


def _with_times(options: TimeOptions, table: ExportTable) -> TimeOptions:
    columns = table.columns
    return options._replace(
        timezone=options.timezone or columns.timezone, format=options.format or columns.time_format
    )
