"""Flags → Settings."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from km_cli.cli.configured import environment_of, said, taken
from km_cli.config.environment import Environment
from km_cli.config.files import expanded
from km_cli.config.membership import read_members
from km_cli.config.people import People, people_of
from km_cli.config.reject_limit import make_reject_limit
from km_cli.config.settings import Settings
from km_cli.destinations import Target, parse_target
from km_cli.errors import UsageError, did_you_mean
from km_cli.inputs import expand, make_format_options
from km_cli.kissmetrics import LONGEST_NAME, fold_name
from km_cli.ledger import check_name
from km_cli.mapping import ColumnOptions, Members, TimeOptions, make_selection
from km_cli.model import Overlap, Persona
from km_cli.planning import Collisions
from km_cli.rejects.file import check_content, check_place


def make_settings(context: click.Context) -> Settings:
    """Return what the flags of a command, the environment and km.toml say together.

    Raises UsageError for what cannot go together.
    """
    flags, environment = context.params, environment_of(context)
    target = parse_target(flags["to"], environment.state_folder)
    _check_flags(context, target)
    ledger, rejects = _places(flags, target, environment)
    time_options = _clocking(context)
    people = _people(context)
    skipped = _skipped(context)
    settings = Settings(
        files=expand(flags.get("files", ())),
        format_options=make_format_options(flags["format"] or "", flags["encoding"], flags["delimiter"]),
        target=target,
        people=people,
        members=_members(context, people, time_options),
        column_options=_column_options(context),
        time_options=time_options,
        selection=make_selection(
            flags["since"], flags["until"], flags["only"], (*skipped, *flags["skip"]), flags["timezone"]
        ),
        allowed=tuple(flags["allowed"]),
        collisions=Collisions(flags["collisions"]),
        spread=flags["spread"],
        overlap=Overlap(flags["overlap"]),
        as_new=flags["as_new"],
        limit=flags["limit"],
        max_rejects=make_reject_limit(flags["max_rejects"]) if flags["max_rejects"] else None,
        batch_size=flags["batch_size"],
        concurrency=flags["concurrency"],
        rate=flags["rate"],
        timeout=flags["timeout"],
        attempts=flags["attempts"],
        ledger=ledger,
        rejects=rejects,
        environment=environment.variables,
        skipped=skipped,
    )
    _check_files(context, settings)
    return settings


def _skipped(context: click.Context) -> tuple[str, ...]:
    """Return the events that km.toml leaves out: what it leaves out stays out, a flag adds to it."""
    skipped = taken(context).config.columns.skip
    return tuple(skipped) if isinstance(skipped, list) else ()


def _check_flags(context: click.Context, target: Target) -> None:
    """Raise UsageError for flags that mean nothing, or contradict each other."""
    flags = context.params
    if target.own_ledger is not None and flags["ledger"] is not None:
        raise UsageError(
            f"--to {flags['to']} keeps its own ledger in its file",
            f"leave --ledger out, or use --to {target.tracker}:PATH",
        )
    for name in ("rate", "timeout", "wait", "max_time"):
        if flags.get(name) is not None and not math.isfinite(flags[name]):
            raise UsageError(f"{_said(context, name)} {flags[name]} is no number", "give a number above 0")
    if flags.get("quiet") and flags.get("verbose"):
        raise UsageError("-q and -v contradict each other", "give one of them")
    for name in _NAMES:
        for text in _texts(flags.get(name)):
            _check_text(context, name, text)
    if not all(value.strip() for value in flags["allowed"]):
        raise UsageError(
            "--allow-id is empty: without an identity there is nobody who did it",
            "name the value that stands in the log, as --allow-id guest",
        )


_NAMES = (
    *("user", "account", "event", "event_name", "timestamp", "event_id", "properties", "exclude", "ignore"),
    *("only", "skip", "allowed", "time_format"),
)
"""The options that name what stands in a log."""


def _texts(value: object) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (value,) if isinstance(value, str) else ()


def _check_text(context: click.Context, name: str, text: str) -> None:
    """Raise UsageError for bytes of the command line that are no text: no log and no call can have them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{_said(context, name)} {text!r} is not text in UTF-8", "write the name as it stands in the log"
        ) from None


def _said(context: click.Context, name: str) -> str:
    return said(context, next(param for param in context.command.params if param.name == name))


