"""A receipts table → a ledger: whoever goes on with one machine sends nothing twice.

The digests stay keyed, and the ledger keeps the secret (`ledger.secret`). It is made beside its place, and
gets its name when it is whole. It needs pyarrow and no Spark.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple, TypeVar

from km_cli.durable import make_folder, sync
from km_cli.errors import Exit, LedgerError, Undelivered, UsageError
from km_cli.kissmetrics import fold_name
from km_cli.ledger import Ledger, Reading
from km_cli.model import (
    NANOSECONDS,
    NO_EVENT,
    NO_SECOND,
    Alias,
    Gain,
    KnownRow,
    MovedCall,
    Owner,
    PlannedCall,
    Record,
    Row,
    RowPlan,
    Set,
    Slot,
    split_pairs,
)
from km_cli.planning.digests import digest
from km_cli.planning.keyed import digest_spelling
from km_cli.protocols import Clock
from km_cli.spark.files import LocalFiles, is_local
from km_cli.spark.gathered import Gathered, KeptAlias, KeptCall
from km_cli.spark.person_values import unpack_value
from km_cli.spark.readings import reading_from_json
from km_cli.spark.receipts import DONE, Receipts
from km_cli.spark.tables import CALL, LINE, NAMED, SPELLED, VALUE

IMPORT = "ledger import"
"""The command by which `status` and `show --run` tell the run."""

T = TypeVar("T")

_BATCH = 5_000


class Imported(NamedTuple):
    """How many calls, people and logs the new ledger knows."""

    calls: int
    logs: int


def import_receipts(path: str, ledger: Path, tracker: str, secret: bytes, clock: Clock) -> Imported:
    """Make a new ledger from a receipts folder.

    Raises UsageError if the ledger exists or the folder belongs to another destination or secret, Undelivered
    if calls of a job are pending, LedgerBusy, LedgerError, OSError; then there is no ledger.
    """
    if not is_local(path):
        raise UsageError(f"--receipts {path} is not on this machine", "copy the folder to this machine first")
    if ledger.exists() or ledger.is_symlink():
        raise UsageError(
            f"the ledger {ledger} exists already, and receipts make a new one",
            "name a file that does not exist yet: --ledger PATH",
        )
    receipts = Receipts.open(path, LocalFiles(), secret=secret, to=tracker, keys={})
    if not receipts.manifest.jobs:
        raise UsageError(f"there are no receipts in {path}", "check the path of --receipts")
    with receipts.lease():
        if any(job.state != DONE for job in receipts.manifest.jobs):
            raise Undelivered(
                f"a job of {path} has calls that are pending", "run it again first: km-cli spark import"
            )
        return _made(ledger, receipts, tracker, secret, clock)


def _made(place: Path, receipts: Receipts, tracker: str, secret: bytes, clock: Clock) -> Imported:
    """Make the ledger in a folder beside its place, and move it there."""
    make_folder(place.parent)
    draft = place.parent / f".{place.name}.{token_hex(8)}"
    try:
        make_folder(draft)
        with Gathered(receipts) as gathered:
            ledger = Ledger.open(draft / place.name)
            try:
                ledger.key_by(secret)
                ledger.runs.begin(IMPORT, clock, dict)
                imported = _Filling(ledger, tracker, secret).fill(receipts, gathered)
                ledger.runs.end(Exit.OK)
            finally:
                ledger.close()
        os.link(draft / place.name, place)
        sync(place.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return imported


class _Filling:
    """Fills an empty ledger."""

    def __init__(self, ledger: Ledger, tracker: str, secret: bytes) -> None:
        self._ledger = ledger
        self._tracker = tracker
        self._secret = secret

    def fill(self, receipts: Receipts, gathered: Gathered) -> Imported:
        """Put the calls and all that is known beside them into the ledger, in the order of their rows."""
        readings = _readings(receipts)
        calls = 0
        for number, several in groupby(gathered.calls(), lambda call: call.reading):
            if number not in readings:
                raise LedgerError(
                    f"{receipts.path} has calls of the log number {number}, which no manifest names",
                    "restore the folder from a copy",
                )
            for some in _batches(several):
                plans = [plan for call in some if (plan := self._plan(call, readings[number]))]
                self._ledger.counts.count_gains(self._tracker, plans)
                self._ledger.commit_written(self._tracker, readings[number], plans, ())
                calls += len(plans)
        for reading in readings.values():
            self._write(reading)  # those without a call, too
        if readings:
            self._join(gathered.aliases(), reading)
        for at, row in enumerate(gathered.others()):
            self._take(row)
            if at % _BATCH == _BATCH - 1:
                self._write(reading)
        for refused in gathered.refused():
            self._forget_values(refused)
        if readings:
            self._write(reading)
        return Imported(calls, len(readings))

    def _write(self, reading: Reading) -> None:
        """Write what was put into the ledger. It takes a reading, whichever it is."""
        self._ledger.commit_written(self._tracker, reading, (), (), at_end=True)

    def _plan(self, call: KeptCall, reading: Reading) -> RowPlan | None:
        """Put a call into its slot; return it as a plan that was carried out. None if it was refused."""
        slots, known = self._ledger.slots, call.known
        people = int(slots.owner(known.person) is None)
        if people:
            slots.set_owner(known.person, Owner(call.persona, call.spelling))
        if call.is_refused:
            return None
        row = KnownRow(call.reading, call.line, call.columns) if call.columns is not None else None
        known = known._replace(row=slots.keep_row(row) if row else 0)
        person, second, taken, deed, total, event, pairs, call_id, *_ = known
        gain = slots.slot(person, taken).gain(event, pairs, taken)._replace(people=people)
        own = slots.slot(person, second)
        slots.put(person, second, Slot((*own.known, known), own.moved))
        if taken != second:
            there = slots.slot(person, taken)
            slots.put(person, taken, Slot(there.known, (*there.moved, MovedCall(event, pairs))))
        if call_id:
            slots.keep_id(call_id, person, second)
        planned = PlannedCall(call.site, call.persona, b"", person, second, taken, deed, total)
        return _carried_out(call, planned, gain, reading)

    def _join(self, aliases: Iterable[KeptAlias], reading: Reading) -> None:
        """Take the aliases. All calls are there already."""
        for some in _batches(aliases):
            plans = [plan for alias in some if (plan := self._plan_alias(alias, reading))]
            self._ledger.counts.count_gains(self._tracker, plans)
            self._ledger.commit_written(self._tracker, reading, plans, ())

    def _plan_alias(self, alias: KeptAlias, reading: Reading) -> RowPlan | None:
        """Make one person of two; return the alias as a plan that was carried out, None if it was refused.

        Of two people with data, Kissmetrics has one less from then on.
        """
        leader, spelling, other, other_spelling, site, persona, is_refused = alias
        slots = self._ledger.slots
        have_data = slots.owner(leader) is not None and slots.owner(other) is not None
        if slots.owner(leader) is None:
            slots.set_owner(leader, Owner(persona, spelling))
        slots.set_owner(other, Owner(persona, other_spelling, b"" if is_refused else leader))
        if is_refused or not site:
            return None
        planned = PlannedCall(site, persona, b"", leader, NO_SECOND, NO_SECOND, other, b"")
        row, call, gain = Row(reading.source, 0, b"", None), Alias(site, persona, "", ""), Gain(-have_data)
        return RowPlan(row, planned=(planned,), calls=(call,), gains=(gain,), reading=reading.number)

    def _take(self, row: Mapping[str, Any]) -> None:
        """Take a row that is about something else than a call."""
        slots, counts, kind = self._ledger.slots, self._ledger.counts, row["kind"]
        if kind == VALUE:
            slots.values.put(row["person"] + row["columns"], unpack_value(row["known"]))
        elif kind == SPELLED:
            counts.is_spelled_alike(row["deed"], row["person"])
        elif kind == NAMED:
            counts.count_name(f"{self._tracker} {row['site']}", row["persona"], row["deed"])
        elif kind == LINE:
            slots.keep_id(row["deed"], row["person"], row["second"])
        elif kind == CALL:
            if row["second"] != NO_SECOND:
                self._take_names(row)
        elif slots.owner(row["person"]) is None:
            slots.set_owner(row["person"], Owner(row["persona"], row["spelling"]))

    def _take_names(self, row: Mapping[str, Any]) -> None:
        """Count the names in a call, and remember how its identity is spelled."""
        counts, site = self._ledger.counts, f"{self._tracker} {row['site']}"
        spelling = digest_spelling(self._tracker, row["site"], row["identity"], self._secret)
        counts.is_spelled_alike(spelling, row["person"])
        for kind, name in (("event", row["event"]), *(("property", name) for name in row["names"] or ())):
            if name:
                counts.count_name(site, kind, digest(8, fold_name(name)))

    def _forget_values(self, call: KeptCall) -> None:
        known = call.known
        for name, value in split_pairs(known.pairs) if known.event == NO_EVENT else ():
            self._ledger.slots.values.forget(known.person + name, known.second, known.taken, value)


def _readings(receipts: Receipts) -> dict[int, Reading]:
    """Return the readings of all jobs by number, without their calls: those are counted anew."""
    found: dict[int, Reading] = {}
    try:
        for job in receipts.manifest.jobs:
            for values in job.notes["readings"]:
                reading = reading_from_json(values)
                found[reading.number] = reading._replace(calls=())
    except (KeyError, TypeError, ValueError):
        raise LedgerError(
            f"the manifest of {receipts.path} is damaged: its logs cannot be read", "restore it from a copy"
        ) from None
    return found


def _batches(calls: Iterable[T]) -> Iterator[list[T]]:
    some: list[T] = []
    for call in calls:
        some.append(call)
        if len(some) >= _BATCH:
            yield some
            some = []
    if some:
        yield some


def _carried_out(call: KeptCall, planned: PlannedCall, gain: Gain, reading: Reading) -> RowPlan:
    """Return the plan of a call that was sent. Of the call itself no more than its kind is counted."""
    moment = planned.second * NANOSECONDS
    made = (
        Record(call.site, call.persona, "", "", call.event, moment, (), "")
        if call.known.event != NO_EVENT
        else Set(call.site, call.persona, "", "", moment, ())
    )
    row = Row(reading.source, call.line, b"", None)
    return RowPlan(row, planned=(planned,), calls=(made,), gains=(gain,), reading=reading.number)
