"""The job that cron or systemd runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from km_cli.model import Overlap

_OVERLAPS = {
    Overlap.ASK: "a row that conflicts with another file's row is rejected",
    Overlap.REPEATS: "a row that conflicts with another file's row is the same event, and not sent again",
    Overlap.SEPARATE: "a row that conflicts with another file's row is a different event, and sent",
}


class Job(NamedTuple):
    """A command with absolute paths, and the environment that it needs.

    `name` is unique on this machine. `variables` may be printed; `secrets` are the names of variables that
    only `file` holds, and without secrets there is no file. `overlaps` has the sources of km.toml by name.
    """

    name: str
    words: tuple[str, ...]
    variables: Mapping[str, str]
    secrets: tuple[str, ...]
    file: Path | None
    overlaps: tuple[tuple[str, Overlap], ...] = ()

    def comments(self) -> Iterator[str]:
        """Yield the overlap of each source, and the command that writes the file of secrets."""
        for name, overlap in self.overlaps:
            yield f'[[backfill]] {name}: overlap = "{overlap.value}": {_OVERLAPS[overlap]}'
        if self.file:
            values = " ".join(f'{name} "${{{name}:?}}"' for name in self.secrets)
            folder, file = (shlex.quote(str(path)) for path in (self.file.parent, self.file))
            yield "The secrets are in a file only you can read. Write it once, in a shell that has them:"
            yield f"""  (umask 077; mkdir -p {folder}; printf "%s='%s'\\n" {values} > {file})"""
