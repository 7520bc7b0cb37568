"""The durable record of all that was planned, acknowledged and rejected: one SQLite file, one writer."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from km_cli.durable import make_folder
from km_cli.errors import LedgerError, LedgerFailed
from km_cli.ledger.bulk_parts import BulkPart, BulkPartTable
from km_cli.ledger.checks import check_file, check_header, check_name
from km_cli.ledger.counts import CountTable
from km_cli.ledger.damage import Database, damaged, decoding
from km_cli.ledger.expected import ExpectedTable
from km_cli.ledger.files import FileTable
from km_cli.ledger.forgetting import Claimed, Forgetting, Tables, count_claimed
from km_cli.ledger.horizons import HorizonTable
from km_cli.ledger.lock import Ending, Lock
from km_cli.ledger.opening import leave_no_trace, open_ledger, open_overlay
from km_cli.ledger.outbox import Outbox
from km_cli.ledger.pauses import Pause, PauseTable
from km_cli.ledger.presence import Presence
from km_cli.ledger.pruning import Pruned, count_old_calls, count_old_pending, prune
from km_cli.ledger.queries import QueryTable
from km_cli.ledger.readings import Reading, ReadingTable
from km_cli.ledger.runs import MOST_RUNS, RunTable
from km_cli.ledger.secret import read_secret, write_secret
from km_cli.ledger.sent import SentTable
from km_cli.ledger.sites import SiteTable
from km_cli.ledger.slots import SlotTable
from km_cli.ledger.transactions import Transactions
from km_cli.ledger.unreported import UnreportedTable
from km_cli.model import Outcome, PlannedCall, Receipt, RowPlan


class Ledger:
    """The ledger's tables, and the transactions that change them.

    `Ledger.open` takes the lock, and writes. `Ledger.overlay` is for a dry run: it reads the same ledger, and
    keeps all changes in a temporary file.
    """

    def __init__(self, path: Path, database: Database, schemas: tuple[str, ...], lock: Lock | None) -> None:
        self.path = path
        self._database = database
        self._schemas = schemas
        self._lock = lock
        database.presence = Presence(path) if lock else None
        self._leave_no_trace = False
        self._sites = SiteTable(database, path)
        self.slots = SlotTable(database, schemas, is_dry=lock is None)
        self.counts = CountTable(database, schemas, self.slots, is_dry=lock is None)
        self.readings = ReadingTable(database, schemas)
        self.outbox = Outbox(database, schemas)
        self.files = FileTable(database, schemas)
        self.pauses = PauseTable(database, schemas)
        self.unreported = UnreportedTable(database, schemas)
        self.runs = RunTable(database, schemas)
        self.sent = SentTable(database, schemas)
        self.expected = ExpectedTable(database, schemas)
        self.horizon = HorizonTable(database, schemas)
        self.bulk_parts = BulkPartTable(database, schemas)
        self.queries = QueryTable(database, schemas)
        self._transactions = Transactions(path, database, lock, self.runs.write, self._discard)
        self._secret = read_secret(database, schemas[-1])

    @classmethod
    def open(cls, path: Path, wait: float = 0.0) -> Ledger:
        """Open the ledger for a run, waiting `wait` seconds at most until another run closes it.

        Raises LedgerBusy if the other run still holds it, LedgerError if it cannot be used.
        """
        check_name(path)
        try:
            make_folder(path.parent)
        except OSError as error:
            raise LedgerError(
                f"the ledger's folder {path.parent} cannot be created: {error.strerror}",
                "give another place: --ledger PATH",
            ) from None
        if check_file(path):
            check_header(path)  # Before the lock is made, which must not lie beside another program's file.
        lock = Lock(path)
        lock.acquire(wait)
        try:
            return cls._over(path, open_ledger(path, lock), ("main",), lock)
        except BaseException:
            lock.note_refused()
            lock.release()
            raise

    @classmethod
    def overlay(cls, path: Path) -> Ledger:
        """Open a temporary overlay over the ledger. The ledger stays as it is, and need not exist."""
        check_name(path)
        at_rest = not path.with_name(path.name + "-wal").exists()
        overlay = cls._over(path, *open_overlay(path), None)
        overlay._leave_no_trace = at_rest
        return overlay

    @classmethod
    def _over(cls, path: Path, database: Database, schemas: tuple[str, ...], lock: Lock | None) -> Ledger:
        try:
            with decoding(database, ""):
                return cls(path, database, schemas, lock)
        except BaseException:
            database.close()
            raise

    @property
    def secret(self) -> bytes:
        """The secret under which the digests of this ledger are keyed, b"" for bare digests."""
        return self._secret

    def key_by(self, secret: bytes) -> None:
        """Give an empty ledger the secret of its digests. Raises LedgerFailed."""
        with self._transaction():
            write_secret(self._database, secret)
        self._secret = secret

    def close(self) -> None:
        """Write the last counts and the end of the run, close the file and release the lock."""
        if self._lock and not self._transactions.failed:
            with suppress(LedgerError), self._transaction():
                self.counts.write(at_end=True)
                self._end_run()
        self._database.close()
        if self._lock:
            if not self._transactions.failed and not self._database.is_damaged:
                self._lock.note(self._ending())
            self._lock.release()
        elif self._leave_no_trace:
            leave_no_trace(self.path)

    def _ending(self) -> Ending:
        """Return how this run ends. The closed file keeps its log beside it while a dry run reads it."""
        try:
            log = self.path.with_name(self.path.name + "-wal").stat().st_size
        except OSError:
            log = 0
        return Ending.CLEAN_WITH_LOG if log else Ending.CLEAN

    def _end_run(self) -> None:
        """Write the end of the run, and forget the runs that are too many."""
        if self.runs.number:
            self.runs.write()
            self._forget_runs(self.runs.number - MOST_RUNS)

    def _forget_runs(self, last: int) -> int:
        self.sent.merge_until(last)
        return self.runs.forget_until(last)

    def count_older(self, second: int) -> tuple[int, int]:
        """Return how many calls older than a second are known, and how many of them are pending."""
        of_what = (self._database, self._schemas[-1], second)
        return count_old_calls(*of_what), count_old_pending(*of_what)

    def prune(self, second: int, now: float, noted: Callable[[Pruned], None]) -> Pruned:
        """Forget the calls that are older than a second, in one transaction; `now` is in seconds since 1970.

        `noted` gets the numbers before they are durable, for the counts of the run. Raises LedgerFailed.
        """
        with self._transaction():
            found = prune(self._database, second)
            found = found._replace(runs=self._forget_runs(self.runs.last_before(second)))
            self.horizon.note(second, now, found.calls)
            noted(found)
        return found

    def count_claimed(self, numbers: Collection[int]) -> Claimed:
        """Return how many calls these readings claim, alone and with others, and how many are pending."""
        claimed = count_claimed(self.slots, self.outbox.pending_calls(), numbers)
        by_reading = self.outbox.count_by_reading()
        pending = sum(calls for (_, _, number), calls in by_reading.items() if number in numbers)
        return claimed._replace(pending=max(claimed.pending, pending))

    def forget(
        self, numbers: Collection[int], digest_event: Callable[[str], bytes], noted: Callable[[Pruned], None]
    ) -> Pruned:
        """Forget these readings and the calls that only they claim, in one transaction.

        `digest_event` returns the digest of an event's name that slots have. `noted` is as for `prune`.
        Raises LedgerFailed.
        """
        tables = Tables(
            self._database, self.slots, self.counts, self.readings, self.sent, self.runs, self.horizon
        )
        with self._transaction():
            found = Forgetting(tables, numbers, digest_event).forget()
            noted(found)
        return found

    def give_back(self) -> None:
        """Give the room of forgotten records back to the disk. Raises sqlite3.Error; nothing is lost then."""
        self._database.execute("VACUUM")
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._database.presence = Presence(self.path)  # The file is smaller now, and that is no loss.

    def commit(
        self,
        tracker: str,
        reading: Reading,
        plans: Sequence[RowPlan],
        receipts: Iterable[Receipt] = (),
        *,
        at_end: bool = False,
    ) -> list[PlannedCall]:
        """Make a batch durable in one transaction: its calls, the slots they take, and the cursor.

        Receipts that came in meanwhile are settled in the same transaction. Only now may the calls be sent
        (promise 1): after a crash, a call that was sent without being in the ledger would be sent again.
        Raises LedgerFailed; then nothing of the batch is written.
        """
        with self._transaction():
            self._settle(tracker, receipts)
            planned_calls: list[PlannedCall] = []
            if self._lock and any(plan.planned for plan in plans):
                self._sites.write()
                planned_calls = self.outbox.post(tracker, self.runs.number, reading.number, plans)
            self._write_batch(tracker, reading, plans, at_end=at_end)
        return planned_calls

    def commit_written(
        self,
        tracker: str,
        reading: Reading,
        plans: Sequence[RowPlan],
        parts: Iterable[BulkPart],
        *,
        at_end: bool = False,
    ) -> None:
        """Make a batch durable in one transaction, with the bulk files as they are with its calls.

        The calls are on the disk already, and count as sent. Raises LedgerFailed; then nothing of the batch
        is written, and the files are longer than the ledger says.
        """
        with self._transaction():
            self.bulk_parts.write(parts)
            self._write_batch(tracker, reading, plans, at_end=at_end)

    def keep_parts(self, parts: Iterable[BulkPart], empty: Iterable[BulkPart] = ()) -> None:
        """Make durable which bulk files are begun or finished, and forget those that are `empty`."""
        with self._transaction():
            self.bulk_parts.write(parts)
            self.bulk_parts.forget(empty)

    def _write_batch(self, tracker: str, reading: Reading, plans: Sequence[RowPlan], *, at_end: bool) -> None:
        """Write the slots that a batch takes, its counts and the cursor behind it."""
        self.slots.write()
        self.counts.write(at_end=at_end)
        if at_end:
            self.slots.forget_old_changed()
        self.readings.write(reading)
        self._count_planned(tracker, plans)
        self.files.write()
        self.queries.write()
        self.unreported.write()

    def _count_planned(self, tracker: str, plans: Sequence[RowPlan]) -> None:
        """Add the calls to those that were sent, and to the counts of their readings."""
        if self._lock:  # Nothing reads them in a dry run.
            self.sent.add_plans(self.runs.number, tracker, plans)
        self.readings.count_plans(tracker, plans)

    def abandon(self) -> None:
        """Forget the plans that were not committed.

        If a later transaction wrote their slots, their calls would be known, and would never be sent.
        """
        self.queries.discard()
        if self.slots.is_ahead:
            self.slots.discard()
            self.counts.abandon()

    def keep_file(self, stamp: tuple[int, int, int, int], asked: str, now: float) -> None:
        """Remember that a file (device, inode, size, time) was read to its end under these settings.

        The next transaction makes it durable. If a crash comes first, the file is read once more.
        """
        self.files.keep(stamp, asked, now)

    def tidy_files(self, now: float) -> None:
        """Forget the files that no run has met for a long time."""
        if self.files.is_stale:
            with self._transaction():
                self.files.tidy(now)

    def pause(self, tracker: str, pause: Pause | None) -> None:
        """Keep the pause of a tracker; None ends it."""
        if pause != self.pauses.by_tracker(tracker):
            with self._transaction():
                self.pauses.put(tracker, pause)

    def settle(self, tracker: str, receipts: Iterable[Receipt]) -> None:
        """Make receipts durable: acknowledged and rejected calls leave the outbox."""
        # The slots of a batch that is being planned would be written without its calls, see `abandon`.
        assert not self.slots.is_ahead, "a batch is being planned"
        with self._transaction():
            self._settle(tracker, receipts)
            self.slots.write()
            self.counts.write(at_end=False)
            self.unreported.write()

    def reading_of(self, number: int) -> Reading:
        """Return the reading that a row in the outbox belongs to."""
        reading = self.readings.by_number(number)
        if reading is None:
            raise damaged(self._database, "readings", f"number {number} is missing")
        return reading

    def decoding(self, table: str) -> AbstractContextManager[None]:
        """Return a context for decoding JSON from a table: an error becomes a LedgerError."""
        return decoding(self._database, table)

    def mark_reported(self) -> None:
        """Mark the rejects as reported. If that fails, the next run reports them again."""
        with suppress(LedgerFailed, sqlite3.Error):
            if not self.unreported.is_empty:
                with self._transaction():
                    self.unreported.clear()

    def _settle(self, tracker: str, receipts: Iterable[Receipt]) -> None:
        receipts = list(receipts)
        refused = [receipt.call for receipt in receipts if receipt.outcome is Outcome.REJECTED]
        for planned_calls in _by_row(refused):
            self._count_refused(tracker, planned_calls)
        self.outbox.settle(receipts)
        for planned_call in refused:
            if freed := self.slots.forget(planned_call):
                site = f"{tracker} {planned_call.site}"
                self.counts.take_back(site, planned_call.persona, planned_call.person, freed)

    def _count_refused(self, tracker: str, planned_calls: Sequence[PlannedCall]) -> None:
        """Count the calls of one row that were refused, in place of having been sent."""
        run, reading, row = self.outbox.source_of(planned_calls[0])
        if row.origin and (origin := self.readings.by_token(row.origin.reading)):
            reading = origin.number
        self.readings.count_refused(reading, 1)
        personas = Counter(f"{tracker} {one.site} {one.persona}" for one in planned_calls)
        self.readings.count_calls(reading, {part: -count for part, count in personas.items()})
        self.sent.take_back(run, tracker, planned_calls)

    def _transaction(self) -> AbstractContextManager[None]:
        """Write all or nothing. After a failure no more transactions are possible."""
        return self._transactions.begin()

    def _discard(self) -> None:
        """Forget what a transaction that failed has in memory."""
        self.slots.discard()
        self.counts.discard()

    def check_site(self, tracker: str, name: str, key: str) -> None:
        """Check that a site's name belongs to its key. Raises UsageError."""
        self._sites.check(tracker, name, key)


def _by_row(planned_calls: Iterable[PlannedCall]) -> Iterable[list[PlannedCall]]:
    """Return the calls of each row."""
    found: defaultdict[int, list[PlannedCall]] = defaultdict(list)
    for planned_call in planned_calls:
        found[planned_call.row].append(planned_call)
    return found.values()
