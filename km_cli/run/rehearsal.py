"""A run that sends nothing: a dry run, and the rehearsal that --strict makes before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from km_cli.config.environment import Environment
from km_cli.config.settings import Settings
from km_cli.errors import KmError, TooManyFindings
from km_cli.ledger import Ledger
from km_cli.model import Forecast
from km_cli.planning import no_bytes
from km_cli.rules import is_harmless
from km_cli.run.batch import Batch
from km_cli.run.observer import Observer
from km_cli.run.pipeline import Pipeline
from km_cli.run.plan_taking import PlanTaker
from km_cli.run.process import look_for_cycles_seldom
from km_cli.run.stopping import Stop, Stopped
from km_cli.run.tally import Tally

Work = Callable[[Pipeline, Ledger], None]
"""The work of a dry run, given its pipeline and the ledger's overlay."""


class Rehearsal:
    """Takes the batches of a dry run: they go to the ledger's overlay, and no call is sent."""

    encode = staticmethod(no_bytes)

    def __init__(
        self, ledger: Ledger, tracker: str, tally: Tally, stop: Stop, taker: PlanTaker | None = None
    ) -> None:
        """`taker` gets each batch as well."""
        self._taker = taker
        self._ledger = ledger
        self._tracker = tracker
        self._tally = tally
        self._stop = stop

    def ship(self, batch: Batch) -> None:
        """Count the calls that an import would send."""
        for plan in batch.plans:
            self._tally.rehearse(plan)
        if self._taker is not None:
            self._taker.take(batch)
        self._ledger.commit(self._tracker, batch.reading, batch.plans, at_end=batch.at_end)
        self.check()

    def heed(self) -> None:
        """Raise Stopped if the run was asked to stop."""
        self.check()

    def check(self) -> None:
        """Raise Stopped if the run was asked to stop."""
        if self._stop.requested:
            raise Stopped(self._stop.error)


class Rehearsed(NamedTuple):
    """How a dry run ended, and what Kissmetrics would hold after the import, by site and persona.

    `pending` are the calls that earlier runs left, by site.
    """

    tally: Tally
    pending: dict[str, int]
    forecast: Forecast
    seconds: float
    ended: KmError | None


def rehearse(
    settings: Settings,
    observer: Observer,
    work: Work,
    stop: Stop,
    environment: Environment,
    taker: PlanTaker | None = None,
) -> Rehearsed:
    """Do the work as an import would, up to a temporary overlay of the ledger. Nothing is sent or kept.

    `taker` gets each batch, for an import plan.
    """
    look_for_cycles_seldom(environment)
    tally, clock = Tally(), environment.clock
    started = clock.monotonic()
    ended: KmError | None = None
    forecast: Forecast = {}
    pending: dict[str, int] = {}
    ledger = Ledger.overlay(settings.ledger)
    try:
        sink = Rehearsal(ledger, settings.target.tracker, tally, stop, taker)
        pipeline = Pipeline(settings, ledger, sink, tally, observer, clock, seeks_ids=True)
        work(pipeline, ledger)
        pending = ledger.outbox.count(settings.target.route)
        forecast = pipeline.forecast()
    except Stopped as stopped:
        ended = stopped.error
    except KmError as error:
        ended = error
    finally:
        ledger.close()
    return Rehearsed(tally, pending, forecast, clock.monotonic() - started, ended)


def rehearse_strictly(
    settings: Settings, observer: Observer, work: Work, stop: Stop, environment: Environment
) -> None:
    """Do the work once without sending, before it is done for real. It ends early if it is asked to `stop`.

    Raises TooManyFindings, and any error that would end the import.
    """
    rehearsed = rehearse(settings, observer, work, stop, environment)
    if rehearsed.ended is not None or not stop.requested:
        check_rehearsed(rehearsed)


def check_rehearsed(rehearsed: Rehearsed) -> None:
    """Raise the error that ended a rehearsal, or TooManyFindings if anything is bad (--strict)."""
    if rehearsed.ended is not None:
        raise rehearsed.ended
    check_strictly(rehearsed.tally)


def check_strictly(tally: Tally) -> None:
    """Raise TooManyFindings if anything would be lost, merged, changed or rejected (--strict)."""
    found = {code: count for code, count in tally.findings.items() if not is_harmless(code)}
    if tally.rows.rejected:
        found["rejected rows"] = tally.rows.rejected
    if found:
        listed = ", ".join(f"{code} {count:,}{_place_of(tally, code)}" for code, count in found.items())
        raise TooManyFindings(
            f"--strict: Kissmetrics would lose, merge or change something ({listed}); nothing was sent",
            "km-cli dry-run shows the rows, km-cli rules CODE explains a code; without --strict all is sent",
        )


def _place_of(tally: Tally, code: str) -> str:
    """Return the place of the first finding of a code, or of the first rejected row, for a message."""
    if code in tally.examples:
        source, line = tally.examples[code].source, tally.examples[code].line
    else:
        row = next(iter(tally.rejects.values())).row
        source, line = row.source, row.line
    return f", the first in {source}, line {line}" if line else ""
