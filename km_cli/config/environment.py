"""The environment of a command. `main` passes in that of the process, and a test its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

if TYPE_CHECKING:
    from random import Random

    from km_cli.protocols import Clock


class Environment(NamedTuple):
    """The variables, streams, clock and randomness of a command. km-cli itself reads no others.

    Some libraries read the variables of the process, though: requests those for proxies, platformdirs those
    for folders.

    `run_id` is the number of the process; it tells apart two runs that begin in the same second.
    `owns_process` is true if the process runs this command and nothing else. Only then does the command
    change the process as a whole: it chooses the cores, makes Python collect garbage less often, and points a
    closed standard output to /dev/null. In a process of tests, or of another program, it leaves them alone.
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
        """Whether standard output is a terminal."""
        return self.stdout.isatty()

    @property
    def shows_progress(self) -> bool:
        """Whether standard error is a terminal."""
        return self.stderr.isatty()

    @property
    def state_folder(self) -> Path:
        """The user's folder for the state of programs (XDG_STATE_HOME on Linux).

        A relative XDG_STATE_HOME is ignored, as its specification demands. Otherwise km-cli would use another
        ledger in each folder in which it runs, and send everything again.
        """
        from platformdirs import user_state_path

        folder = user_state_path("km-cli")
        return folder if folder.is_absolute() else Path.home() / ".local" / "state" / "km-cli"

    @property
    def config_folder(self) -> Path:
        """The user's folder for configuration (XDG_CONFIG_HOME on Linux)."""
        from platformdirs import user_config_path

        return user_config_path("km-cli").absolute()
