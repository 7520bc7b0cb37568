"""Patterns that the shell did not expand: in km.toml, or quoted because they match too many files."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from km_cli.errors import UsageError
from km_cli.inputs.messages import path_text


def matches(pattern: str) -> list[str]:
    """Return the files that a pattern matches, sorted. `**` is any depth. Raises UsageError for none."""
    found = sorted(path for path in set(glob.glob(pattern, recursive=True)) if not os.path.isdir(path))
    if not found:
        raise UsageError(f"no file matches {pattern!r}", hint(pattern))
    return found


def hint(pattern: str) -> str:
    """Return a hint for a pattern or a name without a file: the first entries of its folder."""
    is_name = glob.escape(pattern) == pattern
    folder = Path(pattern).parent if is_name else Path(pattern)
    while glob.escape(str(folder)) != str(folder):
        folder = folder.parent
    where = "the current folder" if folder == Path() else f"the folder {path_text(folder)}"
    try:
        if not folder.is_dir():
            return f"check the path: {where} does not exist"
        inside = sorted(path_text(path.name) + "/" * path.is_dir() for path in folder.iterdir())
    except OSError as error:
        return f"check its permissions: {where} cannot be read: {error.strerror}"
    if not inside:
        return f"check the path: {where} is empty"
    more = f" and {len(inside) - 5:,} more" if len(inside) > 5 else ""
    return f"check the {'name' if is_name else 'pattern'}: {where} holds {', '.join(inside[:5])}{more}"
