"""Kissmetrics products by name, and where their API keys are found."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from km_cli.config.files import read_small
from km_cli.errors import UsageError

KEY_VARIABLE = "KM_API_KEY"
ACCOUNT_KEY_VARIABLE = "KM_ACCOUNT_API_KEY"

_LONGEST_KEY_FILE = 4096
"""Bytes; a key has 40, and nothing else stands in its file."""


class Site(NamedTuple):
    """A product: its key is in the environment variable `key_env`, or in `key_file` (a path)."""

    name: str
    key_env: str = ""
    key_file: str = ""

    @property
    def where(self) -> str:
        """Where its key is, for people."""
        return self.key_file or self.key_env

    def key(self, environment: Mapping[str, str]) -> str:
        """Return the API key, checked: it must fit into a URL as it is.

        Raises UsageError, naming where it should be, if it is missing or no key.
        """
        key = _of_file(Path(self.key_file)) if self.key_file else environment.get(self.key_env, "").strip()
        if not key:
            raise UsageError(
                f"{self.where} is {'empty' if self.key_file else 'not set'}: it holds the API key "
                f"of the site {self.name!r}",
                f"{'write it there' if self.key_file else f'export {self.key_env}=…'}, or try without one: "
                "dry-run, or --to local",
            )
        if not key.isascii() or not all(letter.isalnum() or letter in "-_." for letter in key):
            raise UsageError(
                f"{self.where} does not hold an API key: it has blanks, line breaks or other strange "
                "characters",
                "copy the key alone, without quotation marks",
            )
        return key

    @property
    def is_exposed(self) -> bool:
        """Whether everyone on this machine can read the key's file; mounted secrets are often so."""
        try:
            return bool(self.key_file) and bool(Path(self.key_file).stat().st_mode & stat.S_IROTH)
        except OSError:
            return False


def _of_file(path: Path) -> str:
    content = read_small(path, _LONGEST_KEY_FILE, f"the key file {path}", "check key_file in km.toml")
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        raise UsageError(f"the key file {path} is not text", "it holds the API key alone") from None
