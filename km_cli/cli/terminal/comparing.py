"""Shows a comparison while it runs: the described columns, and the progress on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType

from km_cli.cli.terminal.extent import Extent, sizes_of
from km_cli.cli.terminal.inputs import Inputs
from km_cli.cli.terminal.progress import ProgressBar
from km_cli.compare import Follower
from km_cli.config.environment import Environment
from km_cli.config.settings import Settings
from km_cli.inputs import Opened
from km_cli.mapping import Columns


class ComparisonFollower(Follower):
    """Keeps the columns of the first inputs, and shows the progress on a terminal unless `quiet`."""

    def __init__(
        self,
        settings: Settings,
        environment: Environment,
        *,
        quiet: bool,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        """`sizes` are the bytes of each file, by default those of the settings' files."""
        super().__init__()
        self._inputs = Inputs(settings)
        if sizes is None:
            sizes = sizes_of(settings.files)
        self._extent = Extent(sizes if settings.limit is None else None)
        self._bar: ProgressBar | None = None
        if environment.shows_progress and not quiet:
            self._bar = ProgressBar(self._extent, environment.clock, sends=False)

    def __enter__(self) -> ComparisonFollower:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def opened(self, source: str, columns: Columns) -> None:
        """Keep the description of the columns."""
        super().opened(source, columns)
        self._inputs.add(source, columns)

    def print_inputs(self) -> None:
        """Print which column of each input has which role."""
        self._inputs.print()

    def began(self, opened: Opened) -> None:
        """Begin to follow an input."""
        self._extent.begin(opened)

    def progressed(self, rows: int) -> None:
        """Show the rows and bytes that were read."""
        if self._bar is not None:
            self._extent.move(None)
            self._bar.count(rows)

    def stage(self, strategy: str) -> Callable[[int], None]:
        """Show the rows that the dry run of a strategy has planned."""
        return partial(self._planned, strategy)

    def _planned(self, strategy: str, rows: int) -> None:
        if self._bar is not None:
            self._bar.count(rows, f"dry run of {strategy}")
