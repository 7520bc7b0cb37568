"""Options that commands share, in groups. Light to import: what they mean is made in `settings.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from km_cli.config.environment import Environment
from km_cli.errors import UsageError, did_you_mean
from km_cli.strategies import STRATEGIES

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    _Choice = click.Choice[str]
else:
    _Choice = click.Choice

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
InSection = Callable[[str], Callable[[Any], Any]]


class Option(click.Option):
    """An option that stands in a section of the help."""

    def __init__(self, *arguments: Any, section: str, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.section = section
        if not self.multiple and not self.is_flag:
            self.envvar = f"KM_CLI_{self.opts[-1].lstrip('-').replace('-', '_').upper()}"

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the value of the option's variable, in the environment that the command was given."""
        environment = ctx.find_object(Environment)
        return (environment.variables.get(str(self.envvar)) or None) if environment and self.envvar else None

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Return the value as what it is. Raises UsageError, which says what it could be."""
        try:
            return super().type_cast_value(ctx, value)
        except click.BadParameter:
            from km_cli.cli.configured import said

            see = f"see {ctx.command_path} --help"
            choices = self.type.choices if isinstance(self.type, click.Choice) else ()
            raise UsageError(
                f"{said(ctx, self)} {value!r} is {_not(self.type)}",
                did_you_mean(value, choices, see, also=f" {see}"),
            ) from None


def _not(kind: object) -> str:
    """Say what a value is not, if it is not of this kind."""
    if isinstance(kind, click.Choice):
        return f"none of {', '.join(kind.choices)}"
    if isinstance(kind, click.IntRange):
        return f"no whole number {_range(kind.min, kind.max)}"
    if isinstance(kind, click.FloatRange):
        return f"no number {'above' if kind.min_open else 'of at least'} {kind.min}"
    return "not understood"


def _range(least: float | None, most: float | None) -> str:
    return f"of {least:,} or more" if most is None else f"from {least:,} to {most:,}"


class Command(click.Command):
    """A command whose help lists its options by section, and whose mistakes lead to that help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the words apart; click forgets some of the time whose they were."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections in the order in which the options were given, `--help` in the last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        title = ""
        for param in self.get_params(ctx):
            title = param.section if isinstance(param, Option) else title
            if title and (record := param.get_help_record(ctx)):
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def option(*names: str, **attributes: Any) -> InSection:
    """Return what makes click's decorator for this option, given its section."""
    return lambda title: click.option(*names, cls=Option, section=title, **attributes)


def section(title: str, *options: InSection) -> Callable[[Decorated], Decorated]:
    """Return a decorator that gives a command these options, under a title of their own."""

    def decorate(command: Decorated) -> Decorated:
        for one in reversed(options):
            command = one(title)(command)
        return command

    return decorate


def paths(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Have a shell complete names of files. Their type stays text: what is no path, as -, is none here."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


class _FormatWords(_Choice):
    """The words of all input formats. They are looked up when they are needed, so that options stay light."""

    def __init__(self) -> None:
        super().__init__(())

    @property
    def choices(self) -> tuple[str, ...]:
        """The words of the formats that are registered."""
        from km_cli.inputs.formats import format_words

        return format_words()

    @choices.setter
    def choices(self, _none: object) -> None:
        """Ignore the choices that click sets; the registry has them."""


_arguments = click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=paths)
format_options = section(
    "Files",
    option(
        "--format",
        type=_FormatWords(),
        help="What a FILE is. Default: by an ending in its name, else by its content.",
    ),
    option(
        "--delimiter",
        metavar="CHARACTER",
        default="",
        help="comma, semicolon, tab or pipe. Default: the most frequent in the header.",
    ),
    option("--encoding", metavar="NAME", default="", help="As utf-16, cp1252, shift-jis. Default: UTF-8."),
)


def files(command: Decorated) -> Decorated:
    """Give a command FILE, and the options that say how it is written."""
    return _arguments(format_options(command))


def some_files(command: Decorated) -> Decorated:
    """Give a command FILE, if there is any to name, and the options that say how it is written."""
    return click.argument("files", nargs=-1, metavar="[FILE]...", shell_complete=paths)(
        format_options(command)
    )


def file(command: Decorated) -> Decorated:
    """Give a command one FILE, and the options that say how it is written."""
    return click.argument("file", metavar="FILE", shell_complete=paths)(format_options(command))


written_to = section(
    "Output",
    option(
        "--output",
        metavar="PATH",
        shell_complete=paths,
        default="km.toml",
        show_default=True,
        help="Where to write; - is standard output.",
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
    option("--event-name", metavar="TEXT", default="", help="What every row did, if no column says it."),
    option(
        "--timestamp",
        metavar="NAME",
        default="",
        help="Column of the time. Default: timestamp, time, created_at, …",
    ),
    option("--id", "event_id", metavar="NAME", default="", help="Column of the log's own id of the event."),
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
        help="Neither send nor compare this column, such as an offset or a time of arrival (repeatable).",
    ),
    option("--no-properties", is_flag=True, help="Send no properties."),
    option("--flatten", is_flag=True, help="Send nested JSON as plan.name, plan.price, …"),
    option(
        "--allow-id",
        "allowed",
        metavar="VALUE",
        multiple=True,
        help="Let an identity like 'guest' through (repeatable).",
    ),
    option(
        "--allow-alias",
        is_flag=True,
        help="Send the aliases that km.toml's personas have: they can't be undone.",
    ),
)