def _places(flags: dict[str, Any], target: Target, environment: Environment) -> tuple[Path, Path]:
    """Return where the ledger is, and where rejects go."""
    given = flags["ledger"] if target.own_ledger is None else str(target.own_ledger)
    ledger = environment.state_folder / "ledger.db" if given is None else expanded(given, "--ledger")
    check_name(ledger)
    if rejects := flags.get("rejects"):
        return ledger, expanded(rejects, "--rejects")
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(environment.clock.now()))
    return ledger, ledger.with_name(f"rejects-{stamp}-{environment.run_id}.jsonl")


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(f"{path} names the home of an unknown user", "write it out") from None


def _people(context: click.Context) -> People:
    flags = context.params
    if flags["site"] and not re.fullmatch(r"[\w.-]+", flags["site"]):
        raise UsageError(
            f"--site {flags['site']!r} is no name", "use letters, digits, dots, dashes and underscores"
        )
    found = taken(context)
    strategy = flags["strategy"] or ""
    if found.config.personas:
        if isinstance(found.config.strategy, str):
            raise UsageError(f"{found.path}: it has both a strategy and personas", "leave one of them out")
        for name in ("user", "account"):
            if isinstance(getattr(found.config.columns, name), str):
                raise UsageError(
                    f"{found.path}: columns.{name} beside personas",
                    "say it in the persona: column = …",
                )
    else:
        strategy = strategy or "toggle"
    columns = {name: flags[name] for name in ("user", "account") if flags[name]}
    people = people_of(
        found.config,
        found.folder,
        strategy=strategy,
        site=flags["site"],
        columns=columns,
        allow_alias=flags["allow_alias"],
    )
    return _with_properties(context, people)


