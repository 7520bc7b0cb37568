"""The question before an import to Kissmetrics: what would be sent, how long it takes, what it costs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

import click

from km_cli.cli.terminal.estimate import estimate
from km_cli.cli.terminal.findings import print_worst
from km_cli.cli.terminal.keyboard import Keyboard
from km_cli.cli.terminal.observer import RunObserver
from km_cli.cli.terminal.outlook import Outlook
from km_cli.cli.terminal.problem import complain_of
from km_cli.cli.terminal.report import lines_to_come, print_forecast
from km_cli.cli.terminal.show import complain, counted, say, table
from km_cli.config.plans import Plans
from km_cli.config.settings import Settings
from km_cli.errors import Exit

_NOT_PUBLISHED = "Kissmetrics does not publish whether events of the past are billed"


class Declined(click.Abort):
    """The answer to the question was no, or Ctrl-C. `exit` is the code that the ledger notes for the run."""

    exit = Exit.INTERRUPTED


class Question(NamedTuple):
    """The question of a run: its settings, the plans to compare with, and who answers."""

    settings: Settings
    plans: Plans
    keyboard: Keyboard

    def ask(self, observer: RunObserver, outlook: Outlook) -> None:
        """Print the summary on standard error, and ask. Raises Declined unless the answer is yes.

        Nothing is in flight yet, so Ctrl-C means no. Afterwards it means: finish what is in flight.
        """
        observer.print_beginning()
        print_outlook(self.settings, outlook, self.plans)
        names = [repr(site.name) for site in self.settings.people.sites]
        sites = f"site{'s' * (len(names) > 1)} {' and '.join(names)}"
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            answer = is_yes(f"Send to Kissmetrics, {sites}? [y/N] ", self.keyboard, "send")
        except KeyboardInterrupt:
            click.echo(err=True)  # The terminal shows ^C behind the question.
            answer = False
        finally:
            signal.signal(signal.SIGINT, before)
        if not answer:
            refuse()


def refuse() -> NoReturn:
    """Say that nothing was sent, and end the command. Raises Declined."""
    complain("nothing new was sent", "try it first with dry-run, --to local or --limit 10")
    raise Declined


def is_yes(question: str, keyboard: Keyboard, verb: str) -> bool:
    """Ask until the answer is yes or no. Only keys that are pressed after the question count.

    `verb` is what a yes does.
    """
    say(to_stderr=True)
    while True:
        keyboard.discard()
        click.echo(question, nl=False, err=True)
        line = keyboard.line()
        answer = line.strip().lower()
        if not line.endswith("\n"):
            click.echo(err=True)
        if answer in ("y", "yes"):
            return True
        if answer in ("", "n", "no"):
            return False
        say(f"Answer y to {verb}, or n.", to_stderr=True)


def print_outlook(settings: Settings, outlook: Outlook, plans: Plans) -> None:
    """Print what the run would send."""
    say(to_stderr=True)
    part = "" if outlook.is_whole else "so far: there may be more"
    by_persona = _by_persona(settings, outlook)
    table(lines_to_come(outlook.tally, by_persona, outlook.pending, part), to_stderr=True)
    print_forecast(outlook.forecast, to_stderr=True)
    print_worst(outlook.tally)
    say(to_stderr=True)
    for line in _costs(settings, outlook, plans):
        say(line, to_stderr=True)
    say("Kissmetrics cannot delete: what is sent stays.", to_stderr=True)
    if outlook.ended is not None:
        say("\nThe run would then end with this problem:", to_stderr=True)
        complain_of(outlook.ended)


def _by_persona(settings: Settings, outlook: Outlook) -> str:
    several = len(settings.people.sites) > 1
    return ", ".join(
        f"{persona} {number:,}" + (f" to {site}" if several else "")
        for (persona, site), number in outlook.calls.items()
    )


def _costs(settings: Settings, outlook: Outlook, plans: Plans) -> Iterator[str]:
    """Yield the time that the run takes, and its share of a month's events (Q5)."""
    if settings.target.seconds_a_call:
        found = estimate(settings, outlook.tally.calls.planned + outlook.pending)
        about = "about " if outlook.is_whole else "at least "
        yield f"It takes {about}{found.duration}: {found.rate:,.0f} calls per second, {found.reason}."
    events = counted(outlook.events, "event") + ("" if outlook.is_whole else " so far")
    share = plans.describe(outlook.events)
    yield f"{events}: if billed in one month, {share}, by {plans.origin}. {_NOT_PUBLISHED}."
