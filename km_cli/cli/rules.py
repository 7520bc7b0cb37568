"""`km-cli rules`: what Kissmetrics merges, changes or drops, explained."""

from __future__ import annotations

import io
import tempfile
from contextlib import closing, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from km_cli.cli import options
from km_cli.cli.terminal.show import say, short, table
from km_cli.errors import did_you_mean

if TYPE_CHECKING:
    from km_cli.rules import About

_MOST_LINES = 36
_FIRST_LINES = 6
_LAST_LINES = 12
_LONGEST_LINE = 400


@click.command("rules", cls=options.Command)
@click.argument("code", required=False, metavar="[CODE]")
def command(code: str | None) -> None:
    """List what Kissmetrics merges, changes or drops; explain one with CODE.

    A code is what dry-run counts its findings by. An explanation has an example: the log, what a dry run
    says of it, and what Kissmetrics would hold.

    \b
    Examples:
      km-cli rules
      km-cli rules D1
    """
    from km_cli.rules import CATALOGUE

    if code is None:
        table([(one.code, one.severity.value, one.meaning) for one in CATALOGUE.values()])
        say("\nkm-cli rules CODE explains one.")
    else:
        _explain(_found(code))


def _found(code: str) -> About:
    from km_cli.rules import CATALOGUE

    # A rule's own code comes before a code under which others are reported.
    by_code = {shown.casefold(): about for about in CATALOGUE.values() for shown in about.reported_as}
    by_code |= {about.code.casefold(): about for about in CATALOGUE.values()}
    if about := by_code.get(code.casefold()):
        return about
    known = [*CATALOGUE, *(shown for about in CATALOGUE.values() for shown in about.reported_as)]
    hint = did_you_mean(code, known, "km-cli rules lists them")
    raise click.UsageError(f"there is no rule {code!r}; {hint}")


def _explain(about: About) -> None:
    from km_cli.rules import Severity

    source = f"; source: {about.source}" if about.source else ""
    say(f"{about.code}: {about.meaning}", hang=2)
    say(f"  severity: {about.severity.value}{source}")
    if about.reported_as:
        say(f"  reported as: {', '.join(about.reported_as)}", hang=15)
    if about.disagreement:
        say(f"  pages disagree: {about.disagreement}", hang=18)
    answer = "km-cli" if about.severity is Severity.FACT else "cure"
    say(f"  {answer}: {about.cure}", hang=4 + len(answer))
    log, flags, km_toml = about.example.fires, about.example.flags, about.example.km_toml
    if not log:
        return
    _show("a log that shows it", log)
    if km_toml:
        _show("with km.toml", km_toml)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "log").write_text(log, encoding="utf-8")
        (folder / "km.toml").write_text(km_toml, encoding="utf-8")
        _show(" ".join(("km-cli dry-run log", *flags)), _told(folder, flags))
        _show("what Kissmetrics would hold after the import", _held(folder, flags))


def _show(title: str, text: str) -> None:
    """Print a part of the example; the middle is cut if it is long: what is found stands at the end."""
    say(f"\n{title}")
    lines = text.strip("\n").splitlines()
    if len(lines) > _MOST_LINES:
        more = len(lines) - _FIRST_LINES - _LAST_LINES
        lines = [*lines[:_FIRST_LINES], f"… {more:,} more lines", *lines[-_LAST_LINES:]]
    for line in lines:
        say(f"  {short(line, _LONGEST_LINE)}".rstrip(), hang=4)


def _told(folder: Path, flags: tuple[str, ...]) -> str:
    """Return what the real dry run says of the example."""
    from km_cli.cli.dry_run import command as dry_run
    from km_cli.cli.importing import run_dry

    words = [str(folder / "log"), "--config", str(folder / "km.toml"), "--show", "2", *flags]
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        run_dry(dry_run.make_context("dry-run", [*words, "--ledger", str(folder / "ledger.db")]))
    text = said.getvalue().replace(f"{folder}/", "")
    return text.partition("\nAn import would take")[0].removesuffix(
        "Nothing was sent, nothing was written.\n"
    )


def _held(folder: Path, flags: tuple[str, ...]) -> str:
    """Return what the local store holds after the real import of the example."""
    from km_cli.cli.import_ import command as importing
    from km_cli.cli.importing import run_import
    from km_cli.standin import Store

    store = folder / "local.db"
    words = [str(folder / "log"), "--config", str(folder / "km.toml"), "--to", f"local:{store}", *flags]
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        run_import(importing.make_context("import", words))
    with closing(Store(store)) as kept:
        lines = [
            f"{datetime.fromtimestamp(one.second, UTC):%Y-%m-%d %H:%M:%S}  {one.person} did {one.event}"
            for one in kept.events()
        ]
        values = [f"{one.person} has {one.name}: {one.value}" for one in kept.properties()]
    return "\n".join([*lines, *values]) or "nothing"
