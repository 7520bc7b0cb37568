"""The options that several commands share, in groups. `settings.py` turns their values into Settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from km_cli.cli.sections import AutoOrNumber, Decorated, option, section

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    _Choice = click.Choice[str]
else:
    _Choice = click.Choice


def paths(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let a shell complete names of files. The type of the option stays text, because - is not a path."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


class _Words(_Choice):
    """The words of a registry. They are looked up when they are needed: `--help` is to load no registry."""

    def __init__(self, look_up: Callable[[], Iterable[str]]) -> None:
        self._look_up = look_up
        super().__init__(())

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that are registered."""
        return tuple(self._look_up())

    @choices.setter
    def choices(self, _none: object) -> None:
        """Ignore the choices that click sets; the registry has them."""


def _formats() -> Iterable[str]:
    from km_cli.inputs.formats import format_words

    return format_words()


def _exports() -> Iterable[str]:
    from km_cli.exports import NO_EXPORT, export_tables

    return (*export_tables(), NO_EXPORT)


def _strategies() -> Iterable[str]:
    from km_cli.strategies import STRATEGIES

    return STRATEGIES


def _help_of_to() -> str:
    from km_cli.destinations import spellings

    return f"{spellings()}."


_files_argument = click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=paths)
format_options = section(
    "Files",
    option(
        "--format",
        type=_Words(_formats),
        help="Format of the files. Default: by the ending of the name, else by the content.",
    ),
    option(
        "--delimiter",
        metavar="CHARACTER",
        default="",
        help="comma, semicolon, tab or pipe. Default: the most frequent one in the header.",
    ),
    option(
        "--encoding", metavar="NAME", default="", help="Such as utf-16, cp1252 or shift-jis. Default: UTF-8."
    ),
    option(
        "--export",
        type=_Words(_exports),
        default=None,
        help="The tool that exported the files. Default: by their content; none reads plain columns.",
    ),
)


def files(command: Decorated) -> Decorated:
    """Add the argument FILE..., and the options that describe the format."""
    return _files_argument(format_options(command))


def optional_files(command: Decorated) -> Decorated:
    """Add the argument [FILE]..., and the options that describe the format."""
    return click.argument("files", nargs=-1, metavar="[FILE]...", shell_complete=paths)(
        format_options(command)
    )


output_file = section(
    "Output",
    option(
        "--output",
        metavar="PATH",
        shell_complete=paths,
        default="km.toml",
        show_default=True,
        help="The file to write; - is standard output.",
    ),
)

columns = section(
    "Columns",
    option("--user", metavar="NAME", default="", help="Column of the user. Default: user, user_id, email, …"),
    option(
        "--account",
        metavar="NAME",
        default="",
        help="Column of the account. Default: account, account_id, company, …",
    ),
    option("--event", metavar="NAME", default="", help="Column of the event. Default: event, event_name, …"),
    option("--event-name", metavar="TEXT", default="", help="The event of every row, if no column has it."),
    option(
        "--profiles",
        is_flag=True,
        help="The rows are people and accounts, not events: each sets its properties, at its time.",
    ),
    option(
        "--timestamp",
        metavar="NAME",
        default="",
        help="Column of the time. Default: timestamp, time, created_at, …",
    ),
    option(
        "--id",
        "event_id",
        metavar="NAME",
        default="",
        help="Column of the id that the log gives to each event.",
    ),
    option(
        "--property",
        "properties",
        metavar="NAME",
        multiple=True,
        help="Send this column as a property (repeatable). Default: every column not named elsewhere.",
    ),
    option(
        "--exclude-property",
        "exclude",
        metavar="NAME",
        multiple=True,
        help="Do not send this column (repeatable).",
    ),
    option(
        "--ignore-column",
        "ignore",
        metavar="NAME",
        multiple=True,
        help="Neither send nor compare this column, for example an offset or a time of arrival (repeatable).",
    ),
    option("--no-properties", is_flag=True, help="Send no properties."),
    option("--flatten", is_flag=True, help="Send nested JSON as properties plan.name, plan.price, …"),
    option(
        "--allow-id",
        "allowed",
        metavar="VALUE",
        multiple=True,
        help="Accept an identity such as 'guest', which is otherwise rejected (repeatable).",
    ),
    option(
        "--allow-alias",
        is_flag=True,
        help="Send the aliases of the personas in km.toml. An alias cannot be undone.",
    ),
)

times = section(
    "Times",
    option(
        "--at",
        metavar="TIME",
        default="",
        help="The time of all --profiles, if no column has it: when the file was true, such as 2024-01-31.",
    ),
    option(
        "--timezone",
        metavar="ZONE",
        default="",
        help="Zone of times without an offset, such as Europe/Berlin.",
    ),
    option(
        "--time-format", metavar="FORMAT", default="", help="Format of unusual times, such as %d/%m/%Y %H:%M."
    ),
    option(
        "--ambiguous",
        type=click.Choice(["earlier", "later"]),
        default=None,
        help="Which of the two times to take in the hour that occurs twice when clocks go back.",
    ),
)

