"""Reading km.toml, typed and checked. An error names the file, the key and the nearest known key."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from km_cli.config.files import read_small
from km_cli.config.kmtoml import (
    PATTERNS,
    BackfillTable,
    ColumnsTable,
    DeliveryTable,
    KmToml,
    PersonaTable,
    PlanTable,
    QueryTable,
    SiteTable,
)
from km_cli.config.kmtoml_places import line_of
from km_cli.errors import UsageError, Where, did_you_mean
from km_cli.kissmetrics import LIKE_A_KEY
from km_cli.object_address import is_address, parse

_LARGEST = 1 << 20
"""Bytes; a km.toml written by hand has far fewer."""

_LARGEST_NUMBER = 1 << 63

_SEE_SCHEMA = "`km-cli config schema` describes all keys"


def read(path: Path) -> KmToml:
    """Read a km.toml. Raises UsageError if it cannot be read or is wrong."""
    content = read_small(path, _LARGEST, f"{path}:", "check --config and the file")
    try:
        text = _unified(content.decode("utf-8-sig"))
        found = tomllib.loads(text)
    except UnicodeDecodeError:
        raise UsageError(f"{path}: the file is not UTF-8", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        where = _where(path, text, str(error))
        hint = f"{_SEE_SCHEMA}; text needs quotation marks"
        raise UsageError(f"{path}: {error}", hint, where=where) from None
    except ValueError:
        # Python refuses to convert thousands of digits, and tomllib does not catch that error.
        raise _too_large(f"{path}:") from None
    except RecursionError:
        raise UsageError(f"{path}: tables are nested too deeply", _SEE_SCHEMA) from None
    _check_keys(path, text, found, KmToml, "")
    _check_numbers(found, f"{path}:", "")
    found = _times_as_text(found)
    try:
        config = msgspec.convert(found, KmToml)
    except msgspec.ValidationError as error:
        place, what = _located(error)
        message = f"{place}: {what}" if place else what
        several = _SEVERAL.fullmatch(message)
        hint = _IN_PERSONA.format(several["name"]) if several else _SEE_SCHEMA
        raise UsageError(f"{path}: {message}", hint, where=line_of(path, text, place)) from None
    _check_addresses(path, config)
    _check_sources(path, text, config)
    return config


_OF_FILES = ("files", "format", "encoding", "delimiter", "export", "optional")
_OF_QUERIES = ("database", "url_env", "order_by", "start")


def _check_sources(path: Path, text: str, config: KmToml) -> None:
    """Raise UsageError for a source that has neither files nor a query, or keys of both."""
    for at, table in enumerate(config.backfill, start=1):
        place, of_files = f"backfill[{at}]", [key for key in _OF_FILES if getattr(table, key)]
        of_queries = [key for key in _OF_QUERIES if getattr(table, key) != ""]
        if table.sql and of_files:
            problem = f"{place} has both sql and {of_files[0]}: a query reads no files"
            hint = "give each a [[backfill]] of its own"
        elif not table.sql and of_queries:
            problem = f"{place} has {of_queries[0]} without sql"
            hint = f"leave {of_queries[0]} out, or write the query: sql = …"
        elif not table.sql and not table.files:
            problem = f"{place} has neither files nor sql: there is nothing to read"
            hint = 'name files, as files = ["exports/*.csv.gz"], or write a query: sql = "SELECT …"'
        else:
            continue
        raise UsageError(f"{path}: {problem}", hint, where=line_of(path, text, place))


def _check_addresses(path: Path, config: KmToml) -> None:
    """Raise UsageError for an address of an object store that cannot be, or that has a password in it."""
    for at, table in enumerate(config.backfill, start=1):
        for entry in filter(is_address, table.files):
            try:
                parse(entry)
            except UsageError as error:
                raise UsageError(f"{path}, backfill[{at}].files: {error}", error.hint) from None


_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")
"""The end of the message of tomllib, which has no other form of the place before Python 3.14."""


def _where(path: Path, text: str, message: str) -> Where | None:
    """Return the place of a mistake in TOML, None if it is the end of the file.

    A line that may have an API key is not shown: a key file was named by mistake, or a key is in km.toml.
    """
    if not (found := _PLACE.search(message)):
        return None
    line, column = int(found[1]), int(found[2])
    shown = text.split("\n")[line - 1]
    if LIKE_A_KEY.search(shown):
        return Where(str(path), line, "")
    return Where(str(path), line, shown, cell=shown[column - 1 :])


_SEVERAL = re.compile(r"(?:.*\.)?columns\.(?P<name>user|account): Expected .*, got a list")
_IN_PERSONA = (
    'several columns go to [[personas]]: name = "{0}", column = […]; list the other personas there too'
)


def _unified(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _check_numbers(value: Any, label: str, place: str) -> None:
    """Raise UsageError for a whole number of over 64 bits, which SQLite and JSON readers cannot hold."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_numbers(inner, label, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list):
        for at, inner in enumerate(value, start=1):
            _check_numbers(inner, label, f"{place}[{at}]")
    elif isinstance(value, int) and abs(value) >= _LARGEST_NUMBER:
        raise _too_large(f"{label} {place}:")


