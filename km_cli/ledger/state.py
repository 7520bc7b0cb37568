"""The state of a ledger in a few digests: whether planning would find what it found before."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from km_cli.ledger.ledger import Ledger
from km_cli.ledger.readings import Reading
from km_cli.ledger.runs import MOST_RUNS, RunRecord

_READ = ("number", "token", "asked", "length", "digest", "rows", "calls", "overlap", "as_new")
"""What planning depends on in a reading, and what stands for the slots that its rows have taken."""


class LedgerState(NamedTuple):
    """The number of the last run and of the last reading, and the calls that were planned for one tracker.

    `state` is a digest of all readings and of the numbers of calls.
    """

    last_run: int
    readings: int
    calls: int
    state: str


def state_of(ledger: Ledger, tracker: str) -> LedgerState:
    """Return the state of a ledger. Raises LedgerError if it cannot be read."""
    digest, last = sha256(), 0
    for reading in ledger.readings.latest():
        last = max(last, reading.number)
        digest.update(repr([getattr(reading, name) for name in _READ]).encode())
    calls = sum(ledger.sent.total(tracker).values())
    digest.update(f"{calls}".encode())
    runs = ledger.runs.latest(1)
    return LedgerState(runs[0].number if runs else 0, last, calls, digest.hexdigest())


def readings_known(ledger: Ledger, last: int) -> str:
    """Return a digest of the readings up to a number, which stays the same when they are continued."""
    names = [_name(reading) for reading in ledger.readings.latest() if reading.number <= last]
    return sha256(repr(names).encode()).hexdigest()


def _name(reading: Reading) -> tuple[int, str]:
    return reading.number, reading.token


def runs_since(ledger: Ledger, last_run: int) -> Iterator[tuple[RunRecord, int]]:
    """Yield the runs after a number, the earliest first, each with the calls that it planned."""
    found = [run for run in ledger.runs.latest(MOST_RUNS) if run.number > last_run]
    for run in reversed(found):
        trackers = ledger.sent.trackers(run.number)
        yield run, sum(sum(ledger.sent.total(name, run.number).values()) for name in trackers)
