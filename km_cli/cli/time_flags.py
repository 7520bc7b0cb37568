"""The flags about times: --timezone, --time-format and --ambiguous."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import click

from km_cli.cli.context import label_of_flag
from km_cli.errors import UsageError, did_you_mean
from km_cli.mapping import LOCAL_EPOCH, TimeOptions


def make_time_options(context: click.Context) -> TimeOptions:
    """Return how times are to be read. Raises UsageError for an unknown zone and a format that loses time."""
    flags = context.params
    if flags["timezone"]:
        _check_zone(flags["timezone"], label_of_flag(context, "timezone"))
    if flags["time_format"] not in ("", LOCAL_EPOCH):
        _check_format(flags["time_format"])
    return TimeOptions(flags["timezone"], flags["time_format"], flags["ambiguous"] or "")


def _check_zone(zone: str, label: str) -> None:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(zone)
    except (ValueError, OSError, LookupError):
        hint = did_you_mean(zone, available_timezones(), "for example Europe/Berlin, America/New_York or UTC")
        raise UsageError(f"{label} {zone!r} is not a time zone that this machine knows", hint) from None


def _check_format(form: str) -> None:
    """Raise UsageError for a format that has no whole date, or that loses a zone or half a day.

    `strptime` itself would accept such a format, and every event would get a wrong time.
    """
    plain = form.replace("%%", "")
    if "%Z" in plain:
        raise UsageError(
            "--time-format cannot have %Z: names of zones such as CST are ambiguous",
            "write the name itself into the format, as in '%H:%M UTC', and give its zone as --timezone",
        )
    halves = re.search(r"%[HIMSfTX]\s*[ap]\.?m\b", plain, re.IGNORECASE)
    if halves or ("%p" in plain) != ("%I" in plain) or ("%p" in plain and "%H" in plain):
        raise UsageError(
            f"--time-format {form!r} does not tell morning from afternoon",
            "use %I with %p for AM and PM, as in '%m/%d/%Y %I:%M %p', and %H for the 24-hour clock",
        )
    moment = datetime(2019, 11, 23, 21, 45, 56, tzinfo=UTC)
    if _read_back(moment, form) != moment.date():
        raise UsageError(
            f"--time-format {form!r} has no whole date",
            "for example '%d/%m/%Y %H:%M:%S' or '%m/%d/%Y'",
        )


def _read_back(moment: datetime, form: str) -> date | None:
    """Write a moment in the format and read it again; None if that fails."""
    try:
        return datetime.strptime(moment.strftime(form), form).date()
    except (ValueError, LookupError, TypeError, ArithmeticError, re.error):
        # strptime checks little: a directive that stands twice, for one, raises an error of `re`.
        return None
