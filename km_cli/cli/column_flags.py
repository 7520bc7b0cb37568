"""The flags about columns: which column is the event, the time or the id, and which ones are properties."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

import click
from click.core import ParameterSource
from msgspec import UNSET

from km_cli.cli.context import km_toml_of, label_of_flag
from km_cli.config.columns import constants, renamed_columns
from km_cli.config.people import People
from km_cli.errors import UsageError
from km_cli.kissmetrics import LONGEST_NAME, fold_name
from km_cli.mapping import ColumnOptions, Condition, Hasher, NamedAt, make_bound, make_condition
from km_cli.model import NANOSECONDS, Persona

_STRENGTH = [
    ParameterSource.DEFAULT,
    ParameterSource.DEFAULT_MAP,
    ParameterSource.ENVIRONMENT,
    ParameterSource.COMMANDLINE,
]
"""The sources of a value, the weakest first. DEFAULT_MAP is km.toml."""


def make_column_options(context: click.Context, hasher: Hasher | None = None) -> ColumnOptions:
    """Return the columns that flags and km.toml name. Raises UsageError for flags that contradict each other.

    Lists of km.toml that leave columns out are added to, not replaced: a flag given for one run must not
    send a column that km.toml keeps private.
    """
    flags, columns = context.params, km_toml_of(context).config.columns
    no_properties, properties = _stronger(context, "no_properties", "properties")
    at, timestamp = _stronger(context, "at", "timestamp")
    event, event_name = _stronger(context, "event", "event_name")
    if flags["profiles"]:
        event = event_name = _check_profiles(context)
    elif at:
        raise UsageError(
            f"{label_of_flag(context, 'at')} {at!r} would be the time of every event",
            "--at is for files of people and accounts: give --profiles, or the column of the time",
        )
    _check_event_name(event_name)
    dropped = _united(columns.drop, ())
    excluded = (*_united(columns.exclude, flags["exclude"]), *dropped)
    ignored = _united(columns.ignore, flags["ignore"])
    return ColumnOptions(
        event,
        timestamp,
        flags["event_id"],
        () if no_properties else _remaining(properties, (*excluded, *ignored)) if properties else None,
        excluded,
        flags["flatten"],
        event_name.strip(),
        ignored,
        renamed_columns(columns.rename, leaves_reserved=columns.leave_out_reserved is True),
        () if _are_properties_off(context) else constants(columns.constant),
        _conditions(columns.where, flags["where"]),
        flags["skip_anonymous"],
        "" if columns.without_event is UNSET else "set",
        columns.leave_out_reserved is True,
        withheld_alias="" if flags["allow_alias"] or columns.alias is UNSET else columns.alias,
        profiles=flags["profiles"],
        at=_time(context, at) if at else "",
        times=_other_times(context) if timestamp else (),
        optional=_united(columns.optional, ()),
        hash=_united(columns.hash, ()),
        drop=dropped,
        hash_key=hasher.fingerprint if hasher else "",
    )


def _other_times(context: click.Context) -> tuple[str, ...]:
    """Return the columns of km.toml's `timestamp` behind the first one; a flag or a variable replaces all."""
    named = km_toml_of(context).config.columns.timestamp
    is_ours = context.get_parameter_source("timestamp") is ParameterSource.DEFAULT_MAP
    if not is_ours or not isinstance(named, list):
        return ()
    return tuple(one for one in dict.fromkeys(named) if one != named[0])


def _conditions(before: object, flag: Iterable[str]) -> tuple[Condition, ...]:
    """Return km.toml's conditions and the flag's. Raises UsageError, with the place of a wrong one."""
    own = _united(before, ())
    return tuple(
        make_condition(text, f"{_WHERE}:" if text in own else "--where") for text in _united(before, flag)
    )


def _check_profiles(context: click.Context) -> str:
    """Return "", the event of profiles. Raises UsageError if a flag gives one; that of km.toml yields.

    A backfill may read profiles beside logs, so --only and --skip contradict the flag --profiles alone.
    """
    names = ["event", "event_name", "export"]
    if context.get_parameter_source("profiles") is ParameterSource.COMMANDLINE:
        names += ["only", "skip"]
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE and context.params.get(name):
            raise UsageError(
                f"--profiles and {_spelled(context, name)} contradict each other: profiles have no events",
                "leave one of them out",
            )
    return ""


