"""Sends batches: each becomes durable, then its calls leave; their receipts come back and become durable.

The order keeps promise 1: first the rejects are synced, then one transaction holds the batch, then its calls
leave.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from km_cli.delivery import NOT_SENT, Driver
from km_cli.ledger import Ledger
from km_cli.model import Outcome, PlannedCall, Receipt, Trouble, Wired
from km_cli.protocols import Clock, Destination
from km_cli.rejects import RejectsFile, refused
from km_cli.run.batch import Batch
from km_cli.run.plan_guard import Guard
from km_cli.run.stopping import Stop, Stopped
from km_cli.run.tally import OpenRow, Tally

_TICK = 0.2
_MOST_UNSETTLED = 1000
_SETTLED_EVERY = 0.25
"""Seconds. Calls whose acknowledgement is not durable yet are sent again after a crash."""
_GRACE = 10.0

WITHOUT_DATA = "not sent, because another call of its identity was refused"
"""Why an alias is rejected that would stand without data (I3)."""


class Sending:
    """Takes batches to the ledger and their calls to the pool, and receipts from the pool to the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        tracker: str,
        destination: Destination,
        pool: Driver,
        rejects: RejectsFile,
        tally: Tally,
        stop: Stop,
        tick: Callable[[Tally, Trouble | None], None],
        clock: Clock,
        guard: Guard | None = None,
    ) -> None:
        """`guard` holds the run to an import plan."""
        self._guard = guard
        self._ledger = ledger
        self._tick = tick
        self._tracker = tracker
        self._destination = destination
        self._pool = pool
        self._rejects = rejects
        self._tally = tally
        self._stop = stop
        self._open: dict[int, OpenRow] = {}  # by the number of a call
        self._sites: tuple[str, ...] = ()
        self._has_aliases = False
        self._dropped: set[int] = set()
        self._unsettled: list[Receipt] = []
        self._clock = clock
        self._settled_at = clock.monotonic()

    def resume(self, sites: Sequence[str]) -> None:
        """Send first what earlier runs left in the outbox (promise 4)."""
        self._sites = tuple(sites)
        self._has_aliases = self._ledger.outbox.has_aliases()
        for planned_calls in self._ledger.outbox.pending(self._tracker, sites):
            self._tally.calls.resumed += len(planned_calls)
            self._pool.submit(planned_calls)
            self._wait_for_room()

    def encode(self, call: Wired, second: int) -> bytes:
        """Return the bytes that the destination gets."""
        return self._destination.encode(call, second)

    def ship(self, batch: Batch) -> None:
        """Make a batch durable and send it. Raises PlanDiffers before that if it is not as planned."""
        if self._guard is not None:
            self._guard.check(batch)
        self._write_rejects(batch)
        self._collect(self._pool.receipts())
        if self._guard is not None:
            self._guard.note()
        planned_calls = self._ledger.commit(
            self._tracker, batch.reading, batch.plans, self._take_unsettled(), at_end=batch.at_end
        )
        numbers = (planned_call.number for planned_call in planned_calls)
        for plan in batch.plans:
            if row := self._tally.take(plan):
                self._open.update((next(numbers), row) for _ in plan.planned)
        self._submit(planned_calls)
        self._wait_for_room()

    def _submit(self, planned_calls: Sequence[PlannedCall]) -> None:
        """Hand calls to the pool. Aliases stay in the outbox until the end (I3)."""
        ready = [planned_call for planned_call in planned_calls if not planned_call.is_alias]
        self._has_aliases = self._has_aliases or len(ready) < len(planned_calls)
        self._pool.submit(ready)

    def finish(self) -> None:
        """Wait until every call has its receipt and all receipts are durable. Raises Stopped."""
        self._drain()
        if self._has_aliases:
            self._send_aliases()
            self._drain()

    def _send_aliases(self) -> None:
        """Send the aliases of people whose other calls are all acknowledged (I3). The others stay pending."""
        outbox = self._ledger.outbox
        outbox.note_waiting()
        for planned_calls in outbox.aliases(self._tracker, self._sites):
            ready: list[PlannedCall] = []
            kept: list[PlannedCall] = []
            for planned_call in planned_calls:
                self._tally.calls.resumed += planned_call.number not in self._open
                # The `deed` of an alias is the other person.
                is_kept = outbox.holds(planned_call.person) or outbox.holds(planned_call.deed)
                (kept if is_kept else ready).append(planned_call)
            self._collect([Receipt(planned_call, Outcome.PENDING) for planned_call in kept])
            self._pool.submit(ready)
            self._wait_for_room()
        self._has_aliases = False

    def _drain(self) -> None:
        while not self._pool.is_idle:
            self._collect(self._pool.receipts(_TICK))
            self._settle_some()
            self._check()
        self._collect(self._pool.receipts())
        self._settle()
        self._check()  # an error that ends the run may have come with the last receipts

    def end(self) -> None:
        """End the run, early or not: calls in flight finish, and all receipts become durable."""
        if not self._pool.is_idle:
            self._pool.finish_in_flight(_GRACE)
        self._collect(self._pool.close())
        if self._has_aliases:
            for planned_calls in self._ledger.outbox.aliases(self._tracker, self._sites):
                mine = [
                    planned_call
                    for planned_call in planned_calls
                    if planned_call.number in self._open and planned_call.number not in self._dropped
                ]
                self._collect([Receipt(planned_call, Outcome.PENDING) for planned_call in mine])
        self._settle()

    def _wait_for_room(self) -> None:
        self._check()
        while not self._pool.has_room():
            self._collect(self._pool.receipts(_TICK))
            self._settle_some()
            self._check()

    def check(self) -> None:
        """Make the receipts durable that have come in. Raises Stopped if the run has to end."""
        self._collect(self._pool.receipts())
        self._settle_some()
        self._check()

    def heed(self) -> None:
        """Raise Stopped if the run has to end. Nothing becomes durable: it may be called while planning."""
        self._check()

    def _check(self) -> None:
        if self._stop.requested:
            raise Stopped(self._stop.error)
        if self._pool.failure is not None:
            raise Stopped(self._pool.failure)

    def _collect(self, receipts: Sequence[Receipt]) -> None:
        """Count receipts. They become durable with the next transaction."""
        calls = self._tally.calls
        for receipt in [*receipts, *self._left_without(receipts)]:
            if row := self._open.pop(receipt.call.number, None):
                row.settle(receipt.outcome)
            if receipt.outcome is Outcome.ACKNOWLEDGED:
                calls.acknowledged += 1
            elif receipt.outcome is Outcome.REJECTED:
                calls.rejected += 1
            else:
                calls.pending += 1
                if receipt.reason not in ("", NOT_SENT):
                    self._tally.last_failure = receipt.reason
            self._unsettled.append(receipt)
        calls.retried = self._pool.retried
        self._tick(self._tally, self._pool.trouble)

    def _left_without(self, receipts: Sequence[Receipt]) -> list[Receipt]:
        """Return receipts that reject the aliases of refused calls, which would be without data (I3)."""
        if not self._has_aliases:
            return []
        dropped: dict[int, Receipt] = {}
        for receipt in receipts:
            if receipt.outcome is Outcome.REJECTED and not receipt.call.is_alias:
                reason = f"{WITHOUT_DATA}: {receipt.reason}"
                for alias in self._ledger.outbox.aliases_beside(receipt.call):
                    dropped.setdefault(alias.number, Receipt(alias, Outcome.REJECTED, reason))
        new = [receipt for number, receipt in dropped.items() if number not in self._dropped]
        self._dropped.update(dropped)
        self._tally.calls.resumed += sum(receipt.call.number not in self._open for receipt in new)
        return new

    def _settle_some(self) -> None:
        waited = self._clock.monotonic() - self._settled_at
        if len(self._unsettled) >= _MOST_UNSETTLED or waited > _SETTLED_EVERY:
            self._settle()

    def _settle(self) -> None:
        if receipts := self._take_unsettled():
            self._ledger.settle(self._tracker, receipts)

    def _take_unsettled(self) -> list[Receipt]:
        """Return the receipts to make durable, after writing the refused rows to the rejects file."""
        receipts, self._unsettled = self._unsettled, []
        self._settled_at = self._clock.monotonic()
        by_row: dict[int, list[Receipt]] = defaultdict(list)
        for receipt in receipts:
            if receipt.outcome is Outcome.REJECTED:
                by_row[receipt.call.row].append(receipt)
        lines = []
        for mates in by_row.values():
            source = self._ledger.outbox.source_of(mates[0].call)
            reject = refused(source.row, mates)
            self._tally.reject(reject)
            reading = self._ledger.reading_of(source.reading)
            lines.append(self._rejects.format(reject, reading.origin))
        self._write(lines)
        return receipts

    def _write_rejects(self, batch: Batch) -> None:
        rejects = [reject for plan in batch.plans for reject in plan.rejects]
        self._write([self._rejects.format(reject, batch.reading.origin) for reject in rejects])

    def _write(self, lines: Sequence[bytes]) -> None:
        """Write rejects, and note them in the ledger: if this run is cut off, the next one reports them."""
        if lines:
            self._rejects.write(lines)
            self._ledger.unreported.keep(self._rejects.name, self._rejects.count)
