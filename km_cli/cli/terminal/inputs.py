"""The inputs of a run, each with the roles of its columns."""

from __future__ import annotations

from functools import partial

from km_cli.cli.terminal.described import described
from km_cli.cli.terminal.show import counted, say
from km_cli.config.settings import Settings
from km_cli.ledger import Reading
from km_cli.mapping import Columns

_MOST_SHOWN = 10


class Inputs:
    """Keeps the columns of the first inputs, to print them."""

    def __init__(self, settings: Settings) -> None:
        self._members = settings.members.personas if settings.members else ()
        self._shown: list[tuple[str, Columns, Reading | None]] = []
        self._number = 0

    def add(self, source: str, columns: Columns, reading: Reading | None = None) -> None:
        """Keep an input, and the reading that it continues."""
        self._number += 1
        if len(self._shown) < _MOST_SHOWN:
            self._shown.append((source, columns, reading))

    def print(self, *, to_stderr: bool = False) -> None:
        """Print which column of each input has which role."""
        put = partial(say, to_stderr=to_stderr)
        before = ""
        for source, columns, reading in self._shown:
            description = described(columns, self._members)
            put(f"{source}: {'likewise' if description == before else description}")
            before = description
            if reading is not None and reading.length:
                rows = counted(reading.rows, "row")
                put(f"  continues at line {reading.line + 1:,}: {rows} read before")
        if self._number > len(self._shown):
            put(f"… and {self._number - len(self._shown):,} more")
