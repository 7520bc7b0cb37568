"""Flags → Settings: the flags of a command, the environment and km.toml, checked before the run."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from km_cli.cli.column_flags import columns_named_at, make_column_options, with_property_flags
from km_cli.cli.context import KmTomlFile, environment_of, km_toml_of, label_of_flag
from km_cli.cli.own_columns import context_of_export, context_of_source, is_own, source_table
from km_cli.cli.own_files import check_inputs, check_no_key, check_rejects_file, check_store
from km_cli.cli.query_flags import has_query, with_query
from km_cli.cli.time_flags import make_time_options
from km_cli.config.environment import Environment
from km_cli.config.files import expanded
from km_cli.config.hashing import make_hasher
from km_cli.config.kmtoml import BackfillTable, KmToml
from km_cli.config.membership import read_members
from km_cli.config.people import People, make_people
from km_cli.config.reject_limit import make_reject_limit
from km_cli.config.settings import Settings, Transport
from km_cli.destinations import Target, parse_target
from km_cli.errors import UsageError
from km_cli.inputs import expand, make_format_options
from km_cli.ledger import check_name
from km_cli.mapping import ColumnOptions, Members, Selection, TimeOptions, make_selection
from km_cli.model import Overlap
from km_cli.planning import Collisions


def make_settings(context: click.Context) -> Settings:
    """Return the settings of a run, from the flags of its command, the environment and km.toml.

    Raises UsageError for values that are wrong or contradict each other.
    """
    source = context.params.get("source") or ""
    if source:
        table = source_table(context, source)
        context, source = context_of_source(context, table), source if is_own(table) else ""
    else:
        context = context_of_export(context)
    flags, environment = context.params, environment_of(context)
    target = parse_target(flags["to"], environment.state_folder)
    _check_flags(context, target)
    ledger, rejects = _places(flags, target, environment)
    settings = Settings(
        files=expand(flags.get("files", ())),
        target=target,
        ledger=ledger,
        rejects=rejects,
        environment=environment.variables,
        allowed=tuple(flags["allowed"]),
        allow_alias=flags["allow_alias"],
        source=source,
        sources=tuple(table.name for table in km_toml_of(context).config.backfill if is_own(table)),
        named_events=(*flags["only"], *flags["skip"]),
        overlap=Overlap(flags["overlap"]),
        as_new=flags["as_new"],
        limit=flags["limit"],
        max_rejects=make_reject_limit(flags["max_rejects"]) if flags["max_rejects"] else None,
        collisions=Collisions(flags["collisions"]),
        spread=flags["spread"],
        batch_size=flags["batch_size"],
        **_how_read(context),
        **_how_sent(flags),
    )
    _check_files(context, settings)
    return with_query(context, settings) if has_query(context) else settings


def settings_without_input(context: click.Context) -> Settings:
    """Return the settings of a run that only sends pending calls: nothing is read, mapped or planned.

    Raises UsageError for values that are wrong or contradict each other.
    """
    flags, environment = context.params, environment_of(context)
    target = parse_target(flags["to"], environment.state_folder)
    _check_sending_flags(context, target)
    ledger, rejects = _places(flags, target, environment)
    settings = Settings(
        files=(),
        format_options=make_format_options("", "", ""),
        target=target,
        people=make_people(KmToml(), Path(), strategy="toggle", site="", columns={}, allow_alias=False),
        members=None,
        column_options=ColumnOptions(),
        time_options=TimeOptions(),
        selection=Selection(),
        allowed=(),
        overlap=Overlap.ASK,
        as_new=False,
        limit=None,
        max_rejects=None,
        ledger=ledger,
        rejects=rejects,
        environment=environment.variables,
        collisions=Collisions.SPREAD,
        spread=0,
        batch_size=1,
        **_how_sent(flags),
    )
    _check_files(context, settings)
    return settings


def settings_of_source(context: click.Context, settings: Settings, table: BackfillTable) -> Settings:
    """Return the settings of a backfill, with the columns, personas and format of one of its sources.

    Raises UsageError for values that are wrong or contradict each other.
    """
    own = context_of_source(context, table)
    return replace(settings, **_how_read(own), source=table.name if is_own(table) else "")


def _how_read(context: click.Context) -> dict[str, Any]:
    """Return the settings by which a row is read and becomes an event. A source may have its own."""
    flags, time_options, km_toml = context.params, make_time_options(context), km_toml_of(context)
    hasher = make_hasher(km_toml.config.columns, km_toml.folder)
    people, skipped = _people(context), _skipped(context)
    return {
        "format_options": make_format_options(flags["format"] or "", flags["encoding"], flags["delimiter"]),
        "export": flags["export"] or "",
        "people": people,
        "members": _members(context, people, time_options),
        "column_options": make_column_options(context, hasher),
        "hasher": hasher,
        "time_options": time_options,
        "selection": make_selection(
            flags["since"], flags["until"], flags["only"], (*skipped, *flags["skip"]), flags["timezone"]
        ),
        "skipped": skipped,
        "named_at": columns_named_at(context),
    }


def _how_sent(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of delivery."""
    return {
        "concurrency": None if flags["concurrency"] == "auto" else flags["concurrency"],
        "rate": flags["rate"],
        "timeout": flags["timeout"],
        "attempts": flags["attempts"],
        "transport": Transport(flags["transport"]),
        "part_size": flags.get("part_size") or 0,
    }


def _skipped(context: click.Context) -> tuple[str, ...]:
    """Return the events that km.toml leaves out. --skip adds to them."""
    skipped = km_toml_of(context).config.columns.skip
    return tuple(skipped) if isinstance(skipped, list) else ()


