"""What a run would send, as far as it was looked at: counted in a rehearsal, or from the first batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from km_cli.errors import KmError
from km_cli.model import Forecast, Record, RowPlan
from km_cli.run.batch import Batch
from km_cli.run.tally import Tally


@dataclass(slots=True)
class Outlook:
    """The calls that a run would send.

    `calls` are by persona and site, `events` those that record an event, `pending` those that earlier runs
    left. `is_whole` if the whole input was looked at; else the run may send more. `ended` is the error at
    which the run would end, if there is one.
    """

    tally: Tally = field(default_factory=Tally)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    events: int = 0
    forecast: Forecast = field(default_factory=dict)
    pending: int = 0
    is_whole: bool = False
    ended: KmError | None = None

    def count(self, plan: RowPlan) -> None:
        """Count the calls of a row."""
        for planned, call in zip(plan.planned, plan.calls, strict=True):
            self.calls[planned.persona, planned.site] += 1
            self.events += type(call) is Record

    def see(self, batch: Batch, forecast: Callable[[], Forecast]) -> None:
        """Count the rows of a batch that is about to be sent."""
        for plan in batch.plans:
            self.count(plan)
            self.tally.rehearse(plan)
        self.forecast = forecast()
