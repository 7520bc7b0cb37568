"""The heavy half of `compare`: read the log, count the funnels, and print what they say."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click

from km_cli.cli.context import environment_of, km_toml_of
from km_cli.cli.dry_run import command as dry_run
from km_cli.cli.own_files import check_output
from km_cli.cli.settings import make_settings
from km_cli.cli.sources import make_file_sources
from km_cli.cli.terminal.comparing import ComparisonFollower
from km_cli.cli.terminal.comparison import print_comparison
from km_cli.cli.terminal.findings import print_doubts
from km_cli.cli.terminal.report import reasons
from km_cli.cli.terminal.show import complain, counted, say
from km_cli.compare import Asked, Comparison, as_json, compare, make_funnel, make_within
from km_cli.config.files import expanded
from km_cli.config.plans import make_plans
from km_cli.config.settings import Settings
from km_cli.errors import Exit, UsageError
from km_cli.run.process import look_for_cycles_seldom
from km_cli.run.stopping import Stop


def run_compare(context: click.Context) -> int:
    """Compare, and print the result; the exit code is 65 if rows are bad."""
    flags, environment = context.params, environment_of(context)
    asked = _asked(context)
    settings = make_settings(_as_dry_run(context))
    page = _page(context, settings)
    look_for_cycles_seldom(environment)
    sources = partial(make_file_sources, settings, Stop(), environment)
    with ComparisonFollower(settings, environment, quiet=flags["as_json"]) as follower:
        found = compare(asked, settings, sources, follower, environment)
    if flags["as_json"]:
        print(json.dumps(as_json(found)))
    else:
        for line in follower.described():
            say(line)
        print_comparison(found)
        _explain_missing_strategies(context)
    if page is not None:
        _write(page, found)
        if not flags["as_json"]:
            say(f"\nThe page is in {page}.")
    return _complain(found)


def _as_dry_run(context: click.Context) -> click.Context:
    """Return the context of a dry run of the same log, with its own defaults for options not given here."""
    path = km_toml_of(context).path
    words = ["--config", str(path)] if path else []
    made = dry_run.make_context(context.info_name, words, obj=environment_of(context))
    for name, value in context.params.items():
        if name in made.params:
            made.params[name] = value
            source = context.get_parameter_source(name)
            if source is not None:
                made.set_parameter_source(name, source)
    return made


def _asked(context: click.Context) -> Asked:
    """Return what to compare. Raises UsageError."""
    flags, config = context.params, km_toml_of(context).config
    if flags["by"] and not flags["funnel"]:
        raise UsageError("--by needs a funnel", "name its steps in order with --funnel")
    return Asked(
        make_funnel(flags["funnel"], flags["within"]) if flags["funnel"] else None,
        make_within(flags["within"]) if flags["within"] else None,
        flags["by"].strip(),
        make_plans(config),
        not flags["no_strategies"] and "-" not in flags["files"],
        bool(config.personas),
    )


def _page(context: click.Context, settings: Settings) -> Path | None:
    """Return the path of the page, None if there is none to write.

    Raises UsageError, before the log is read, if it cannot be written or the libraries for it are missing.
    """
    if context.params["html"] is None:
        return None
    from km_cli.compare.page import check_libraries

    path = expanded(context.params["html"], "--html")
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(
            f"--html {path}: the name does not end in .html",
            f"for example --html {path.stem or 'comparison'}.html",
        )
    check_output(context, settings, path, "--html")
    check_libraries()
    return path


def _write(path: Path, found: Comparison) -> None:
    from km_cli.compare.page import write_page

    write_page(path, found)


def _explain_missing_strategies(context: click.Context) -> None:
    if "-" in context.params["files"] and not context.params["no_strategies"]:
        say("\nStandard input can be read only once: give files to see what each strategy would leave.")


def _complain(found: Comparison) -> int:
    """Print the problems of the log, and return the exit code."""
    for message in found.unseen:
        complain(f"--funnel: {message}", "check its spelling; the funnel ends before that step")
    print_doubts(found.tally)
    if not found.tally.rows.rejected:
        return Exit.OK
    first = next(iter(found.tally.rejects.values()))
    bad = counted(found.tally.rows.rejected, "row")
    complain(
        f"{bad} bad and not counted ({reasons(found.tally)}), the first in "
        f"{first.row.source}, line {first.row.line}: {first.reason}",
        "km-cli dry-run shows the first bad row of each kind; correct the log, or compare without those rows",
    )
    return Exit.REJECTED
