"""Options that commands share, in groups. Light to import: what they mean is made in `settings.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def _all(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


files = click.argument("files", nargs=-1, required=True, metavar="FILE...")

columns = _all(
    click.option(
        "--user", metavar="NAME", default="", help="Column of the user. Default: user, user_id, email, …"
    ),
    click.option(
        "--account",
        metavar="NAME",
        default="",
        help="Column of the account. Default: account, account_id, company, …",
    ),
    click.option(
        "--event", metavar="NAME", default="", help="Column of the event. Default: event, event_name, …"
    ),
    click.option(
        "--timestamp",
        metavar="NAME",
        default="",
        help="Column of the time. Default: timestamp, time, created_at, …",
    ),
    click.option(
        "--id", "event_id", metavar="NAME", default="", help="Column of the log's own id of the event."
    ),
    click.option(
        "--property",
        "properties",
        metavar="NAME",
        multiple=True,
        help="Send this column as a property (repeatable). Default: every column not named elsewhere.",
    ),
    click.option(
        "--exclude-property",
        "exclude",
        metavar="NAME",
        multiple=True,
        help="Do not send this column (repeatable).",
    ),
    click.option("--no-properties", is_flag=True, help="Send no properties."),
    click.option("--flatten", is_flag=True, help="Send nested JSON as plan.name, plan.price, …"),
    click.option(
        "--allow-id",
        "allowed",
        metavar="VALUE",
        multiple=True,
        help="Let an identity like 'guest' through (repeatable).",
    ),
)

times = _all(
    click.option(
        "--timezone", metavar="ZONE", default="", help="Zone of times without an offset, as Europe/Berlin."
    ),
    click.option(
        "--time-format", metavar="FORMAT", default="", help="Form of unusual times, as %d/%m/%Y %H:%M."
    ),
    click.option(
        "--ambiguous",
        type=click.Choice(["earlier", "later"]),
        default=None,
        help="Which one is meant in the hour that a clock change doubles.",
    ),
)

part = click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help="Take the first N rows only; the next run goes on behind them.",
)

delivery = _all(
    click.option(
        "--to",
        default="kissmetrics",
        metavar="WHERE",
        show_default=True,
        help="kissmetrics, an https:// base URL, or local[:PATH], a store on this machine.",
    ),
    click.option(
        "--strategy",
        type=click.Choice(["toggle"]),
        default="toggle",
        show_default=True,
        help="How a row becomes calls.",
    ),
    click.option(
        "--site", metavar="NAME", default="main", show_default=True, help="Name of the Kissmetrics site."
    ),
    click.option(
        "--collisions",
        type=click.Choice(["spread", "keep", "reject"]),
        default="spread",
        show_default=True,
        help="What to do with calls that Kissmetrics would merge.",
    ),
    click.option(
        "--spread",
        type=click.IntRange(0, 3600),
        default=60,
        show_default=True,
        metavar="SECONDS",
        help="How far a call may be moved so that it does not merge.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(1, 100_000),
        default=500,
        show_default=True,
        metavar="ROWS",
        help="Rows a batch.",
    ),
    click.option(
        "--concurrency",
        type=click.IntRange(1, 1024),
        default=16,
        show_default=True,
        metavar="N",
        help="Calls in flight.",
    ),
    click.option(
        "--rate", type=click.FloatRange(0, min_open=True), metavar="N", help="At most N calls a second."
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=30.0,
        show_default=True,
        metavar="SECONDS",
        help="For one attempt.",
    ),
    click.option(
        "--attempts",
        type=click.IntRange(1),
        default=10,
        show_default=True,
        metavar="N",
        help="Before a call is left pending for the next run.",
    ),
)

ledger = click.option(
    "--ledger", metavar="PATH", help="Where it is remembered what was sent. Default: the state folder."
)
rejects = click.option(
    "--rejects", metavar="PATH", help="Where rejected rows go, to be corrected. Default: beside the ledger."
)
as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print one summary object, and nothing else there."
)
