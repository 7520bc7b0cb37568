"""Parts of messages about inputs: values, paths, and shell commands to copy."""

from __future__ import annotations

import os
import shlex
from pathlib import Path


def excerpt(text: str, width: int = 40) -> str:
    """Return a value of the log for a message: quoted, its control characters escaped, cut to `width`."""
    return repr(text) if len(text) <= width else f"{text[:width]!r}…"


def path_text(path: Path | str) -> str:
    """Return a path as text. Bytes of it that are no text are escaped."""
    return os.fsencode(path).decode(errors="backslashreplace")


def shell_word(source: str) -> str:
    """Return an input's name as a word of a shell command; FILE for standard input."""
    return "FILE" if source == "<stdin>" else shlex.quote(source)


_UNPACKERS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}


def shell_command(source: str, command: str) -> str:
    """Return a shell command that runs `command` on an input, and unpacks it first if its ending says so."""
    program = _UNPACKERS.get(os.path.splitext(source)[1].lower())
    word = shell_word(source)
    return f"{program} -dc {word} | {command}" if program else f"{command} {word}"
