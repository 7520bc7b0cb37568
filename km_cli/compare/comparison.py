"""A whole comparison, from the files of a log to the recommendation."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from km_cli.compare.counting import PersonaFunnel, count
from km_cli.compare.differences import Differences, differences
from km_cli.compare.funnel import Funnel
from km_cli.compare.gathering import Follower, Gathering, LogRead, Span
from km_cli.compare.held import IN_FORCE, HeldStrategy, hold
from km_cli.compare.logs import Log
from km_cli.compare.proposal import propose
from km_cli.compare.recommendation import Recommendation, recommend
from km_cli.compare.table import Table
from km_cli.config.environment import Environment
from km_cli.config.plans import Plans
from km_cli.config.settings import Settings
from km_cli.errors import Exhausted, InputError, UsageError, did_you_mean
from km_cli.kissmetrics import fold_name
from km_cli.ledger import Ledger
from km_cli.model import Persona
from km_cli.run.tally import Tally
from km_cli.strategies import STRATEGIES, event_naming

MOST_LISTED = 12


class Asked(NamedTuple):
    """What to compare. Without a `funnel` one is proposed; `within` is its limit in seconds.

    `has_personas` if km.toml describes personas: what they leave in Kissmetrics is compared as well.
    """

    funnel: Funnel | None
    within: int | None
    by: str
    plans: Plans
    with_strategies: bool
    has_personas: bool


class Comparison(NamedTuple):
    """A funnel counted for each persona, why the counts differ, and what each strategy leaves of it.

    `logs` are the first of all `inputs`. `unseen` has a message for each step that no row has.
    """

    funnel: Funnel
    is_proposed: bool
    by: str
    span: Span
    logs: tuple[LogRead, ...]
    inputs: int
    tally: Tally
    unseen: tuple[str, ...]
    personas: tuple[PersonaFunnel, ...]
    differences: tuple[Differences, ...]
    strategies: tuple[HeldStrategy, ...]
    plans: Plans
    recommendation: Recommendation | None


def compare(
    asked: Asked, settings: Settings, log: Log, follower: Follower, environment: Environment
) -> Comparison:
    """Return the comparison. Nothing is sent, and no ledger is read or written.

    Raises UsageError, InputError and ReadError as a dry run does, and Exhausted if there is no room for the
    temporary table.
    """
    with _no_ledger(settings) as settings, _room_for_table():
        found, rules = _gathered(asked, settings, log, follower, environment)
        strategies = tuple(
            hold(name, settings, found.funnel, log, environment, follower.stage(name), rules)
            for name in _strategies(asked)
        )
    recommendation = recommend(
        found.personas,
        {one.persona: one for one in found.differences},
        {one.name: one for one in strategies},
        follower.columns,
    )
    return found._replace(strategies=strategies, recommendation=recommendation)


def _strategies(asked: Asked) -> tuple[str, ...]:
    if not asked.with_strategies:
        return ()
    return (IN_FORCE, *STRATEGIES) if asked.has_personas else tuple(STRATEGIES)


def _gathered(
    asked: Asked, settings: Settings, log: Log, follower: Follower, environment: Environment
) -> tuple[Comparison, Sequence[Sequence[Persona]]]:
    """Return the comparison but for its strategies, and the rules of its rows (`Gathering`)."""
    tally, personas = Tally(), settings.personas
    with closing(Table([persona.name for persona in personas], keeps_firsts=asked.funnel is None)) as table:
        ledger = Ledger.overlay(settings.ledger)
        with closing(ledger):
            now = environment.clock.now()
            gathering = Gathering(settings, ledger, table, asked.funnel, asked.by, tally, follower, now)
            log.read(gathering, ledger, settings, lambda same: same)
        events = gathering.events
        if asked.by and not gathering.knows_by and tally.rows.sent:
            raise _no_property(asked.by, tuple(gathering.properties))
        funnel = asked.funnel or _proposed(
            propose(table, events.names), asked, list(events.seen.values()), tally
        )
        places = [funnel.places.get(fold_name(name), -1) for name in events.names]
        rules = gathering.rules or [personas]
        able = [[[_may_do(persona, step) for step in funnel.steps] for persona in rule] for rule in rules]
        counted = count(table, funnel, able, places, by=bool(asked.by))
        steps, others = len(funnel.steps), range(1, len(personas))
        found = Comparison(
            funnel,
            asked.funnel is None,
            asked.by,
            gathering.span,
            tuple(gathering.logs),
            gathering.inputs,
            tally,
            tuple(_unseen(funnel, events.seen)),
            counted,
            tuple(differences(table, place, steps) for place in others if table.identities(place)),
            (),
            asked.plans,
            None,
        )
        return found, rules


def _proposed(steps: Sequence[str], asked: Asked, seen: Sequence[str], tally: Tally) -> Funnel:
    """Return the proposed funnel. Raises InputError if there is none to propose."""
    if len(steps) > 1:
        return Funnel(tuple(steps), asked.within)
    if not seen:
        raise InputError(
            f"there is no event to count: of {tally.rows.read:,} rows, {tally.rows.skipped:,} are left out "
            f"and {tally.rows.rejected:,} are bad",
            "km-cli dry-run with the same options says why",
            plain="there is no event to count",
        )
    names = sorted(seen)
    listed = ", ".join(names[:MOST_LISTED]) + (" …" if len(names) > MOST_LISTED else "")
    raise InputError(
        "no funnel can be proposed: no event of the log follows another one of the same person",
        f"name its steps in order with --funnel; the events are: {listed}",
        plain="no funnel can be proposed",
    )


def _may_do(persona: Persona, step: str) -> bool:
    naming = event_naming(persona)
    return naming is None or bool(naming(step))


def _unseen(funnel: Funnel, seen: dict[str, str]) -> Iterator[str]:
    for step in funnel.steps:
        if fold_name(step) not in seen:
            hint = did_you_mean(step, seen.values(), "", repr)
            yield f"no row has the event {step!r}" + (f"; {hint}" if hint else "")


def _no_property(by: str, properties: Sequence[str]) -> UsageError:
    hint = did_you_mean(by, properties, f"the columns are: {', '.join(properties[:MOST_LISTED])}", repr)
    return UsageError(f"--by {by!r}: no row of the first step has this property", hint)


@contextmanager
def _no_ledger(settings: Settings) -> Iterator[Settings]:
    """Give settings with the path of a ledger that does not exist: all rows count, sent or not."""
    with tempfile.TemporaryDirectory(prefix="km-cli-") as folder:
        yield replace(settings, ledger=Path(folder) / "ledger.db")


@contextmanager
def _room_for_table() -> Iterator[None]:
    """Turn an error of the temporary table into one that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise Exhausted(
            f"the temporary table of the comparison cannot be written: {error}",
            f"make room in {tempfile.gettempdir()}, or name a folder that has room: TMPDIR=FOLDER",
        ) from None
