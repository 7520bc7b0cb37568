"""`km-cli compare`: the same funnel per person and per account. Its heavy half is `run_compare.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from km_cli.cli import options
from km_cli.cli.sections import Command, Decorated, option, section

_question = section(
    "Question",
    option(
        "--funnel",
        metavar="EVENT",
        multiple=True,
        help="A step of the funnel; give one for each step, in order. Default: one that the log suggests.",
    ),
    option(
        "--within",
        metavar="TIME",
        default="",
        help="Every step must follow step one within this time, such as 30d, 12h or 90m. Default: no limit.",
    ),
    option(
        "--by",
        metavar="PROPERTY",
        default="",
        help="Count the funnel for each value of this property, as it is at step one.",
    ),
    option(
        "--no-strategies",
        is_flag=True,
        help="Leave out what each strategy would leave in Kissmetrics: each takes a dry run.",
    ),
)
_page = section(
    "Output",
    option(
        "--html",
        metavar="FILE",
        shell_complete=options.paths,
        default=None,
        help="Write the comparison as one page with charts too. It needs the packages altair and "
        "vl-convert-python.",
    ),
)


def _without(group: Callable[[Any], Any], *names: str) -> Callable[[Decorated], Decorated]:
    """Return a group of options without some of them."""

    def decorate(command: Decorated) -> Decorated:
        made = group(command)
        made.__click_params__ = [one for one in made.__click_params__ if one.name not in names]
        return command

    return decorate


@click.command("compare", cls=Command, short_help="Count a funnel per person and per account.")
@options.optional_files
@options.source
@_question
@_without(options.columns, "profiles")
@_without(options.times, "at")
@_without(options.selection, "max_rejects", "strict")
@options.config
@options.as_json
@_page
@click.pass_context
def command(context: click.Context, /, **_flags: Any) -> int:
    """Per person or per account? Count the same funnel both ways, before anything is sent.

    The funnel of a person or an account begins with the first time of step one, and goes on with the first
    time of each next step from there on. Steps in one second count in their order. All good rows of the log
    count, whatever was sent before and whichever events km.toml lets a persona do; if km.toml leaves out a
    step, another line shows the rest. Then compare says why the counts differ, what each strategy would leave
    in Kissmetrics, and which one it recommends. Nothing is sent, and nothing but the page is written.

    Without FILE, compare reads the files that km.toml names in [[backfill]], as a dry run does.

    \b
    Examples:
      km-cli compare events.csv
      km-cli compare events.csv --funnel "Signed Up" --funnel Upgraded
      km-cli compare events.csv --funnel Invited --funnel Paid --within 30d --by plan
      km-cli compare 'logs/*.csv.gz' --no-strategies --json
      km-cli compare events.csv --html comparison.html
    """
    from km_cli.cli.context import km_toml_of

    if not context.params["files"] and not km_toml_of(context).config.backfill:
        raise click.MissingParameter(ctx=context, param=context.command.params[0])
    from km_cli.cli.run_compare import run_compare

    return run_compare(context)