selection = section(
    "Selection",
    option(
        "--since",
        metavar="TIME",
        default="",
        help="Only events at or after this time: 2024-01-31 or 2024-01-31T18:00, in --timezone, else UTC.",
    ),
    option("--until", metavar="TIME", default="", help="Only events before this time."),
    option("--only", metavar="EVENT", multiple=True, help="Only events of this name (repeatable)."),
    option("--skip", metavar="EVENT", multiple=True, help="Leave out events of this name (repeatable)."),
    option(
        "--where",
        metavar="CONDITION",
        multiple=True,
        help="Only rows for which this is true: 'type=track', 'type!=page' or 'type in track,screen' "
        "(repeatable: all must be true).",
    ),
    option(
        "--skip-anonymous",
        is_flag=True,
        help="Skip rows that name no persona. Default: reject them.",
    ),
    option(
        "--limit",
        type=click.IntRange(1),
        metavar="N",
        help="Read at most N new rows. The next run continues after them.",
    ),
    option(
        "--max-rejects",
        metavar="N|N%",
        default="",
        help="Stop if more rows than this are rejected. Default: no limit.",
    ),
    option(
        "--strict",
        is_flag=True,
        help="Send nothing and exit 65 if anything would be lost, merged, changed or rejected.",
    ),
)

delivery = section(
    "Sending",
    option(
        "--to",
        default="kissmetrics",
        metavar="WHERE",
        show_default=True,
        make_help=_help_of_to,
    ),
    option(
        "--strategy",
        type=_Words(_strategies),
        default=None,
        help="How a row becomes calls. Default: the personas of km.toml, else toggle.",
    ),
    option(
        "--site",
        metavar="NAME",
        default="",
        help="Name of the Kissmetrics site. Default: the first in km.toml, else main.",
    ),
    option(
        "--collisions",
        type=click.Choice(["spread", "keep", "reject"]),
        default="spread",
        show_default=True,
        help="What to do with two calls that Kissmetrics would merge into one.",
    ),
    option(
        "--spread",
        type=click.IntRange(0, 86_400),
        default=60,
        show_default=True,
        metavar="SECONDS",
        help="How far a call may be moved so that Kissmetrics does not merge it.",
    ),
    option(
        "--batch-size",
        type=click.IntRange(1, 100_000),
        default=500,
        show_default=True,
        metavar="ROWS",
        help="Rows per batch.",
    ),
    option(
        "--concurrency",
        type=AutoOrNumber(1, 1024),
        default="auto",
        show_default=True,
        metavar="auto|N",
        help="Calls in flight. auto begins with 4 and finds the fewest with which no more calls get through, "
        "up to 256 (64 without curl).",
    ),
    option(
        "--rate", type=click.FloatRange(0, min_open=True), metavar="N", help="At most N calls per second."
    ),
    option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=30.0,
        show_default=True,
        metavar="SECONDS",
        help="Time limit of one attempt.",
    ),
    option(
        "--transport",
        type=click.Choice(["auto", "requests", "curl"]),
        default="auto",
        show_default=True,
        help="Library that sends calls. curl is several times as fast and needs pip install 'km-cli[fast]'; "
        "auto takes it if it is there.",
    ),
    option(
        "--attempts",
        type=click.IntRange(1),
        default=10,
        show_default=True,
        metavar="N",
        help="Attempts before a call is left pending for the next run.",
    ),
)


source = section(
    "Files",
    option(
        "--source",
        metavar="NAME",
        default="",
        help="Read the files as the [[backfill]] of this name in km.toml, with its own columns, personas and "
        "format.",
    ),
)


def _load_config(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    """Read km.toml before the other options are parsed, since it holds their defaults."""
    from km_cli.cli.context import load_km_toml

    load_km_toml(ctx, value)


config = section(
    "Configuration",
    option(
        "--config",
        metavar="PATH",
        shell_complete=paths,
        default=None,
        is_eager=True,
        expose_value=False,
        callback=_load_config,
        help="Path of km.toml. Default: the one in this folder, if there is one.",
    ),
)
ledger = section(
    "Ledger and rejects",
    option(
        "--overlap",
        type=click.Choice(["ask", "repeats", "separate"]),
        default="ask",
        show_default=True,
        help="How to treat a row if another file has the same event at the same moment with other values: it "
        "repeats that event, it is a separate event, or reject the row so that you decide (ask).",
    ),
    option(
        "--as-new",
        is_flag=True,
        help="Send a log again although its times, event names or identities have changed since it was sent.",
    ),
    option(
        "--ledger",
        metavar="PATH",
        shell_complete=paths,
        help="The file that remembers every call that was sent. Default: in your state folder.",
    ),
)
rejects = section(
    "Ledger and rejects",
    option(
        "--rejects",
        metavar="PATH",
        shell_complete=paths,
        help="The file for rejected rows, where you can correct them: JSON lines, or a table if it ends with "
        ".csv. Default: JSON lines beside the ledger.",
    ),
)
show = section(
    "Output",
    option(
        "--show",
        type=click.IntRange(0),
        default=3,
        show_default=True,
        metavar="N",
        help="Show the calls of the first N rows.",
    ),
)
as_json = section(
    "Output",
    option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print the summary as one JSON object, and nothing else on standard output.",
    ),
)
asking = section(
    "Output",
    option("--yes", is_flag=True, help="Do not ask for confirmation before sending to Kissmetrics."),
)
output = section(
    "Output",
    option("-v", "--verbose", is_flag=True, help="Print the summary even without a terminal."),
    option("-q", "--quiet", is_flag=True, help="Print problems only."),
)
