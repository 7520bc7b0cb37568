"""A batch: rows that are planned, made durable and acknowledged together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from km_cli.inputs.base import record_may_grow
from km_cli.ledger import Reading
from km_cli.mapping import LeftOut
from km_cli.model import Event, Gap, Reject, RowPlan, Wired

Mapped = Event | Reject | LeftOut | Gap
"""An item of an input after mapping: an event, a rejected row, a row outside of the selection, or a gap."""


class BatchBuilder:
    """A batch in the making."""

    def __init__(self) -> None:
        self.plans: list[RowPlan] = []
        self.raws: list[bytes] = []
        self.size = 0
        self._last = b""

    def add(self, raw: bytes, plan: RowPlan | None) -> None:
        """Add a row with its plan, or bytes that belong to no row (without a plan)."""
        self.raws.append(raw)
        self.size += len(raw)
        if plan is not None:
            self.plans.append(plan)
            self._last = raw

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(self.plans)

    @property
    def rejected(self) -> int:
        """How many of its rows have a reject."""
        return sum(1 for plan in self.plans if plan.rejects)

    @property
    def last_rejected(self) -> bool:
        """Whether its last row has a reject."""
        return bool(self.plans and self.plans[-1].rejects)

    @property
    def is_open(self) -> bool:
        """Whether its last record has no line end."""
        return bool(self.plans) and record_may_grow(self._last)


def raw_of(one: Mapped) -> bytes:
    """Return the bytes of an item in the input."""
    return one.raw if isinstance(one, Gap) else one.row.raw


class Batch(NamedTuple):
    """Rows that are planned, made durable and acknowledged together, and the cursor behind them."""

    plans: Sequence[RowPlan]
    reading: Reading
    at_end: bool


class BatchSink(Protocol):
    """Takes the batches of the pipeline."""

    def encode(self, call: Wired, second: int, /) -> bytes:
        """Return the final bytes of a call that is planned, but for the key."""
        ...

    def ship(self, batch: Batch) -> None:
        """Take a batch. Raises Stopped if the run has to end, LedgerFailed."""
        ...

    def check(self) -> None:
        """Raise Stopped if the run has to end. It is called now and then while no batch is being planned."""
        ...

    def heed(self) -> None:
        """Raise Stopped if the run has to end. It makes nothing durable: it may be called while planning."""
        ...
