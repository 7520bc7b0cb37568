"""The sites: Kissmetrics products by name, and the variables or files of their API keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from km_cli.config.files import is_open_to_all, read_small
from km_cli.errors import UsageError

KEY_VARIABLE = "KM_API_KEY"
ACCOUNT_KEY_VARIABLE = "KM_ACCOUNT_API_KEY"

_LONGEST_KEY_FILE = 4096
"""Bytes; a key has 40, and its file has nothing else."""


class Site(NamedTuple):
    """A product whose key is in the environment variable `key_env`, or in the file `key_file` (a path)."""

    name: str
    key_env: str = ""
    key_file: str = ""

    @property
    def where(self) -> str:
        """The variable or the file of the key."""
        return self.key_file or self.key_env

    def key(self, environment: Mapping[str, str]) -> str:
        """Return the API key, checked: it must fit into a URL without encoding.

        Raises UsageError, which names the variable or the file, if the key is missing or is not a key.
        """
        key = (
            _read_key_file(Path(self.key_file))
            if self.key_file
            else environment.get(self.key_env, "").strip()
        )
        if not key:
            raise UsageError(
                f"{self.where} is {'empty' if self.key_file else 'not set'}: it must hold the API key "
                f"of the site {self.name!r}",
                f"{'write the key there' if self.key_file else f'export {self.key_env}=…'}; "
                "dry-run (without --with-keys) and --to local need no key",
            )
        if not key.isascii() or not all(letter.isalnum() or letter in "-_." for letter in key):
            raise UsageError(
                f"{self.where} does not hold an API key: it has blanks, line breaks or other characters that "
                "no key has",
                "copy only the key, without quotation marks",
            )
        return key

    @property
    def is_exposed(self) -> bool:
        """Whether everyone on this machine can read the key file."""
        return bool(self.key_file) and is_open_to_all(Path(self.key_file))


def _read_key_file(path: Path) -> str:
    content = read_small(path, _LONGEST_KEY_FILE, f"the key file {path}", "check key_file in km.toml")
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        raise UsageError(f"the key file {path} is not text", "write only the API key into it") from None
