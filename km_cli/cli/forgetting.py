"""Runs that make the ledger forget calls: `ledger prune` and `ledger forget`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from km_cli.ledger import Ledger, Pruned
from km_cli.ledger.runs import Counts
from km_cli.protocols import Clock
from km_cli.run.importing import exit_of


class Forgotten:
    """Takes note of the calls that a run forgot. `found` is the last note: it stands once it is durable."""

    def __init__(self) -> None:
        self.found = Pruned()

    def note(self, found: Pruned) -> None:
        """Take the place of the note before."""
        self.found = found

    def counts(self) -> Counts:
        """Return the counts that the ledger keeps of the run."""
        return {"forgotten": self.found._asdict()}


@contextmanager
def run_that_forgets(path: Path, command: str, clock: Clock) -> Iterator[tuple[Ledger, Forgotten]]:
    """Open the ledger for a run of this command. The caller ends the run if all went well.

    Raises LedgerBusy if a run is at work, LedgerError.
    """
    forgotten = Forgotten()
    with opened_to_change(path) as ledger:
        ledger.runs.begin(command, clock, forgotten.counts)
        yield ledger, forgotten


@contextmanager
def opened_to_change(path: Path) -> Iterator[Ledger]:
    """Open a ledger with its lock; an error that escapes is the end of the run that has begun.

    Raises LedgerBusy if a run is at work, LedgerError.
    """
    ledger = Ledger.open(path)
    try:
        yield ledger
    except BaseException as error:
        ledger.runs.end(exit_of(error))
        raise
    finally:
        ledger.close()


def day_of(second: int) -> str:
    """Return the day that begins with a second."""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d}"
