"""The parts that `km-cli show` and `status` share: the place to look at, the personas, and the pager."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import click

from km_cli.cli.context import environment_of, km_toml_of
from km_cli.cli.terminal.show import height_of, put, wrapped
from km_cli.config.files import expanded
from km_cli.config.people import make_people
from km_cli.destinations import Target, parse_target
from km_cli.errors import UsageError
from km_cli.ledger import Ledger, check_name
from km_cli.model import Persona


class Place(NamedTuple):
    """The destination that is shown, and the path of its ledger."""

    target: Target
    ledger: Path

    @property
    def is_store(self) -> bool:
        """Whether it is a store on this machine, which knows people and their events."""
        return self.target.own_ledger is not None

    @property
    def import_first(self) -> str:
        """The hint for a store that has nothing yet."""
        return f"import a log into it first: km-cli import FILE --to {shlex.quote(self.target.spelled)}"


def place_of(context: click.Context) -> Place:
    """Return the destination and its ledger, as an import with these flags would use them."""
    flags, environment = context.params, environment_of(context)
    target = parse_target(flags["to"], environment.state_folder)
    if target.own_ledger is not None:
        if flags["ledger"] is not None:
            raise UsageError(f"--to {flags['to']} keeps its own ledger in its file", "leave --ledger out")
        return Place(target, target.own_ledger)
    if flags["ledger"] is None:
        return Place(target, environment.state_folder / "ledger.db")
    return Place(target, expanded(flags["ledger"], "--ledger"))


def existing_ledger(place: Place) -> Path:
    """Return the path of the ledger. Raises UsageError if there is none, LedgerError if it cannot be one."""
    path = place.ledger
    check_name(path)
    if not path.exists():
        other = "--to local looks at the local store; --to and --ledger name another place"
        raise UsageError(
            f"there is no ledger yet: {path} does not exist",
            place.import_first if place.is_store else other,
        )
    return path


@contextmanager
def opened_to_look(place: Place) -> Iterator[Ledger]:
    """Open the ledger for reading. Raises UsageError if there is none, LedgerError if it cannot be read."""
    ledger = Ledger.overlay(existing_ledger(place))
    try:
        yield ledger
    finally:
        ledger.close()


def personas_of(context: click.Context) -> tuple[Persona, ...]:
    """Return the personas of km.toml, or those of its strategy; none if it has neither."""
    km_toml = km_toml_of(context)
    strategy = km_toml.config.strategy if isinstance(km_toml.config.strategy, str) else ""
    if not (strategy or km_toml.config.personas):
        return ()
    return make_people(
        km_toml.config, km_toml.folder, strategy=strategy, site="", columns={}, allow_alias=True
    ).personas


def print_lines(context: click.Context, lines: Iterable[str]) -> None:
    """Print lines; on a terminal wrapped at its width, and through the pager if the window is too low."""
    if not environment_of(context).shows_summaries:
        for line in lines:
            put(line)
        return
    parts = (f"{part}\n" for line in lines for part in wrapped(line))
    height = height_of()
    first = list(islice(parts, height))
    if len(first) < height:  # One line is left for the shell's prompt.
        click.echo("".join(first), nl=False)
    else:
        click.echo_via_pager(chain(first, parts))
