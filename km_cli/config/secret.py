"""The secret under which digests of people leave the ledger."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from km_cli.config.files import read_small
from km_cli.errors import UsageError

FEWEST_BYTES = 32
_MOST_BYTES = 4096


def read_secret(path: Path) -> bytes:
    """Return the content of a secret file. Raises UsageError if others can read it, or if it is too short."""
    label, word = f"--secret-file {path}", shlex.quote(str(path))
    make = f"make one, and keep it: (umask 077; head -c {FEWEST_BYTES} /dev/urandom > {word})"
    if os.path.lexists(path):  # the command would overwrite a file that may be needed
        make = "name another file; if there is none yet at that path, km-cli says how to make it"
    secret = read_small(path, _MOST_BYTES, label, make)
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise UsageError(f"{label} belongs to another user, who could read it", make)
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise UsageError(f"{label} can be read by others", f"forbid that: chmod 600 {word}")
    if len(secret) < FEWEST_BYTES:
        few = f"it has {len(secret)} bytes, and needs {FEWEST_BYTES}"
        raise UsageError(f"{label} is too short to keep digests from being guessed: {few}", make)
    return secret