times = section(
    "Times",
    option(
        "--timezone", metavar="ZONE", default="", help="Zone of times without an offset, as Europe/Berlin."
    ),
    option("--time-format", metavar="FORMAT", default="", help="Form of unusual times, as %d/%m/%Y %H:%M."),
    option(
        "--ambiguous",
        type=click.Choice(["earlier", "later"]),
        default=None,
        help="Which one is meant in the hour that a clock change doubles.",
    ),
)

selection = section(
    "Part of the log",
    option(
        "--since",
        metavar="TIME",
        default="",
        help="From this time on, as 2024-01-31 or 2024-01-31T18:00; in --timezone, else UTC.",
    ),
    option("--until", metavar="TIME", default="", help="Before this time."),
    option("--only", metavar="EVENT", multiple=True, help="Events of this name (repeatable)."),
    option("--skip", metavar="EVENT", multiple=True, help="No events of this name (repeatable)."),
    option(
        "--limit",
        type=click.IntRange(1),
        metavar="N",
        help="Take the first N rows only; the next run goes on behind them.",
    ),
    option(
        "--max-rejects",
        metavar="N|N%",
        default="",
        help="Stop if more rows are rejected. Default: no limit.",
    ),
    option(
        "--strict",
        is_flag=True,
        help="Send nothing if anything would be lost, merged, changed or rejected: exit 65.",
    ),
)

delivery = section(
    "Sending",
    option(
        "--to",
        default="kissmetrics",
        metavar="WHERE",
        show_default=True,
        help="kissmetrics, an https:// base URL, or local[:PATH], a store on this machine.",
    ),
    option(
        "--strategy",
        type=click.Choice([*STRATEGIES]),
        default=None,
        help="How a row becomes calls. Default: km.toml's personas, else toggle.",
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
        help="What to do with calls that Kissmetrics would merge.",
    ),
    option(
        "--spread",
        type=click.IntRange(0, 86_400),
        default=60,
        show_default=True,
        metavar="SECONDS",
        help="How far a call may be moved so that it does not merge.",
    ),
    option(
        "--batch-size",
        type=click.IntRange(1, 100_000),
        default=500,
        show_default=True,
        metavar="ROWS",
        help="Rows a batch.",
    ),
    option(
        "--concurrency",
        type=click.IntRange(1, 1024),
        default=16,
        show_default=True,
        metavar="N",
        help="Calls in flight.",
    ),
    option("--rate", type=click.FloatRange(0, min_open=True), metavar="N", help="At most N calls a second."),
    option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=30.0,
        show_default=True,
        metavar="SECONDS",
        help="For one attempt.",
    ),
    option(
        "--attempts",
        type=click.IntRange(1),
        default=10,
        show_default=True,
        metavar="N",
        help="Before a call is left pending for the next run.",
    ),
)


def _take_config(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    """Find km.toml and let its values stand where neither a flag nor the environment says anything."""
    from km_cli.cli.configured import take

    take(ctx, value)


config = section(
    "Configuration",
    option(
        "--config",
        metavar="PATH",
        shell_complete=paths,
        default=None,
        is_eager=True,
        expose_value=False,
        callback=_take_config,
        help="Where km.toml is. Default: in this folder, if there is one.",
    ),
)
ledger = section(
    "Memory",
    option(
        "--overlap",
        type=click.Choice(["ask", "repeats", "separate"]),
        default="ask",
        show_default=True,
        help="How to treat a row if another file has the same event at the same moment with other values: it "
        "repeats that event, it is a separate event, or ask: reject the row.",
    ),
    option(
        "--as-new",
        is_flag=True,
        help="Send a log again under another meaning: with other times, event names or identities.",
    ),
    option(
        "--ledger",
        metavar="PATH",
        shell_complete=paths,
        help="The file that remembers every call that was sent. Default: in the state folder.",
    ),
)
rejects = section(
    "Memory",
    option(
        "--rejects",
        metavar="PATH",
        shell_complete=paths,
        help="Where rejected rows go, to be corrected. Default: beside the ledger.",
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
        help="Show the first N rows as calls.",
    ),
)
as_json = section(
    "Output",
    option("--json", "as_json", is_flag=True, help="Print one summary object, and nothing else there."),
)
asking = section(
    "Output",
    option("--yes", is_flag=True, help="Do not ask before sending to Kissmetrics itself."),
)
output = section(
    "Output",
    option("-v", "--verbose", is_flag=True, help="Print the summary even if this is no terminal."),
    option("-q", "--quiet", is_flag=True, help="Print problems only."),
)
