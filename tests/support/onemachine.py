"""Plans logs as `km-cli import` does, and keeps the calls instead of sending them."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import click

from km_cli.cli import group
from km_cli.cli.settings import make_settings
from km_cli.config.settings import Settings
from km_cli.destinations.base import QueryEncoder
from km_cli.inputs import Source
from km_cli.ledger import Ledger
from km_cli.model import Finding, PlannedCall, Reject
from km_cli.run.batch import Batch
from km_cli.run.observer import Observer
from km_cli.run.pipeline import Pipeline
from km_cli.run.tally import Tally
from tests.support.inprocess import environment

KEYS = {name: name for name in ("KM_API_KEY", "KM_ACCOUNT_API_KEY", "KM_PARTNERS_API_KEY")}


def settings_of(
    words: str | Sequence[str | Path], variables: Mapping[str, str] = KEYS, command: str = "import"
) -> Settings:
    """Return the settings that a command line gives."""
    listed = shlex.split(words) if isinstance(words, str) else [str(word) for word in words]
    found = group.get_command(click.Context(group), command)
    assert found is not None
    return make_settings(found.make_context(command, listed, obj=environment(dict(variables))))


class FixedClock:
    """A clock that stands."""

    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        """Return seconds since 1970."""
        return self._now

    def monotonic(self) -> float:
        """Return the same."""
        return self._now


class Planned(NamedTuple):
    """The result of an import that is not sent. `kept` are its calls, each with its row and its gain."""

    calls: list[PlannedCall]
    rejects: list[Reject]
    findings: list[Finding]
    kept: Counter[tuple[object, ...]]
    tally: Tally

    @property
    def payloads(self) -> Counter[tuple[str, bytes]]:
        """The calls that would be sent, by site."""
        return Counter((call.site, call.payload) for call in self.calls)


class _Sink:
    """Takes batches, and makes them durable in the ledger as if all their calls were acknowledged."""

    def __init__(self, ledger: Ledger, tracker: str, tally: Tally) -> None:
        self.encode = QueryEncoder().encode
        self._ledger = ledger
        self._tracker = tracker
        self._tally = tally
        self.calls: list[PlannedCall] = []
        self.rejects: list[Reject] = []
        self.findings: list[Finding] = []
        self.kept: Counter[tuple[object, ...]] = Counter()

    def ship(self, batch: Batch) -> None:
        """Keep the calls, rejects and findings of a batch."""
        for plan in batch.plans:
            self.calls += plan.planned
            self.rejects += plan.rejects
            self.findings += plan.findings
            rows = plan.rows or [plan.row] * len(plan.planned)
            for call, row, gain in zip(plan.planned, rows, plan.gains, strict=True):
                self.kept[call.site, call.payload, row.source, row.line, row.raw, *gain] += 1
            self._tally.rehearse(plan)
        self._ledger.commit(self._tracker, batch.reading, batch.plans, at_end=batch.at_end)

    def heed(self) -> None:
        """Do nothing: nobody stops the run."""

    def check(self) -> None:
        """Do nothing, either."""


class OneMachine:
    """A ledger, and imports into it one after the other."""

    def __init__(self, ledger: Ledger, now: float) -> None:
        self.ledger = ledger
        self._clock = FixedClock(now)

    def plan(self, settings: Settings, files: Iterable[Path | str]) -> Planned:
        """Import files. Raises what an import raises."""
        tally = Tally()
        sink = _Sink(self.ledger, settings.target.tracker, tally)
        pipeline = Pipeline(settings, self.ledger, sink, tally, Observer(), self._clock)
        sources = [Source(str(file), format_options=settings.format_options) for file in files]
        pipeline.run(sources)
        return Planned(sink.calls, sink.rejects, sink.findings, sink.kept, tally)

    def refuse(self, calls: Iterable[PlannedCall]) -> None:
        """Forget calls, as if their destination had rejected them."""
        for call in calls:
            self.ledger.slots.forget(call)


@contextmanager
def one_machine(folder: Path, now: float) -> Iterator[OneMachine]:
    """One machine with an empty ledger."""
    ledger = Ledger.overlay(folder / "none.db")
    try:
        yield OneMachine(ledger, now)
    finally:
        ledger.close()
