"""The limit of open files: reaching it says nothing about the file that was to be opened."""

from __future__ import annotations

import errno

from km_cli.errors import Exhausted

_TOO_MANY = frozenset({errno.EMFILE, errno.ENFILE})


def check_limit(name: str, error: OSError) -> None:
    """Raise Exhausted if a file or folder cannot be opened because too many are open."""
    if error.errno in _TOO_MANY:
        raise Exhausted(
            f"{name} cannot be opened: {error.strerror}",
            "raise the limit of open files (ulimit -n), then run the same command again: it goes on where it "
            "stopped",
        ) from None