def _time(context: click.Context, text: str) -> str:
    """Return the time of --at, in --timezone, else UTC, with its offset. Raises UsageError."""
    moment = make_bound(label_of_flag(context, "at"), text, context.params["timezone"]).moment
    assert moment is not None
    return datetime.fromtimestamp(moment // NANOSECONDS, UTC).isoformat()


def columns_named_at(context: click.Context) -> NamedAt:
    """Return where each column is named: a flag, a variable, or a key of km.toml."""
    flags, config = context.params, km_toml_of(context).config
    places = {
        ("exclude-property", name): "km.toml, columns.exclude" for name in _united(config.columns.exclude, ())
    }
    places |= {
        ("ignore-column", name): "km.toml, columns.ignore" for name in _united(config.columns.ignore, ())
    }
    places |= {("where", one.column): _WHERE for one in _conditions(config.columns.where, ())}
    for parameter, role in _ROLES.items():
        value = flags[parameter]
        for name in (value,) if isinstance(value, str) else value:
            places.setdefault((role, name), label_of_flag(context, parameter).removesuffix(":"))
    for name in _other_times(context):
        places.setdefault(("timestamp", name), label_of_flag(context, "timestamp").removesuffix(":"))
    for persona in config.personas:
        columns = [persona.column] if isinstance(persona.column, str) else persona.column
        if not flags.get(persona.name):
            places |= {(persona.name, name): f"km.toml, the persona {persona.name!r}" for name in columns}
        own = persona.properties if isinstance(persona.properties, list) else []
        for key, names in (("properties", own), ("set", persona.set)):
            role = f"{persona.name}'s {key}"
            places |= {(role, name): f"km.toml, {role}" for name in names}
    return places


_WHERE = "km.toml, columns.where"

_ROLES = {
    "user": "user",
    "account": "account",
    "event": "event",
    "timestamp": "timestamp",
    "event_id": "id",
    "properties": "property",
    "exclude": "exclude-property",
    "ignore": "ignore-column",
}
"""The role that mapping knows a parameter's columns by."""


def _are_properties_off(context: click.Context) -> bool:
    """Tell whether --no-properties itself was given: it overrides km.toml's constants as well."""
    source = context.get_parameter_source("no_properties")
    return bool(context.params["no_properties"]) and source is ParameterSource.COMMANDLINE


def with_property_flags(context: click.Context, people: People) -> People:
    """Apply the flags about properties to the personas that list their own.

    Flags can only take properties away from such a list. Raises UsageError if --property stands beside one,
    and if nothing is left to send.
    """
    flags = {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    if "properties" in flags:
        _check_no_lists(people)
    if "no_properties" in flags:
        personas = tuple(persona._replace(properties=(), sets=()) for persona in people.personas)
    elif excluded := (*flags.get("exclude", ()), *context.params["ignore"]):
        personas = tuple(_without(persona, excluded) for persona in people.personas)
    else:
        return people
    if not any(persona.is_recorded for persona in personas):
        raise UsageError("without its properties, no persona has anything to send", "leave the flag out")
    return people.with_personas(personas)


def _check_no_lists(people: People) -> None:
    for persona in people.personas:
        if persona.properties is not None:
            raise UsageError(
                f"--property cannot be used: km.toml lists the properties of the persona {persona.name!r}",
                "add the column to that persona: properties = […]",
            )


def _without(persona: Persona, excluded: Collection[str]) -> Persona:
    properties = persona.properties
    return persona._replace(
        properties=properties if properties is None else _remaining(properties, excluded),
        sets=_remaining(persona.sets, excluded),
    )


def _remaining(columns: Iterable[str], excluded: Collection[str]) -> tuple[str, ...]:
    """Return the columns that are neither excluded nor inside an excluded one (`plan.name` in `plan`).

    Case does not matter, as for all names of columns.
    """
    names = {name.casefold() for name in excluded}
    inside = tuple(f"{name}." for name in names)
    return tuple(
        column
        for column in columns
        if column.casefold() not in names and not column.casefold().startswith(inside)
    )


def _united(before: object, flag: Iterable[str]) -> tuple[str, ...]:
    """Return km.toml's list, if it has one, and the flag's, each column once."""
    return tuple(dict.fromkeys((*(before if isinstance(before, list) else ()), *flag)))


def _stronger(context: click.Context, one: str, other: str) -> tuple[Any, Any]:
    """Return two values of which only one may be set, with the weaker one emptied.

    A flag overrides km.toml here too: --event overrides `event_name`. Raises UsageError if both come from
    the same source, because then neither is stronger.
    """
    flags, source = context.params, context.get_parameter_source
    first, second = (_STRENGTH.index(source(name) or ParameterSource.DEFAULT) for name in (one, other))
    if not (flags[one] and flags[other]):
        return flags[one], flags[other]
    if first == second:
        both = " and ".join(_spelled(context, name) for name in (one, other))
        raise UsageError(f"{both} contradict each other", "give one of them")
    return (flags[one], type(flags[other])()) if first > second else (type(flags[one])(), flags[other])


def _spelled(context: click.Context, name: str) -> str:
    return next(param.opts[0] for param in context.command.params if param.name == name)


def _check_event_name(name: str) -> None:
    if name and not fold_name(name):
        raise UsageError("--event-name is empty", "give the event of every row, as --event-name Billed")
    if len(name) > LONGEST_NAME:
        raise UsageError(
            f"--event-name has {len(name)} characters; Kissmetrics takes at most {LONGEST_NAME} (D4)",
            "give a shorter name",
        )
