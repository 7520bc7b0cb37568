"""Writes the calls of a dry run in a form, while it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from km_cli.cli.forms.base import Form
from km_cli.cli.terminal.show import counted
from km_cli.errors import UsageError
from km_cli.ledger.durable import put_in_place
from km_cli.model import RowPlan


class CallWriter:
    """Writes the calls of one batch after the other.

    `calls` are those that were written so far. `is_whole` is true once the last of them is written.
    """

    def __init__(self, form: Form, stream: TextIO) -> None:
        self._form = form
        self._stream = stream
        self.calls = 0
        self.is_whole = False
        self._put(form.head())

    def write(self, plans: Iterable[RowPlan]) -> None:
        """Write the calls of rows."""
        for plan in plans:
            if plan.planned:
                self.calls += len(plan.planned)
                self._put(self._form.row(plan))

    def end(self) -> None:
        """Write the lines after the last call."""
        self._put(self._form.tail())
        self._stream.flush()
        self.is_whole = True

    def _put(self, lines: Iterator[str]) -> None:
        self._stream.writelines(f"{line}\n" for line in lines)

    def notes(self, place: str) -> Iterator[str]:
        """Yield what to say at the end; `place` is where the calls were written."""
        yield f"{counted(self.calls, 'call')} written to {place}."
        yield from self._form.notes()


@contextmanager
def writing(form: Form, path: Path | None) -> Iterator[CallWriter]:
    """Yield a writer to standard output, or to a file that only its owner can read.

    The file gets its name once it is whole; a file of that name is replaced. Raises UsageError if it cannot
    be written.
    """
    if path is None:
        yield CallWriter(form, sys.stdout)
        return
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(part, flags, 0o600), "w", encoding="utf-8") as file:
            writer = CallWriter(form, file)
            yield writer
        if writer.is_whole:
            put_in_place(part, path)
    except OSError as error:
        raise UsageError(
            f"--out {path}: cannot be written: {error.strerror}",
            "make room, or give another path",
        ) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
