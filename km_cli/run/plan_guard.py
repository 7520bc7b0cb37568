"""Holds a run to its import plan: no batch is made durable, and so no call leaves, that was not rehearsed.

The rehearsal was compared with the plan before the run. A file may still change in between: therefore each
batch is compared with the rehearsal, row by row, before it is committed. The ledger notes with the run how
far it got in the plan, in the transaction of the batch. So an interrupted import can go on with the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from km_cli.errors import PlanDiffers
from km_cli.import_plan import CallChain, Position
from km_cli.import_plan.chain import MARK
from km_cli.ledger import Ledger
from km_cli.run.batch import Batch
from km_cli.run.plan_taking import Marks, taken_of

NOTED = "plan"
"""The key in the counts of a run under which the ledger has its progress in a plan."""


class Progress(NamedTuple):
    """How far the runs with a plan got. `is_whole` if one of them came to the end of the inputs.

    `run` is the number of the last of them.
    """

    at: Position
    is_whole: bool
    run: int


def progress_of(counts: Mapping[str, Mapping[str, Any]], digest: str, run: int) -> Progress | None:
    """Return the progress that a run noted, None if it had no plan, or another one.

    Raises KeyError, TypeError, ValueError if it is damaged.
    """
    noted = counts.get(NOTED, {})
    if noted.get("digest") != digest:
        return None
    return Progress(Position.from_noted(noted), bool(noted["is_whole"]), run)


class Guard:
    """The guard of one run. `name` is that of the plan's file, `last_run` the ledger's last run before it."""

    def __init__(self, name: str, digest: str, marks: Marks, begun: Position, last_run: int) -> None:
        self._name = name
        self._digest = digest
        self._marks = marks
        self._begun = begun.rows
        self._chain = CallChain(begun)
        self._durable = begun
        self._is_whole = False
        self._last_run = last_run

    def check_ledger(self, ledger: Ledger) -> None:
        """Raise PlanDiffers if another run has begun since the rehearsal. The ledger is locked by now."""
        runs = ledger.runs.latest(1)
        if runs and runs[0].number != self._last_run:
            raise PlanDiffers(f"run {runs[0].number} began after this import was compared with {self._name}")

    def check(self, batch: Batch) -> None:
        """Raise PlanDiffers if a row of the batch sends other calls than it did in the rehearsal."""
        at = self._chain.position
        first = next((plan.row for plan in batch.plans if plan.planned), None)
        marks = self._chain.take(batch.plans)
        self._chain.count(taken_of(batch.plans))
        self._chain.blocks.clear()
        if first is not None and marks != self._marks.at(at.rows - self._begun, len(marks) // MARK):
            raise PlanDiffers(
                f"{first.source} changed while it was sent: rows from line {first.line:,} on are not as "
                f"{self._name} says, and their calls were not sent"
            )

    def note(self) -> None:
        """Note that the batch is made durable: the next transaction holds it."""
        self._durable = self._chain.position

    def end(self) -> None:
        """Note that all inputs were read to their end. Raises PlanDiffers if rows of the plan are missing."""
        if self._durable.rows - self._begun != self._marks.rows:
            left = self._begun + self._marks.rows - self._durable.rows
            raise PlanDiffers(
                f"an input changed while it was sent: {left:,} rows of {self._name} are missing in it"
            )
        self._is_whole = True

    def noted(self) -> dict[str, str | int]:
        """Return the progress as the ledger notes it with the run."""
        return {"digest": self._digest, "is_whole": int(self._is_whole), **self._durable.noted()}
