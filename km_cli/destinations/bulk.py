"""`file:PATH.json` and `file:PATH.csv`: the files that Kissmetrics imports in bulk (W6), in parts.

The ledger belongs to the sites, not to the route (promise 8): calls that are written to files count as sent
to Kissmetrics.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Self

from km_cli.destinations.base import Target
from km_cli.destinations.series import GZIP, Series, series_at, split_name
from km_cli.destinations.tracker import NAME
from km_cli.errors import UsageError
from km_cli.model import Wired
from km_cli.protocols import Clock, Destination

_EXAMPLE = "for example: --to file:history.json, or --to file:history.csv"


def check_series(to: str, name: str, example: str) -> None:
    """Raise UsageError if the files of a series cannot be named like this; `example` is a hint."""
    stem, ending = split_name(name)
    if not ending:
        raise UsageError(
            f"--to {to}: the name ends with neither .json nor .csv, nor one of them and {GZIP}", example
        )
    if not re.fullmatch("[A-Za-z0-9]+", stem):
        raise UsageError(
            f"--to {to}: {stem!r} is not a name that Kissmetrics takes",
            f"use letters and digits only, {example}",
        )


class FileTarget(Target):
    """A series of files. It needs no key: the files hold none."""

    spelling: ClassVar[str] = "file:PATH.json or file:PATH.csv for files that Kissmetrics imports"

    @classmethod
    def parse(cls, to: str, folder: Path) -> Self:  # noqa: ARG003 - others need it
        """Return the target. Raises UsageError for a name that Kissmetrics would not take."""
        try:
            path = Path(to.partition(":")[2]).expanduser().absolute()
        except RuntimeError:
            raise UsageError(f"--to {to}: there is no such user", "write the whole path") from None
        check_series(to, path.name, _EXAMPLE)
        return cls(NAME, str(path), spelled=f"file:{path}")

    @property
    def route(self) -> str:
        """Its own: it has no pending calls and no pauses, and leaves those of Kissmetrics alone."""
        return self.spelled

    def bulk(self) -> Series:
        """Return the series of files."""
        return series_at(Path(self.place))

    def check(self) -> None:
        """Raise UsageError if there is no folder to write to. The path may be mistyped."""
        folder = Path(self.place).parent
        if not folder.is_dir():
            raise UsageError(
                f"--to {self.spelled}: there is no folder {folder}",
                f"correct the path, or make the folder first: mkdir -p {shlex.quote(str(folder))}",
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UsageError(
                f"--to {self.spelled}: this user may not write to {folder}", "give the path of another folder"
            )

    def limits(self) -> Callable[[Wired], str] | None:
        """Return the function that says why a call has no room in the files; None if every call has."""
        return self.bulk().make_format().limits

    def open(self, keys: Mapping[str, str], timeout: float, clock: Clock) -> Destination:
        """Not for files: their calls get no answers."""
        raise NotImplementedError("calls are written to the files of `bulk`")
