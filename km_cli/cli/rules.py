"""`km-cli rules`: what Kissmetrics merges, changes or drops, explained."""

from __future__ import annotations

import io
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click

from km_cli.cli.context import environment_of
from km_cli.cli.sections import Command
from km_cli.cli.terminal.show import say, short, table
from km_cli.errors import UsageError, did_you_mean, nearest

if TYPE_CHECKING:
    from km_cli.config.environment import Environment
    from km_cli.rules import About

_MOST_LINES = 40
_FIRST_LINES = 6
_LAST_LINES = 30
"""Of a long part: the findings stand at its end, three lines each."""

_LONGEST_LINE = 400
_ALMOST = 0.8
"""How alike a code must be to another one to be taken for a misspelling of it."""


@click.command("rules", cls=Command)
@click.argument("code", required=False, metavar="[CODE]")
@click.pass_context
def command(context: click.Context, /, *, code: str | None) -> None:
    """List all findings, rejects and facts about Kissmetrics. With CODE, explain one.

    Findings end with these codes, and --json and rejects files have them. An explanation has an example: a
    log, the dry run of that log, and what Kissmetrics would hold after the import.

    \b
    Examples:
      km-cli rules
      km-cli rules D1
    """
    from km_cli.rules import CATALOGUE, Severity

    if code is None:
        gravest_first = list(Severity)
        abouts = sorted(CATALOGUE.values(), key=lambda about: gravest_first.index(about.severity))
        table([(one.code, one.severity.value, one.meaning) for one in abouts])
        say("\nkm-cli rules CODE explains a rule.")
    else:
        _explain(_rule(code), environment_of(context))


def _rule(code: str) -> About:
    from km_cli.rules import CATALOGUE, about_code

    # A rule's own code goes before a code that another rule had in older versions.
    by_code = {old.casefold(): about for about in CATALOGUE.values() for old in about.formerly}
    by_code |= {about.code.casefold(): about for about in CATALOGUE.values()}
    if about := by_code.get(code.casefold()):
        return about
    if code.startswith("no-") and not nearest(code, CATALOGUE, _ALMOST):
        return about_code(code)  # about the rows without some persona of km.toml
    hint = did_you_mean(code, CATALOGUE, "km-cli rules lists all codes", also=" km-cli rules lists all codes")
    raise UsageError(f"there is no rule {code!r}", hint)


def _explain(about: About, environment: Environment) -> None:
    from tempfile import TemporaryDirectory

    from km_cli.rules import CATALOGUE, Severity

    source = f"; source: {about.source}" if about.source else ""
    say(f"{about.code}: {about.meaning}", hang=2)
    say(f"  severity: {about.severity.value}{source}")
    if about.formerly:
        say(f"  in older versions: {', '.join(about.formerly)}", hang=21)
    if others := [other.code for other in CATALOGUE.values() if about.code in other.formerly]:
        say(f"  older versions had this code also for: {', '.join(others)}", hang=41)
    if about.disagreement:
        say(f"  pages disagree: {about.disagreement}", hang=18)
    answer = "km-cli" if about.severity is Severity.FACT else "cure"
    say(f"  {answer}: {about.cure}", hang=4 + len(answer))
    log, flags, km_toml = about.example.fires, about.example.flags, about.example.km_toml
    if not log:
        return
    _print_part("a log that shows it", log)
    if km_toml:
        _print_part("with this km.toml", km_toml)
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "log").write_text(log, encoding="utf-8")
        (folder / "km.toml").write_text(km_toml, encoding="utf-8")
        _print_part(" ".join(("km-cli dry-run log", *flags)), _dry_run_output(folder, flags, environment))
        _print_part("all data that Kissmetrics would hold", _held(folder, flags, environment))


def _print_part(title: str, text: str) -> None:
    """Print a part of the example. The middle of a long part is cut, because the findings are at its end."""
    say(f"\n{title}")
    lines = text.strip("\n").splitlines()
    if len(lines) > _MOST_LINES:
        more = len(lines) - _FIRST_LINES - _LAST_LINES
        lines = [*lines[:_FIRST_LINES], f"… {more:,} more lines", *lines[-_LAST_LINES:]]
    for line in lines:
        say(f"  {short(line, _LONGEST_LINE)}".rstrip())


def _dry_run_output(folder: Path, flags: tuple[str, ...], environment: Environment) -> str:
    """Return the output of the real dry run of the example."""
    from km_cli.cli.dry_run import command as dry_run
    from km_cli.cli.run_dry_run import run_dry_import

    words = [str(folder / "log"), "--config", str(folder / "km.toml"), "--show", "2", *flags]
    words += ["--ledger", str(folder / "ledger.db")]
    output = io.StringIO()
    captured = environment._replace(stdout=output, stderr=output)
    with redirect_stdout(output), redirect_stderr(output):
        run_dry_import(dry_run.make_context("dry-run", words, obj=captured))
    text = output.getvalue().replace(f"{folder}/", "")
    return text.partition("\nAn import would take")[0].removesuffix("Nothing was sent or written.\n")


def _held(folder: Path, flags: tuple[str, ...], environment: Environment) -> str:
    """Return the contents of the local store after the real import of the example."""
    from datetime import UTC, datetime

    from km_cli.cli.import_ import command as import_command
    from km_cli.cli.run_import import run_import
    from km_cli.standin import Store

    store = folder / "local.db"
    words = [str(folder / "log"), "--config", str(folder / "km.toml"), "--to", f"local:{store}", *flags]
    output = io.StringIO()
    captured = environment._replace(stdout=output, stderr=output)
    with redirect_stdout(output), redirect_stderr(output):
        run_import(import_command.make_context("import", words, obj=captured))
    with closing(Store(store)) as kept:
        lines = [
            f"{datetime.fromtimestamp(one.second, UTC):%Y-%m-%d %H:%M:%S}  {one.person} did {one.event}"
            for one in kept.events()
        ]
        values = [f"{one.person} has {one.name}: {one.value}" for one in kept.properties()]
    return "\n".join([*lines, *values]) or "nothing"