def _too_large(label: str) -> UsageError:
    return UsageError(f"{label} a number has too many digits", "write a smaller number")


def _times_as_text(value: Any) -> Any:
    """Return a value with its dates and times as text, so that they need no quotation marks in TOML."""
    if isinstance(value, dict):
        return {key: _times_as_text(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_times_as_text(one) for one in value]
    return value.isoformat() if isinstance(value, date) else value


def _located(error: msgspec.ValidationError) -> tuple[str, str]:
    """Return the place of an error as TOML writes it, such as `delivery.rate`, and its message."""
    what, _, place = str(error).partition(" - at `")
    place = place.replace("key` in `", "").rstrip("`").removeprefix("$").lstrip(".").replace("[...]", ".*")
    place = re.sub(r"\[(\d+)\]", lambda number: f"[{int(number[1]) + 1}]", place)
    for pattern, words in PATTERNS.items():
        what = what.replace(f"matching regex {pattern!r}", words)
    what = re.sub("`([^`]*)`", _in_toml, what.replace("Object missing", "missing"))
    return place, what


def _in_toml(kinds: re.Match[str]) -> str:
    """Return the names of types in the words of TOML."""
    return " or ".join(_KINDS.get(kind, kind) for kind in kinds[1].split(" | ") if kind != "null")


_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "a table",
    "array": "a list",
}


def _check_keys(path: Path, text: str, found: Any, table: type[Struct], place: str) -> None:
    """Raise UsageError for the first unknown key; its hint is the nearest known key."""
    if not isinstance(found, dict):
        return
    fields = {field.name: field.type for field in msgspec.structs.fields(table)}
    for key, value in found.items():
        if key not in fields:
            raise UsageError(
                f"{path}: {place}{key} is not a known key",
                did_you_mean(key, fields, f"the keys are: {', '.join(fields)}", place.__add__),
                where=line_of(path, text, f"{place}{key}"),
            )
        for inner, below in _tables(key, value):
            if kind := _TABLES.get(re.sub(r"\[\d+\]", "", f"{place}{key}")):
                _check_keys(path, text, below, kind, f"{place}{inner}.")


def _tables(key: str, value: Any) -> list[tuple[str, Any]]:
    """Return the tables below a key, each with its name."""
    if isinstance(value, list):
        return [(f"{key}[{at}]", one) for at, one in enumerate(value, start=1)]
    if key in ("sites", "plans") and isinstance(value, dict):
        return [(f"{key}.{name}", one) for name, one in value.items()]
    return [(key, value)]


_TABLES: dict[str, type[Struct]] = {
    "columns": ColumnsTable,
    "sites": SiteTable,
    "personas": PersonaTable,
    "delivery": DeliveryTable,
    "plans": PlanTable,
    "query": QueryTable,
    "backfill": BackfillTable,
    "backfill.columns": ColumnsTable,
    "backfill.personas": PersonaTable,
}
