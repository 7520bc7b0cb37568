"""The log of a comparison: files, or [[backfill]] sources. It is read again for each strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from km_cli.config.backfill import BackfillSource
from km_cli.config.settings import Settings
from km_cli.inputs import Source
from km_cli.ledger import Ledger
from km_cli.protocols import Clock
from km_cli.run.backfill import Backfill, BackfillSummary, Own, Taker
from km_cli.run.observer import Observer
from km_cli.run.stopping import Stop

Change = Callable[[Settings], Settings]
"""Gives the settings of a source the personas of a strategy."""


class Reader(Taker, Protocol):
    """Takes files one after the other: the gathering of a comparison, or the pipeline of a dry run."""

    def run(self, sources: Iterable[Source]) -> None:
        """Take every file in turn."""


class Log(Protocol):
    """A log that can be read again."""

    def read(self, reader: Reader, ledger: Ledger, settings: Settings, change: Change) -> None:
        """Let the reader take all of it. Raises KmError."""


class Files:
    """The files of the command line. `sources` makes them anew each time."""

    def __init__(self, sources: Callable[[], list[Source]]) -> None:
        self._sources = sources

    def read(self, reader: Reader, _ledger: Ledger, _settings: Settings, _change: Change) -> None:
        """Let the reader take every file."""
        reader.run(self._sources())


class BackfillLog:
    """The [[backfill]] sources of km.toml, as a backfill reads them. `own` are files of km-cli itself.

    `summary` is that of the first time that they are read.
    """

    def __init__(self, sources: Sequence[BackfillSource], clock: Clock, own: Own) -> None:
        self._sources = sources
        self._clock = clock
        self._own = own
        self._has_read = False
        self.summary = BackfillSummary()

    def read(self, reader: Reader, ledger: Ledger, settings: Settings, change: Change) -> None:
        """Let the reader take every source."""
        summary = BackfillSummary() if self._has_read else self.summary
        self._has_read = True
        sources = [
            one._replace(settings=change(one.settings)) if one.settings else one for one in self._sources
        ]
        Backfill(settings, reader, ledger, self._clock, Stop(), summary, Observer(), self._own).run(sources)
