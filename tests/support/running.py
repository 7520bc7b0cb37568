"""The pipeline in this process: real files, a real ledger, and a dispatch that acknowledges at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from km_cli.config.people import People
from km_cli.config.settings import Settings
from km_cli.config.sites import Site
from km_cli.destinations.base import QueryEncoder
from km_cli.destinations.tracker import TrackerTarget
from km_cli.inputs import FormatOptions, Source
from km_cli.ledger import Ledger
from km_cli.mapping import ColumnOptions, Selection, TimeOptions
from km_cli.model import Outcome, Overlap, PlannedCall, Receipt, Row, Wired
from km_cli.planning import Collisions
from km_cli.run.batch import Batch
from km_cli.run.clock import SystemClock
from km_cli.run.observer import Observer
from km_cli.run.pipeline import Pipeline
from km_cli.run.stopping import Stopped
from km_cli.run.tally import Tally
from km_cli.strategies import STRATEGIES

TRACKER = "test"
TOGGLE = STRATEGIES["toggle"].personas("main", "accounts")


def settings(ledger: Path, **changes: Any) -> Settings:
    """Return settings as the command makes them, for the columns user, account, event, timestamp."""
    fields: dict[str, Any] = {
        "files": (),
        "format_options": FormatOptions(),
        "target": TrackerTarget(TRACKER, "http://127.0.0.1:1", needs_key=True),
        "people": People(TOGGLE, (Site("main", "KM_API_KEY"),)),
        "members": None,
        "column_options": ColumnOptions(),
        "time_options": TimeOptions(),
        "selection": Selection(),
        "allowed": (),
        "collisions": Collisions.SPREAD,
        "spread": 60,
        "overlap": Overlap.ASK,
        "as_new": False,
        "limit": None,
        "max_rejects": None,
        "batch_size": 500,
        "concurrency": 1,
        "rate": None,
        "timeout": 30.0,
        "attempts": 10,
        "ledger": ledger,
        "rejects": ledger.with_name("rejects.jsonl"),
        "environment": {},
    }
    return Settings(**{**fields, **changes})


class SentCall(NamedTuple):
    """A call that was sent, the call before it became bytes, and the row that it comes from."""

    planned: PlannedCall
    call: Wired
    row: Row


class Acknowledging:
    """A dispatch that makes batches durable, and has each acknowledged while the next one is planned.

    `batches` is how many it takes before the run is stopped: None for all of them.
    """

    def __init__(self, ledger: Ledger, tally: Tally, batches: int | None = None) -> None:
        self._ledger = ledger
        self._tally = tally
        self._batches = batches
        self.encode = QueryEncoder().encode
        self._due: list[Receipt] = []
        self.sent: list[SentCall] = []

    def check(self) -> None:
        """Go on. A real run may make receipts durable here, so that nothing may be planned at the time."""
        assert not self._ledger.slots.is_ahead

    def heed(self) -> None:
        """Go on."""

    def ship(self, batch: Batch) -> None:
        """Commit the batch, and the receipts of the one before."""
        if self._batches == 0:
            raise Stopped
        planned_calls = self._ledger.commit(
            TRACKER, batch.reading, batch.plans, self._due, at_end=batch.at_end
        )
        self._due = [Receipt(planned_call, Outcome.ACKNOWLEDGED) for planned_call in planned_calls]
        for plan in batch.plans:
            rows = plan.rows or (plan.row,) * len(plan.calls)
            self.sent.extend(map(SentCall._make, zip(plan.planned, plan.calls, rows, strict=True)))
            self._tally.take(plan)
        if self._batches:
            self._batches -= 1

    def end(self) -> None:
        """Commit the last receipts, though the run was stopped."""
        self._ledger.settle(TRACKER, self._due)


def run(
    files: Sequence[Path], ledger: Path, *, batches: int | None = None, **changes: Any
) -> tuple[list[SentCall], Tally]:
    """Import the files, as far as `batches` go; return what was sent and the tally."""
    opened, tally = Ledger.open(ledger), Tally()
    sink = Acknowledging(opened, tally, batches)
    try:
        chosen = settings(ledger, **changes)
        Pipeline(chosen, opened, sink, tally, Observer(), SystemClock()).run(map(Source, map(str, files)))
    except Stopped:
        pass
    finally:
        sink.end()
        opened.close()
    return sink.sent, tally


def wire(sent: Iterable[SentCall]) -> list[dict[str, str]]:
    """Return calls as the tracker would decode them."""
    return [
        {
            "_p": one.call.identity,
            "_n": one.call.event,
            "_t": str(one.planned.taken),
            "_d": "1",
            **dict(one.call.properties),
        }
        for one in sent
    ]