def _check_flags(context: click.Context, target: Target) -> None:
    """Raise UsageError for flags without a meaning, and for flags that contradict each other."""
    flags = context.params
    _check_sending_flags(context, target)
    for name in _NAMES:
        for text in _texts(flags.get(name)):
            _check_text(context, name, text)
    if not all(value.strip() for value in flags["allowed"]):
        raise UsageError(
            "--allow-id is empty: an event without an identity cannot be recorded",
            "give the value as it is in the log, as --allow-id guest",
        )


def _check_sending_flags(context: click.Context, target: Target) -> None:
    """Raise UsageError for flags about sending that have no meaning, or contradict each other."""
    flags = context.params
    if target.own_ledger is not None and flags["ledger"] is not None:
        raise UsageError(
            f"--to {flags['to']} keeps its own ledger in its file",
            f"leave --ledger out, or use --to {target.tracker}:PATH",
        )
    check_store(flags["to"], target)
    target.check()
    if target.bulk() is None and context.get_parameter_source("part_size") in _GIVEN:
        raise UsageError(
            f"{label_of_flag(context, 'part_size')} is for bulk files alone",
            "leave it out, or write files: --to file:PATH.json",
        )
    _check_part_size(context, target)
    for name in ("rate", "timeout", "wait", "max_time"):
        if flags.get(name) is not None and not math.isfinite(flags[name]):
            raise UsageError(
                f"{label_of_flag(context, name)} {flags[name]} is not a number", "give a number above 0"
            )
    if flags.get("quiet") and flags.get("verbose"):
        raise UsageError("-q and -v contradict each other", "give one of them")
    if flags["site"] and not re.fullmatch(r"[\w.-]+", flags["site"]):
        raise UsageError(
            f"--site {flags['site']!r} is not a valid name",
            "use letters, digits, dots, dashes and underscores",
        )


_MOST_AT_ONCE = 5 * 1000**3
"""Bytes. An object store takes no more in one request: 5 GiB, and a file may be longer by one line."""


def _check_part_size(context: click.Context, target: Target) -> None:
    """Raise UsageError if a file of --part-size cannot be uploaded in one request."""
    series, size = target.bulk(), context.params.get("part_size") or 0
    if series is not None and series.bucket is not None and size > _MOST_AT_ONCE:
        raise UsageError(
            f"{label_of_flag(context, 'part_size')} {size:,} is more than an object store takes at once",
            "give 5G or less",
        )


_GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)

_NAMES = (
    *("user", "account", "event", "event_name", "timestamp", "event_id", "properties", "exclude", "ignore"),
    *("only", "skip", "where", "allowed", "time_format"),
)
"""The options whose values are compared with the contents of a log."""


def _texts(value: object) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (value,) if isinstance(value, str) else ()


def _check_text(context: click.Context, name: str, text: str) -> None:
    """Raise UsageError for an argument that is not UTF-8: neither a log nor a call can contain it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{label_of_flag(context, name)} {text!r} is not UTF-8", "write the name as it is in the log"
        ) from None


def _places(flags: dict[str, Any], target: Target, environment: Environment) -> tuple[Path, Path]:
    """Return the paths of the ledger and of the rejects file.

    By default the rejects file has the time and the process in its name, so that no run writes into the
    rejects of another.
    """
    given = flags["ledger"] if target.own_ledger is None else str(target.own_ledger)
    ledger = environment.state_folder / "ledger.db" if given is None else expanded(given, "--ledger")
    check_name(ledger)
    if rejects := flags.get("rejects"):
        return ledger, expanded(rejects, "--rejects")
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(environment.clock.now()))
    return ledger, ledger.with_name(f"rejects-{stamp}-{environment.run_id}.jsonl")


def _people(context: click.Context) -> People:
    flags, km_toml = context.params, km_toml_of(context)
    if km_toml.config.personas:
        _check_personas_alone(km_toml)
    strategy = flags["strategy"] or ("" if km_toml.config.personas else "toggle")
    people = make_people(
        km_toml.config,
        km_toml.folder,
        strategy=strategy,
        site=flags["site"],
        columns={name: flags[name] for name in ("user", "account") if flags[name]},
        allow_alias=flags["allow_alias"],
    )
    return with_property_flags(context, people)


def _check_personas_alone(km_toml: KmTomlFile) -> None:
    """Raise UsageError for keys of km.toml that its personas replace."""
    if isinstance(km_toml.config.strategy, str):
        raise UsageError(f"{km_toml.path}: it has both a strategy and personas", "leave one of them out")
    for name in ("user", "account"):
        if isinstance(getattr(km_toml.config.columns, name), str):
            raise UsageError(
                f"{km_toml.path}: columns.{name} cannot be used together with personas",
                "give the column in the persona: column = …",
            )


def _members(context: click.Context, people: People, time_options: TimeOptions) -> Members | None:
    km_toml = km_toml_of(context)
    if not km_toml.config.members:
        return None
    if file := km_toml.config.members.get("file"):
        label = "km.toml, members.file:"
        check_no_key(context, km_toml.folder / expanded(file, label), f"{label} {file}")
    now = environment_of(context).clock.now()
    return read_members(km_toml.config.members, km_toml.folder, people.personas, time_options, now)


def _check_files(context: click.Context, settings: Settings) -> None:
    if settings.files.count("-") > 1:
        raise UsageError("standard input (-) can be read only once", "name it once")
    check_inputs(context, settings)
    check_rejects_file(context, settings)
