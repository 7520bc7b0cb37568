"""What a command takes from its surroundings. `main` passes the real ones in, and a test its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

if TYPE_CHECKING:
    from random import Random

    from km_cli.protocols import Clock


class Environment(NamedTuple):
    """Variables, streams, time and chance. Nothing else in km-cli reads those of the process.

    `run_id`, the number of the process, tells runs apart that begin in the same second. `owns_process` is
    whether this command is all that the process does, so that it may change how the process runs: on which
    cores, and how often Python looks for garbage.
    """

    variables: Mapping[str, str]
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    clock: Clock
    random: Random
    run_id: int
    owns_process: bool = False

    @property
    def shows_summaries(self) -> bool:
        """Whether a person reads standard output."""
        return self.stdout.isatty()

    @property
    def shows_progress(self) -> bool:
        """Whether a person sees standard error."""
        return self.stderr.isatty()

    @property
    def state_folder(self) -> Path:
        """The user's folder for what a program must remember (XDG_STATE_HOME on Linux).

        A relative XDG_STATE_HOME is ignored, as its specification demands: otherwise each folder in which
        km-cli runs would have a ledger of its own.
        """
        from platformdirs import user_state_path

        folder = user_state_path("km-cli")
        return folder if folder.is_absolute() else Path.home() / ".local" / "state" / "km-cli"

    @property
    def config_folder(self) -> Path:
        """The user's folder for configuration (XDG_CONFIG_HOME on Linux)."""
        from platformdirs import user_config_path

        return user_config_path("km-cli").absolute()