def _with_properties(context: click.Context, people: People) -> People:
    """Lay what flags say of properties over what km.toml's personas list: no flag sends more than it says.

    Raises UsageError if --property stands beside such a list, and if nothing is left to send.
    """
    flags = {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    if "properties" in flags:
        for persona in people.personas:
            if persona.properties is not None:
                raise UsageError(
                    f"--property beside the properties that km.toml lists for the persona {persona.name!r}",
                    "say it in the persona: properties = […]",
                )
    if "no_properties" in flags:
        personas = tuple(persona._replace(properties=(), sets=()) for persona in people.personas)
    elif excluded := (*flags.get("exclude", ()), *context.params["ignore"]):
        personas = tuple(_without(persona, excluded) for persona in people.personas)
    else:
        return people
    if not any(persona.is_recorded for persona in personas):
        raise UsageError("without the properties there is nothing to send", "leave the flag out")
    return people.with_personas(personas)


def _without(persona: Persona, excluded: Collection[str]) -> Persona:
    properties = persona.properties
    return persona._replace(
        properties=properties if properties is None else _left(properties, excluded),
        sets=_left(persona.sets, excluded),
    )


def _left(columns: Iterable[str], excluded: Collection[str]) -> tuple[str, ...]:
    """Return the columns that are not excluded, nor inside of what is, named as columns are: in any case."""
    names = {name.casefold() for name in excluded}
    inside = tuple(f"{name}." for name in names)
    return tuple(
        column
        for column in columns
        if column.casefold() not in names and not column.casefold().startswith(inside)
    )


def _members(context: click.Context, people: People, time_options: TimeOptions) -> Members | None:
    found = taken(context)
    if not found.config.members:
        return None
    return read_members(
        found.config.members, found.folder, people.personas, time_options, environment_of(context).clock.now()
    )


def _column_options(context: click.Context) -> ColumnOptions:
    flags = context.params
    no_properties, properties = _stronger(context, "no_properties", "properties")
    event, event_name = _stronger(context, "event", "event_name")
    _check_event_name(event_name)
    # What km.toml keeps in stays in: a flag adds to it.
    kept_in = taken(context).config.columns.exclude
    before = kept_in if isinstance(kept_in, list) else []
    excluded = tuple(dict.fromkeys((*before, *flags["exclude"])))
    ignored_before = taken(context).config.columns.ignore
    ignored_before = ignored_before if isinstance(ignored_before, list) else []
    ignored = tuple(dict.fromkeys((*ignored_before, *flags["ignore"])))
    return ColumnOptions(
        event,
        flags["timestamp"],
        flags["event_id"],
        () if no_properties else _left(properties, (*excluded, *ignored)) if properties else None,
        excluded,
        flags["flatten"],
        event_name.strip(),
        ignored,
    )


_STRENGTH = [
    ParameterSource.DEFAULT,
    ParameterSource.DEFAULT_MAP,
    ParameterSource.ENVIRONMENT,
    ParameterSource.COMMANDLINE,
]


def _stronger(context: click.Context, one: str, other: str) -> tuple[Any, Any]:
    """Return two values that exclude each other, the weaker one emptied: km.toml gives way to a flag.

    Raises UsageError if both were said in the same place.
    """
    flags, source = context.params, context.get_parameter_source
    first, second = (_STRENGTH.index(source(name) or ParameterSource.DEFAULT) for name in (one, other))
    if flags[one] and flags[other] and first == second:
        both = " and ".join(
            f"--{name.replace('_', '-').replace('properties', 'property')}" for name in (one, other)
        )
        raise UsageError(
            f"{both.replace('no-property', 'no-properties')} contradict each other", "give one of them"
        )
    if flags[one] and flags[other]:
        return (flags[one], type(flags[other])()) if first > second else (type(flags[one])(), flags[other])
    return flags[one], flags[other]


def _check_event_name(name: str) -> None:
    if name and not fold_name(name):
        raise UsageError("--event-name is empty", "name what every row did, as --event-name Billed")
    if len(name) > LONGEST_NAME:
        raise UsageError(
            f"--event-name has {len(name)} characters, over {LONGEST_NAME} (D4)", "give a shorter one"
        )


def _clocking(context: click.Context) -> TimeOptions:
    flags = context.params
    zone, form = flags["timezone"], flags["time_format"]
    if zone:
        _check_zone(zone, _said(context, "timezone"))
    if form:
        _check_form(form)
    return TimeOptions(zone, form, flags["ambiguous"] or "")


def _check_zone(zone: str, place: str) -> None:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(zone)
    except (ValueError, OSError, LookupError):
        hint = did_you_mean(zone, available_timezones(), "for example Europe/Berlin, America/New_York or UTC")
        raise UsageError(f"{place} {zone!r} is no zone that is known here", hint) from None


def _check_form(form: str) -> None:
    """Raise UsageError for a form that can't be read back, has no date, or loses a zone or half a day."""
    import re
    from datetime import UTC, datetime

    plain = form.replace("%%", "")
    if "%Z" in plain:
        raise UsageError(
            "--time-format with %Z: names of zones can't be told apart",
            "write the name as it stands, as in '%H:%M UTC', and say --timezone",
        )
    halves = re.search(r"%[HIMSfTX]\s*[ap]\.?m\b", plain, re.IGNORECASE)
    if halves or ("%p" in plain) != ("%I" in plain) or ("%p" in plain and "%H" in plain):
        raise UsageError(
            f"--time-format {form!r} does not tell morning from afternoon",
            "%I is the hour beside AM or PM, which is %p, as in '%m/%d/%Y %I:%M %p'; %H is one of 24",
        )
    moment = datetime(2019, 11, 23, 21, 45, 56, tzinfo=UTC)
    try:
        day = datetime.strptime(moment.strftime(form), form).date()
    except (ValueError, LookupError, TypeError, ArithmeticError, re.error):
        # What strptime does not foresee, as one directive twice, it lets fall through from below.
        day = None
    if day != moment.date():
        raise UsageError(
            f"--time-format {form!r} is no form of a whole date",
            "for example '%d/%m/%Y %H:%M:%S' or '%m/%d/%Y'",
        )


def _check_files(context: click.Context, settings: Settings) -> None:
    if settings.files.count("-") > 1:
        raise UsageError("standard input (-) can be read only once", "name it once")
    for name in settings.files:
        if name != "-" and _is_same(settings.rejects, Path(name)):
            raise UsageError(f"{name} is read and would be written to as the rejects file", _ELSEWHERE)
    for place, what in kept_places(context, settings):
        if _is_same(settings.rejects, place):
            raise UsageError(f"--rejects {settings.rejects} is {what}", _ELSEWHERE)
    if context.params.get("rejects"):
        check_place(settings.rejects)
    check_content(settings.rejects)


_ELSEWHERE = "give another place: --rejects PATH"


def kept_places(context: click.Context, settings: Settings) -> Iterator[tuple[Path, str]]:
    """Yield the files by which a run is told what to do, and the ledger's; and what each is."""
    ledger, found = settings.ledger, taken(context)
    for ending in ("", "-wal", "-shm", "-journal", ".lock"):
        yield ledger.with_name(ledger.name + ending), "the ledger, or beside it and part of it"
    if found.path:
        yield found.path, "km.toml"
    for table in found.config.sites.values():
        if table.key_file:
            yield found.folder / expanded(table.key_file, "km.toml, key_file:"), "a key file"
    if "file" in found.config.members:
        members = expanded(found.config.members["file"], "km.toml, members.file:")
        yield found.folder / members, "the members' file"


def _is_same(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to the same file, whether or not it is there yet."""
    try:
        return one.resolve() == other.resolve() or one.samefile(other)
    except (OSError, RuntimeError):
        return False
