"""The observer of a run. A run prints nothing itself."""

from __future__ import annotations

from collections.abc import Callable

from km_cli.errors import KmError
from km_cli.inputs import Opened
from km_cli.ledger import Reading
from km_cli.mapping import Columns
from km_cli.model import Finding, Forecast, RowPlan, Sequence, Trouble
from km_cli.run.batch import Batch
from km_cli.run.tally import Tally


class Observer:
    """Follows the steps of a run. These methods do nothing; an observer overrides those that it needs."""

    def began(self, opened: Opened) -> None:
        """An input is about to be read."""

    def opened(self, source: str, columns: Columns, reading: Reading) -> None:
        """An input was opened, and its columns are known. `reading.length` is 0 for a new reading."""

    def looked(self, source: str, file: str, state: str, problem: KmError | None = None) -> None:
        """A backfill is done with a file, or a pattern matches no file. `state` is one of backfill.STATES."""

    def passed(self, file: str) -> None:
        """A backfill is done with a file, whatever its state."""

    def warned(self, message: str, hint: str) -> None:
        """The run goes on, but not as well as it could."""

    def doubted(self, finding: Finding) -> None:
        """The first rows of an input make it doubtful that its columns have the right roles."""

    def planned(self, sequence: Sequence, plan: RowPlan) -> None:
        """A row was planned."""

    def shipping(self, batch: Batch, forecast: Callable[[], Forecast]) -> None:
        """A batch is about to be shipped. `forecast` counts it already. May raise Stopped."""

    def shipped(self, tally: Tally, reading: Reading) -> None:
        """A batch was shipped; `reading` has the cursor behind it."""

    def tick(self, tally: Tally, trouble: Trouble | None) -> None:
        """Receipts came in, or should have: `trouble` is what keeps calls from getting through."""
