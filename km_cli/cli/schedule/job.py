"""The job that a schedule runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from km_cli.model import Overlap

_OVERLAPS = {
    Overlap.ASK: "a row whose moment another file has with other values is rejected",
    Overlap.REPEATS: "a row whose moment another file has with other values is not sent again",
    Overlap.SEPARATE: "a row whose moment another file has with other values is another event",
}


class Job(NamedTuple):
    """What is to be run: a command with absolute paths, and what it needs of the environment.

    `name` tells it from other jobs of this machine. `secrets` are the variables that it finds in `file` alone
    (None: it needs none), `variables` those that may be printed. `overlaps` are km.toml's sources by name.
    """

    name: str
    words: tuple[str, ...]
    variables: Mapping[str, str]
    secrets: tuple[str, ...]
    file: Path | None
    overlaps: tuple[tuple[str, Overlap], ...] = ()

    def comments(self) -> Iterator[str]:
        """Yield the comments: how each source overlaps with what was sent, and how to write the file."""
        for name, overlap in self.overlaps:
            yield f'[[backfill]] {name}: overlap = "{overlap.value}", {_OVERLAPS[overlap]}'
        if self.file:
            values = " ".join(f'{name} "${{{name}:?}}"' for name in self.secrets)
            folder, file = (shlex.quote(str(path)) for path in (self.file.parent, self.file))
            yield "What is secret is in a file for you alone. Write it once, from a shell that has it set:"
            yield f"""  (umask 077; mkdir -p {folder}; printf "%s='%s'\\n" {values} > {file})"""
