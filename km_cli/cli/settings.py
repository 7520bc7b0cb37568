"""Flags → Settings."""

from __future__ import annotations

import math
import os
import re
import time
from pathlib import Path
from typing import Any

from km_cli.allowance import make_allowance
from km_cli.config import Settings, environment, state_folder
from km_cli.destinations import parse_target
from km_cli.errors import UsageError
from km_cli.inputs import expand, make_shape
from km_cli.mapping import Clocking, Wanted, make_part
from km_cli.names import LONGEST_NAME, fold_name, nearest
from km_cli.planning import Collisions
from km_cli.strategies import STRATEGIES


def make_settings(flags: dict[str, Any]) -> Settings:
    """Return what the flags (by their parameters' names) and the environment say together.

    Raises UsageError for what cannot go together.
    """
    folder = state_folder()
    target = parse_target(flags["to"], folder / "local.db")
    if target.kind == "local" and flags["ledger"]:
        raise UsageError(
            "--to local keeps its own ledger in its file", "leave --ledger out, or use --to local:PATH"
        )
    for name in ("rate", "timeout"):
        if flags[name] is not None and not math.isfinite(flags[name]):
            raise UsageError(f"--{name} {flags[name]} is no number", "give a number above 0")
    if not re.fullmatch(r"[\w.-]+", flags["site"]):
        raise UsageError(
            f"--site {flags['site']!r} is no name", "use letters, digits, dots, dashes and underscores"
        )
    if flags.get("quiet") and flags.get("verbose"):
        raise UsageError("-q and -v contradict each other", "give one of them")
    if not all(value.strip() for value in flags["allowed"]):
        raise UsageError(
            "--allow-id is empty: without an identity there is nobody who did it",
            "name the value that stands in the log, as --allow-id guest",
        )
    ledger = Path(flags["ledger"]).expanduser() if flags["ledger"] else folder / "ledger.db"
    if target.kind == "local":
        ledger = Path(target.place)
    rejects = flags.get("rejects")
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    settings = Settings(
        files=expand(flags["files"]),
        shape=make_shape(flags["format"] or "", flags["encoding"], flags["delimiter"]),
        target=target,
        site=flags["site"],
        strategy=flags["strategy"],
        personas=STRATEGIES[flags["strategy"]](flags["site"]),
        wanted=_wanted(flags),
        clocking=_clocking(flags),
        part=make_part(flags["since"], flags["until"], flags["only"], flags["skip"], flags["timezone"]),
        allowed=tuple(flags["allowed"]),
        collisions=Collisions(flags["collisions"]),
        spread=flags["spread"],
        limit=flags["limit"],
        max_rejects=make_allowance(flags["max_rejects"]) if flags["max_rejects"] else None,
        batch_size=flags["batch_size"],
        concurrency=flags["concurrency"],
        rate=flags["rate"],
        timeout=flags["timeout"],
        attempts=flags["attempts"],
        ledger=ledger,
        rejects=Path(rejects).expanduser()
        if rejects
        else ledger.with_name(f"rejects-{stamp}-{os.getpid()}.jsonl"),
        environment=environment(),
    )
    _check_files(settings)
    return settings


def _wanted(flags: dict[str, Any]) -> Wanted:
    if flags["no_properties"] and flags["properties"]:
        raise UsageError("--no-properties and --property contradict each other", "give one of them")
    if flags["event"] and flags["event_name"]:
        raise UsageError("--event and --event-name contradict each other", "give one of them")
    _check_event_name(flags["event_name"])
    return Wanted(
        flags["user"],
        flags["account"],
        flags["event"],
        flags["timestamp"],
        flags["event_id"],
        () if flags["no_properties"] else tuple(flags["properties"]) or None,
        tuple(flags["exclude"]),
        flags["flatten"],
        flags["event_name"].strip(),
    )


def _check_event_name(name: str) -> None:
    if name and not fold_name(name):
        raise UsageError("--event-name is empty", "name what every row did, as --event-name Billed")
    if len(name) > LONGEST_NAME:
        raise UsageError(
            f"--event-name has {len(name)} characters, over {LONGEST_NAME} (D4)", "give a shorter one"
        )


def _clocking(flags: dict[str, Any]) -> Clocking:
    zone, form = flags["timezone"], flags["time_format"]
    if zone:
        _check_zone(zone)
    if form:
        _check_form(form)
    return Clocking(zone, form, flags["ambiguous"] or "")


def _check_zone(zone: str) -> None:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(zone)
    except (ValueError, OSError, LookupError):
        near = nearest(zone, available_timezones())
        hint = f"did you mean {near}?" if near else "for example Europe/Berlin, America/New_York or UTC"
        raise UsageError(f"--timezone {zone!r} is no zone that is known here", hint) from None


def _check_form(form: str) -> None:
    """Raise UsageError for a form that can't be read back, has no date, or a zone that would be lost."""
    from datetime import UTC, datetime

    if "%Z" in form.replace("%%", ""):
        raise UsageError(
            "--time-format with %Z: names of zones can't be told apart",
            "write the name as it stands, as in '%H:%M UTC', and say --timezone",
        )
    moment = datetime(2019, 11, 23, 21, 45, 56, tzinfo=UTC)
    try:
        day = datetime.strptime(moment.strftime(form), form).date()
    except ValueError:
        day = None
    if day != moment.date():
        raise UsageError(
            f"--time-format {form!r} is no form of a whole date",
            "for example '%d/%m/%Y %H:%M:%S' or '%m/%d/%Y'",
        )


def _check_files(settings: Settings) -> None:
    if settings.files.count("-") > 1:
        raise UsageError("standard input (-) can be read only once", "name it once")
    for name in settings.files:
        if (
            name != "-"
            and settings.rejects.exists()
            and Path(name).exists()
            and settings.rejects.samefile(name)
        ):
            raise UsageError(
                f"{name} is read and would be written to as the rejects file",
                "give another place: --rejects PATH",
            )
