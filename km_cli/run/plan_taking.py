"""Counts all that an import plan says of the calls, while a rehearsal plans them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from tempfile import SpooledTemporaryFile
from typing import NamedTuple

from km_cli.import_plan import START, Block, CallChain, Position
from km_cli.import_plan.chain import MARK
from km_cli.mapping import ANONYMOUS, WITHHELD
from km_cli.model import PlannedCall, Record, RowPlan, Set, Wired
from km_cli.run.batch import Batch

RECORDS, SETS, ALIASES = "records", "sets", "aliases"
"""The kinds of calls, as `CallsOf` has them."""

_DAY = 86_400
_IN_MEMORY = 1 << 20
"""Bytes of marks; more of them go to a temporary file, so that memory stays flat."""

_NOT_COUNTED = frozenset({"left-out", ANONYMOUS, WITHHELD})
"""Findings of rows that --limit does not count."""


class InputRows(NamedTuple):
    """The rows of one input that were read: their number, and the first and the last line."""

    rows: int
    first: int
    last: int


class Marks:
    """The marks of the rows that send calls, in order: by them a run is compared with its rehearsal."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - `close` closes it
        self.rows = 0

    def add(self, marks: bytes) -> None:
        """Add the marks of a batch."""
        self._file.write(marks)
        self.rows += len(marks) // MARK

    def at(self, row: int, rows: int) -> bytes:
        """Return the marks of `rows` rows from a place on; fewer if there are not so many."""
        self._file.seek(row * MARK)
        return self._file.read(rows * MARK)

    def close(self) -> None:
        """Remove the temporary file."""
        self._file.close()


class PlanTaker:
    """Takes the batches of a rehearsal. `marks` keeps the marks of its rows.

    It begins at a position if an earlier run has sent the calls before it. `calls` are by site, persona, kind
    and event, `days` by site and UTC day since 1970. `people` are the new ones.
    """

    def __init__(self, at: Position = START, marks: Marks | None = None) -> None:
        self._marks = marks
        self.calls: Counter[tuple[str, str, str, str]] = Counter()
        self.days: Counter[tuple[str, int]] = Counter()
        self.people: Counter[tuple[str, str]] = Counter()
        self.inputs: dict[str, InputRows] = {}
        self._chain = CallChain(at)

    def take(self, batch: Batch) -> None:
        """Count a batch."""
        marks = self._chain.take(batch.plans)
        if self._marks is not None:
            self._marks.add(marks)
        self._chain.count(taken_of(batch.plans))
        self._count(batch.plans)
        if batch.plans:
            lines = [plan.row.line for plan in batch.plans]
            source = batch.reading.source
            known = self.inputs.get(source) or InputRows(0, lines[0], 0)
            self.inputs[source] = InputRows(known.rows + len(lines), known.first, lines[-1])

    def finish(self) -> None:
        """Close the last block. No batch may follow."""
        self._chain.finish()

    @property
    def position(self) -> Position:
        """How far the rehearsal got."""
        return self._chain.position

    @property
    def sums(self) -> dict[str, int]:
        """The sums of the digests of calls, by site."""
        return dict(self._chain.sums)

    @property
    def blocks(self) -> list[Block]:
        """The blocks that are finished."""
        return self._chain.blocks

    def _count(self, plans: Iterable[RowPlan]) -> None:
        sent = [one for plan in plans for one in zip(plan.planned, plan.calls, plan.gains, strict=True)]
        self.calls.update([_kind_of(planned, call) for planned, call, _ in sent])
        self.days.update([(planned.site, planned.taken // _DAY) for planned, *_ in sent])
        for planned, _, gain in sent:
            if gain.people > 0:
                self.people[planned.site, planned.persona] += gain.people


def _kind_of(planned: PlannedCall, call: Wired) -> tuple[str, str, str, str]:
    """Return site, persona, kind and event of a call, "" for a call that records none."""
    if type(call) is Record:
        return planned.site, planned.persona, RECORDS, call.event
    return planned.site, planned.persona, SETS if type(call) is Set else ALIASES, ""


def taken_of(plans: Iterable[RowPlan]) -> int:
    """Return how many of the rows --limit counts: all but those outside of the selection."""
    return sum(not _is_left_out(plan) for plan in plans)


def _is_left_out(plan: RowPlan) -> bool:
    if plan.planned or plan.rejects or plan.reading or plan.is_undone:
        return False
    return any(finding.code in _NOT_COUNTED for finding in plan.findings)
