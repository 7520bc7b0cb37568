"""The key by which personal columns are hashed: `hash`, `drop` and `hash_key_file` of km.toml."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from km_cli.config.files import expanded, read_small
from km_cli.config.kmtoml import ColumnsTable
from km_cli.errors import UsageError
from km_cli.mapping import SHORTEST_KEY, Hasher

_PLACE = "km.toml, columns.hash_key_file:"
_LONGEST = 4096
_MAKE = "make one: (umask 077; head -c 32 /dev/urandom | base64 > {})"


def make_hasher(columns: ColumnsTable, folder: Path) -> Hasher | None:
    """Return what hashes the columns of km.toml, None if none is to be hashed. Paths are below `folder`.

    Raises UsageError if there is no key, or if others than its owner can read it.
    """
    hashed = [name for name in ("hash", "drop") if getattr(columns, name)]
    if not hashed:
        return None
    if not columns.hash_key_file:
        raise UsageError(
            f"km.toml: columns.{hashed[0]} needs a key, and there is no hash_key_file",
            f'add hash_key_file = "hash.key"; {_MAKE.format("hash.key")}',
        )
    return Hasher(_read(folder / expanded(columns.hash_key_file, _PLACE)))


def _read(path: Path) -> bytes:
    """Return the key in a file, without the line end that an editor may have put behind it."""
    hint = f"check the path; if there is no key yet, {_MAKE.format(shlex.quote(str(path)))}"
    if os.path.lexists(path):  # the command would overwrite a key that cannot be made again
        hint = "check the path; if there is no key yet, name a new file, and km-cli says how to make it"
    content = read_small(path, _LONGEST, f"{_PLACE} {path}", hint)
    mode = os.stat(path).st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(
            f"{_PLACE} {path}: others than its owner can read it or write to it",
            f"chmod 600 {shlex.quote(str(path))}",
        )
    key = content.removesuffix(b"\n").removesuffix(b"\r")
    if len(key) < SHORTEST_KEY:
        raise UsageError(
            f"{_PLACE} {path} has {len(key)} bytes: a key of {SHORTEST_KEY} bytes or more cannot be guessed",
            hint,
        )
    return key
