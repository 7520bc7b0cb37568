"""The credentials of the Query API (Q1): from two variables, or from a file that km.toml names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from km_cli.config.files import expanded, read_small
from km_cli.config.kmtoml import KmToml
from km_cli.errors import UsageError

USER_VARIABLE = "KM_QUERY_USER"
PASSWORD_VARIABLE = "KM_QUERY_PASSWORD"

_LONGEST_FILE = 4096
"""Bytes; the file has one line."""


class QueryLogin(NamedTuple):
    """The user and the password. An API key is a user with an empty password."""

    user: str
    password: str


def query_login(config: KmToml, folder: Path, environment: Mapping[str, str]) -> QueryLogin:
    """Return the credentials. `folder` is that of km.toml.

    The variable KM_QUERY_USER comes first, then the `key_file` of [query]: it holds an API key, or an e-mail
    address and a password with a colon between them. Raises UsageError, which never repeats what it found.
    """
    if user := environment.get(USER_VARIABLE, "").strip():
        return _checked(
            user, environment.get(PASSWORD_VARIABLE, ""), f"{USER_VARIABLE} or {PASSWORD_VARIABLE}"
        )
    if path := query_key_file(config, folder, environment):
        user, _, password = _read(path).partition(":")
        return _checked(user, password, f"the key file {path}")
    raise UsageError(
        f"{USER_VARIABLE} is not set: it must hold the user of Kissmetrics' Query API",
        f"export {USER_VARIABLE}=… with an API key, or with an e-mail address and {PASSWORD_VARIABLE}=…; "
        "or write query.key_file into km.toml",
    )


def query_key_file(config: KmToml, folder: Path, environment: Mapping[str, str]) -> Path | None:
    """Return the file that the credentials are read from, None if they come from the environment."""
    if environment.get(USER_VARIABLE, "").strip() or not config.query.key_file:
        return None
    return folder / expanded(config.query.key_file, "km.toml, query.key_file:")


def _read(path: Path) -> str:
    content = read_small(path, _LONGEST_FILE, f"the key file {path}", "check query.key_file in km.toml")
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        raise UsageError(
            f"the key file {path} is not text", "write only an API key, or USER:PASSWORD, into it"
        ) from None


def _checked(user: str, password: str, where: str) -> QueryLogin:
    if not user or ":" in user or not (user + password).isprintable():
        raise UsageError(
            f"{where} does not hold credentials: the user is empty or has a colon in it, or a character "
            "cannot be printed",
            "copy only the API key, or the e-mail address and the password, without line breaks",
        )
    return QueryLogin(user, password)
