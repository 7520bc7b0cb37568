"""The heavy half of `status`: open the ledger for reading, and print how things stand."""

from __future__ import annotations

import json
import shlex
from functools import partial

import click

from km_cli.cli.context import environment_of
from km_cli.cli.show_place import Place, opened_to_look, place_of, print_lines
from km_cli.cli.terminal.show import put
from km_cli.cli.terminal.status import status_lines, status_object
from km_cli.errors import Exit
from km_cli.run.status import next_steps, status_of


def run_status(context: click.Context) -> int:
    """Print how things stand. Raises UsageError if there is no ledger, LedgerError if it cannot be read."""
    flags = context.params
    place = place_of(context)
    with opened_to_look(place) as ledger:
        status = status_of(ledger, environment_of(context).clock.now())
    steps = next_steps(status, partial(_retry, context, place))
    if flags["as_json"]:
        put(json.dumps(status_object(status, steps)))
    else:
        print_lines(context, status_lines(status, steps, all_sources=flags["verbose"]))
    return Exit.OK


def _retry(context: click.Context, place: Place, tracker: str) -> str:
    """Return the command that sends the pending calls of a destination in this ledger, to be copied.

    The ledger may have calls for another destination than the one that is looked at.
    """
    given = {
        f"--{name}": context.params[name]
        for name in ("to", "ledger")
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }
    if tracker != place.target.route:
        given["--to"] = tracker
    words = [word for name, value in given.items() for word in (name, shlex.quote(value))]
    return " ".join(["km-cli retry", *words])
