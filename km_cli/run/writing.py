"""Takes batches to bulk files and to the ledger. Nothing is pending: a call that is on the disk is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from km_cli.ledger import Ledger
from km_cli.model import NO_SECOND, RowPlan, Trouble, Wired
from km_cli.planning import no_bytes
from km_cli.rejects import RejectsFile
from km_cli.run.batch import Batch
from km_cli.run.bulk_files import BulkFiles
from km_cli.run.stopping import Stop, Stopped
from km_cli.run.tally import Tally


class Writing:
    """Takes the batches of a run whose calls are written to files."""

    encode = staticmethod(no_bytes)

    def __init__(
        self,
        ledger: Ledger,
        tracker: str,
        files: BulkFiles,
        rejects: RejectsFile,
        tally: Tally,
        stop: Stop,
        tick: Callable[[Tally, Trouble | None], None],
    ) -> None:
        self._ledger = ledger
        self._tracker = tracker
        self._files = files
        self._rejects = rejects
        self._tally = tally
        self._stop = stop
        self._tick = tick
        self._is_whole = True

    def ship(self, batch: Batch) -> None:
        """Write the calls of a batch, then commit it with the new lengths of the files.

        Raises Stopped, WriteError, LedgerFailed.
        """
        self._write_rejects(batch)
        self._is_whole = False
        self._files.write(_calls_of(batch))
        self._ledger.commit_written(
            self._tracker, batch.reading, batch.plans, self._files.described(), at_end=batch.at_end
        )
        for plan in batch.plans:
            self._tally.rehearse(plan)
            self._tally.calls.acknowledged += len(plan.planned)
        self._files.finish_full()
        self._is_whole = True
        self._tick(self._tally, None)
        self.check()

    def _write_rejects(self, batch: Batch) -> None:
        rejects = [reject for plan in batch.plans for reject in plan.rejects]
        if rejects:
            self._rejects.write([self._rejects.format(reject, batch.reading.origin) for reject in rejects])
            self._ledger.unreported.keep(self._rejects.name, self._rejects.count)

    def heed(self) -> None:
        """Raise Stopped if the run was asked to stop."""
        self.check()

    def check(self) -> None:
        """Raise Stopped if the run was asked to stop."""
        if self._stop.requested:
            raise Stopped(self._stop.error)

    def end(self) -> None:
        """Finish the files, unless one has calls of a batch that was not committed: see `BulkFiles.resume`.

        Raises WriteError, LedgerFailed.
        """
        try:
            if self._is_whole:
                self._files.finish()
        finally:
            self._files.close()


def _calls_of(batch: Batch) -> Iterator[tuple[Wired, int]]:
    """Yield the calls of a batch with their seconds, aliases last: they show only behind other data (I3)."""
    aliases: list[tuple[Wired, int]] = []
    for plan in batch.plans:
        for planned, call in zip(plan.planned, plan.calls, strict=True):
            if planned.taken == NO_SECOND:
                aliases.append((call, _second_of_row(plan) or batch.reading.last))
            else:
                yield call, planned.taken
    yield from aliases


def _second_of_row(plan: RowPlan) -> int:
    """Return a second of a row for its alias, whose time does not matter; 0 if no other call is planned."""
    return next((planned.taken for planned in plan.planned if planned.taken != NO_SECOND), 0)
