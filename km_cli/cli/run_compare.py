"""The heavy half of `compare`: read the log, count the funnels, and print what they say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import click

from km_cli.cli.conclusion import complain_of_files
from km_cli.cli.context import environment_of, km_toml_of
from km_cli.cli.dry_run import command as dry_run
from km_cli.cli.own_files import check_output, own_files
from km_cli.cli.settings import make_settings
from km_cli.cli.sources import make_backfill_sources, make_file_sources, sizes_of_backfill
from km_cli.cli.terminal.comparing import ComparisonFollower
from km_cli.cli.terminal.comparison import print_comparison
from km_cli.cli.terminal.findings import print_doubts
from km_cli.cli.terminal.report import reasons
from km_cli.cli.terminal.show import complain, counted, say
from km_cli.compare import (
    Asked,
    BackfillLog,
    Comparison,
    Files,
    Log,
    as_json,
    compare,
    make_funnel,
    make_within,
)
from km_cli.config.backfill import BackfillSource, settings_for
from km_cli.config.environment import Environment
from km_cli.config.files import expanded
from km_cli.config.plans import make_plans
from km_cli.config.settings import Settings
from km_cli.errors import Exit, UsageError
from km_cli.run.process import look_for_cycles_seldom
from km_cli.run.stopping import Stop


def run_compare(context: click.Context) -> int:
    """Compare, and print the result. The exit code is 65 if rows are bad, or that of a bad file."""
    flags, environment = context.params, environment_of(context)
    asked = _asked(context)
    as_dry_run = _as_dry_run(context)
    settings = make_settings(as_dry_run)
    page = _page(context, settings)
    look_for_cycles_seldom(environment)
    if flags["files"]:
        return _compare(context, asked, settings, _files(settings, environment), page)
    sources = make_backfill_sources(as_dry_run, settings)
    _check_files(sources)
    _check_personas(sources, settings)
    settings, own = settings_for(sources, settings), own_files(as_dry_run, settings)
    log = BackfillLog(sources, environment.clock, own)
    sizes = sizes_of_backfill(sources, settings, own) if environment.shows_progress else None
    try:
        code = _compare(context, asked, settings, log, page, sizes)
    finally:
        complain_of_files(log.summary)
    return log.summary.worst or code


def _files(settings: Settings, environment: Environment) -> Files:
    return Files(partial(make_file_sources, settings, Stop(), environment))


def _check_files(sources: Sequence[BackfillSource]) -> None:
    """Raise UsageError for a query: a comparison reads its input more than once, and its rows may change."""
    if source := next((source for source in sources if source.query), None):
        raise UsageError(
            f"backfill {source.name!r} is a query, and a comparison reads files alone",
            "write its rows into a file first, as with duckdb -csv or psql --csv: km-cli compare FILE",
        )


def _check_personas(sources: Sequence[BackfillSource], settings: Settings) -> None:
    """Raise UsageError if a source has personas of its own that have other names."""
    names = [persona.name for persona in settings.personas]
    for source in sources:
        if source.settings and [persona.name for persona in source.settings.personas] != names:
            raise UsageError(
                f"backfill {source.name!r} has other personas, and a comparison counts the same in all files",
                f"compare that source by itself: km-cli compare FILE --source {source.name}",
            )


def _compare(
    context: click.Context,
    asked: Asked,
    settings: Settings,
    log: Log,
    page: Path | None,
    sizes: Mapping[str, int] | None = None,
) -> int:
    flags, environment = context.params, environment_of(context)
    try:
        with ComparisonFollower(settings, environment, quiet=flags["as_json"], sizes=sizes) as follower:
            found = compare(asked, settings, log, follower, environment)
    except KeyboardInterrupt:
        complain(
            "interrupted: nothing was sent, and nothing was written",
            "run the same command again; --no-strategies leaves out the dry runs, which take the longest",
        )
        return Exit.INTERRUPTED
    if flags["as_json"]:
        print(json.dumps(as_json(found)))
    else:
        follower.print_inputs()
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
