"""The observers of a run that asks before it sends: one that looks ahead, and one that sends."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from km_cli.cli.terminal.keyboard import Keyboard
from km_cli.cli.terminal.observer import ProgressObserver
from km_cli.cli.terminal.outlook import Outlook
from km_cli.cli.terminal.question import Question
from km_cli.config.environment import Environment
from km_cli.config.settings import Settings
from km_cli.ledger import Reading
from km_cli.model import Forecast
from km_cli.run.batch import Batch
from km_cli.run.stopping import Stopped
from km_cli.run.tally import Tally

_ROWS_SHOWN = 1
"""The first calls have to fit into a window, together with the summary and the question."""


class ImportObserver(ProgressObserver):
    """Observes an import: shows the progress on a terminal, and asks a question that is still open.

    It asks before the first batch that sends something. By then the columns are known, so that the question
    can show what would be sent; a wrong column would be wrong in every later batch as well.
    """

    def __init__(
        self,
        settings: Settings,
        environment: Environment,
        *,
        quiet: bool,
        question: Question | None = None,
        sizes: Mapping[str, int] | None = None,
        names_outages: bool = False,
    ) -> None:
        super().__init__(
            settings,
            environment,
            quiet=quiet,
            keep=_ROWS_SHOWN,
            sizes=sizes,
            names_outages=names_outages,
        )
        self._question = question
        self._outlook = Outlook()

    def shipping(self, batch: Batch, forecast: Callable[[], Forecast]) -> None:
        """Ask before the first batch that sends something."""
        if self._question is None:
            return
        self._outlook.see(batch, forecast)
        if self._outlook.tally.calls.planned:
            self.stop()
            self._question.ask(self, self._outlook)
            self._question = None


class LookingAhead(ProgressObserver):
    """Observes the rehearsal before the question. Enter on the `keyboard` cuts it short, if it has one."""

    def __init__(
        self,
        settings: Settings,
        environment: Environment,
        keyboard: Keyboard | None,
        *,
        quiet: bool,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(
            settings,
            environment,
            quiet=quiet,
            keep=_ROWS_SHOWN,
            sends=False,
            sizes=sizes,
            note="Enter: ask now" if keyboard else "",
        )
        self._keyboard = keyboard
        self.outlook = Outlook()
        self.is_cut_short = False
        if keyboard is not None:
            keyboard.discard()

    def shipping(self, batch: Batch, forecast: Callable[[], Forecast]) -> None:
        """Count the calls of a batch."""
        for plan in batch.plans:
            self.outlook.count(plan)
        self.outlook.forecast = forecast()

    def shipped(self, tally: Tally, reading: Reading) -> None:
        """Show the progress. Raises Stopped if Enter was pressed."""
        super().shipped(tally, reading)
        if self._keyboard is not None and self._keyboard.has_line():
            self.is_cut_short = True
            raise Stopped
