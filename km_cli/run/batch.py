"""A batch: rows that are planned, made durable and acknowledged together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from km_cli.inputs import Item
from km_cli.inputs.base import record_may_grow
from km_cli.ledger import Reading
from km_cli.mapping import LeftOut
from km_cli.model import Event, Gap, Reject, Row, RowPlan

Mapped = Event | Reject | LeftOut | Gap
"""An item of an input after mapping: an event, a rejected row, a row outside of the selection, or a gap."""


class BatchBuilder:
    """A batch in the making. `is_open` if its last record has no line end."""

    def __init__(self) -> None:
        self.plans: list[RowPlan] = []
        self.raws: list[bytes] = []
        self.rows = 0
        self.rejected = 0
        self.last_rejected = False
        self.is_open = False
        self.size = 0

    def add(self, raw: bytes, plan: RowPlan | None) -> None:
        """Add a row with its plan, or bytes that belong to no row (without a plan)."""
        self.raws.append(raw)
        self.size += len(raw)
        if plan is None:
            return
        self.rows += 1
        self.is_open = record_may_grow(raw)
        self.last_rejected = bool(plan.rejects)
        self.rejected += self.last_rejected
        self.plans.append(plan)


def raw_of(one: Mapped | Item) -> bytes:
    """Return the bytes of an item in the input."""
    return one.raw if isinstance(one, Gap | Row) else one.row.raw


class Batch(NamedTuple):
    """Rows that are planned, made durable and acknowledged together, and the cursor behind them."""

    plans: Sequence[RowPlan]
    reading: Reading
    at_end: bool


class BatchSink(Protocol):
    """Takes the batches of the pipeline."""

    def ship(self, batch: Batch) -> None:
        """Take a batch. Raises Stopped if the run has to end, LedgerFailed."""
        ...

    def check(self) -> None:
        """Raise Stopped if the run has to end. It is called now and then while no batch is being planned."""
        ...

    def heed(self) -> None:
        """Raise Stopped if the run has to end. It makes nothing durable: it may be called while planning."""
        ...
