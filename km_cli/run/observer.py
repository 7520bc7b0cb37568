"""The observer of a run. A run prints nothing itself."""

from __future__ import annotations

from km_cli.errors import KmError
from km_cli.ledger import Reading
from km_cli.mapping import Columns
from km_cli.model import RowPlan, Sequence
from km_cli.run.tally import Tally


class Observer:
    """Is told of each step of a run. These methods do nothing; an observer overrides those that it needs."""

    def opened(self, source: str, columns: Columns, reading: Reading) -> None:
        """An input is understood. `reading.length` is above 0 if it goes on where a run stopped."""

    def looked(self, source: str, file: str, state: str, problem: KmError | None = None) -> None:
        """A backfill has dealt with a file, or a pattern matches none: `state` is of backfill.STATES."""

    def warned(self, message: str, hint: str) -> None:
        """The run goes on, but not as well as it could."""

    def planned(self, sequence: Sequence, plan: RowPlan) -> None:
        """A row is planned."""

    def shipping(self) -> None:
        """A batch is about to be shipped. May raise Stopped."""

    def shipped(self, tally: Tally, reading: Reading) -> None:
        """A batch was shipped, and the reading got as far as that."""

    def tick(self, tally: Tally) -> None:
        """Receipts came in."""
