"""Before a run sends to Kissmetrics: a rehearsal of the whole input, and the question.

Nothing is written before the answer is yes. The rehearsal is the same as a dry run, so that the question says
the same as `km-cli dry-run`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import click

from km_cli.cli.context import environment_of, km_toml_of
from km_cli.cli.terminal.asking import LookingAhead
from km_cli.cli.terminal.keyboard import Keyboard
from km_cli.cli.terminal.question import Question, refuse
from km_cli.config.plans import make_plans
from km_cli.config.settings import Settings
from km_cli.ledger import Ledger
from km_cli.run.observer import Observer
from km_cli.run.pipeline import Pipeline
from km_cli.run.rehearsal import Work, check_rehearsed, rehearse
from km_cli.run.stopping import Stop


@contextmanager
def asking(context: click.Context, settings: Settings) -> Iterator[Question | None]:
    """Yield the question that a run has to ask; None if it needs no answer, or nobody is there to give it."""
    asks = settings.target.asks_first and not context.params["yes"]
    keyboard = Keyboard.of(environment_of(context)) if asks else None
    if keyboard is None:
        yield None
        return
    try:
        yield Question(settings, make_plans(km_toml_of(context).config), keyboard)
    finally:
        keyboard.close()


def ask_ahead(
    context: click.Context,
    question: Question,
    make_work: Callable[[Observer], Work],
    sizes: Mapping[str, int] | None,
) -> bool:
    """Look through the input, show what the run would send, and ask; return whether it was asked.

    It is not asked if there is nothing to send, as far as the rehearsal came: the run itself asks then, if
    there is something after all. `make_work` returns the work of the rehearsal for its observer, `sizes` are
    the bytes of the files. With --strict it is the rehearsal that --strict asks for: nothing cuts it short.
    Raises click.Abort if the answer is no, LedgerError; with --strict TooManyFindings, and any error that
    would end the run.
    """
    settings, flags, environment = question.settings, context.params, environment_of(context)
    quiet = flags["quiet"] or flags["as_json"]
    keyboard = None if flags["strict"] else question.keyboard
    observer = LookingAhead(settings, environment, keyboard, quiet=quiet, sizes=sizes)
    outlook, inner = observer.outlook, make_work(observer)

    def work(pipeline: Pipeline, ledger: Ledger) -> None:
        outlook.pending = sum(ledger.outbox.count(settings.target.route).values())
        inner(pipeline, ledger)

    try:
        with question.keyboard.silent(), observer:
            found = rehearse(settings, observer, work, Stop(), environment)
    except KeyboardInterrupt:
        refuse()
    if flags["strict"]:
        check_rehearsed(found)
    outlook.tally, outlook.ended = found.tally, found.ended
    outlook.is_whole = not observer.is_cut_short and found.ended is None
    if not outlook.tally.calls.planned:
        return False
    question.ask(observer, outlook)
    return True
