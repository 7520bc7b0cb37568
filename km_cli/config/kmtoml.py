"""km.toml: what can stand in it, typed and checked. A mistake is told with file, key and what is near."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from km_cli.config.files import read_small
from km_cli.errors import UsageError, did_you_mean
from km_cli.strategies import STRATEGIES

_LARGEST = 1 << 20
"""Bytes that a km.toml may have: far more than any that was written by hand."""

_LARGEST_NUMBER = 1 << 63

Positive = Annotated[int, Meta(ge=1)]
Above0 = Annotated[float, Meta(gt=0)]
_NAME = r"^[^\W\d][\w -]*$"
_SITE = r"^[\w.-]+$"
_VARIABLE = r"^(?![0-9A-Fa-f]{32,}$)[A-Za-z_]\w*$"
_KEY_FILE = r"^(?!\s*[0-9A-Fa-f]{32,}\s*$)[^\x00-\x1f\x7f]*$(?!\n)"
_PLACE = r"^[^\x00-\x1f\x7f]+$(?!\n)"
_CALLED = r"^[^{}]*(\{event\}[^{}]*)+$"
_NO_NUL = r"^[^\x00]*$"
_ALLOWANCE = r"^\d+(\.\d+)?%?$"
_SOME = r"\S"
_FORMS = {
    _NAME: "that begins with a letter and has letters, digits, blanks, dashes and underscores",
    _SITE: "of letters, digits, dots, dashes and underscores",
    _VARIABLE: "that names an environment variable; the key itself stands there, never here",
    _KEY_FILE: "that names a file; the key itself stands in that file, never here",
    _PLACE: "of one character or more, none of them a control character",
    _CALLED: "with {event}, the event's name in the log, and no other braces",
    _NO_NUL: "without NUL",
    _ALLOWANCE: "as 10 or 5%",
    _SOME: "that is not blank",
}
"""Patterns that texts must match, in words."""

Text = Annotated[str, Meta(min_length=1, pattern=_NO_NUL)]
EventName = Annotated[str, Meta(pattern=_SOME)]
PlaceName = Annotated[str, Meta(pattern=_PLACE)]


class _Table(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of km.toml."""


class ColumnsTable(_Table, frozen=True):
    """Which column is what; dotted names reach into JSON. Without it the usual names are recognised."""

    user: Text | UnsetType = UNSET
    account: Text | UnsetType = UNSET
    event: Text | UnsetType = UNSET
    event_name: Annotated[str, Meta(description="what every row did")] | UnsetType = UNSET
    timestamp: Text | UnsetType = UNSET
    timezone: Annotated[str, Meta(description="zone of times that have no offset")] | UnsetType = UNSET
    time_format: Annotated[str, Meta(description="form of times, as %d/%m/%Y %H:%M")] | UnsetType = UNSET
    ambiguous: Literal["earlier", "later"] | UnsetType = UNSET
    id: Annotated[str, Meta(description="the log's own id of the event")] | UnsetType = UNSET
    properties: (
        Annotated[list[Text], Meta(description="default: every column not named elsewhere")] | UnsetType
    ) = UNSET
    exclude: list[Text] | UnsetType = UNSET
    ignore: (
        Annotated[list[Text], Meta(description="neither sent nor compared: offsets, times of arrival")]
        | UnsetType
    ) = UNSET
    flatten: bool | UnsetType = UNSET
    skip: (
        Annotated[
            list[EventName],
            Meta(description="events that are left out: no persona does them, and that is meant"),
        ]
        | UnsetType
    ) = UNSET


class SiteTable(_Table, frozen=True):
    """A Kissmetrics product: where its API key is. The key itself never stands here."""

    key_env: Annotated[
        str, Meta(pattern=_VARIABLE, description="environment variable that holds the API key")
    ] = ""
    key_file: Annotated[str, Meta(pattern=_KEY_FILE, description="file that holds the API key alone")] = ""


class PersonaTable(_Table, frozen=True):
    """A kind of identity that events are recorded as. Order matters: the first is the actor."""

    name: Annotated[str, Meta(pattern=_NAME)]
    column: Annotated[str, Meta(description="column of its identity; default: the usual names")] = ""
    events: Annotated[
        Literal["*"] | list[EventName] | dict[EventName, EventName],
        Meta(description="the events it may do: all, some, or some with a name of their own"),
    ] = "*"
    rename: Annotated[
        str, Meta(pattern=_CALLED, description="what it calls an event, as Account {event}")
    ] = "{event}"
    properties: (
        Annotated[list[Text], Meta(description="columns that its records carry; default: all properties")]
        | UnsetType
    ) = UNSET
    link: Annotated[
        dict[Text, Text], Meta(description="a property, and the persona whose identity it holds")
    ] = msgspec.field(default_factory=dict)
    prefix: Annotated[
        str, Meta(description="stands before every identity, so that none is another persona's")
    ] = ""
    site: Annotated[str, Meta(description="default: the first site")] = ""
    set: Annotated[list[Text], Meta(description="columns set once, when an identity is first seen")] = (
        msgspec.field(default_factory=list)
    )
    alias: Annotated[
        str, Meta(description="column of another identity of the same person; needs --allow-alias")
    ] = ""


class DeliveryTable(_Table, frozen=True):
    """Where calls go and how."""

    to: PlaceName | UnsetType = UNSET
    batch_size: Annotated[int, Meta(ge=1, le=100_000)] | UnsetType = UNSET
    concurrency: Annotated[int, Meta(ge=1, le=1024)] | UnsetType = UNSET
    rate: Above0 | UnsetType = UNSET
    timeout: Above0 | UnsetType = UNSET
    attempts: Positive | UnsetType = UNSET
    collisions: Literal["spread", "keep", "reject"] | UnsetType = UNSET
    spread: Annotated[int, Meta(ge=0, le=86_400)] | UnsetType = UNSET
    ledger: PlaceName | UnsetType = UNSET
    rejects: PlaceName | UnsetType = UNSET
    max_rejects: Annotated[str, Meta(pattern=_ALLOWANCE)] | int | UnsetType = UNSET


class BackfillTable(_Table, frozen=True):
    """What `km-cli backfill` reads."""

    name: Annotated[str, Meta(pattern=_NAME)]
    files: Annotated[
        list[PlaceName],
        Meta(
            min_length=1,
            description="files, folders, patterns as logs/**/*.csv, days as logs/%Y/%m/%d/*.jsonl",
        ),
    ]
    since: Annotated[str, Meta(description="from this time on, as 2024-01-31")] = ""
    until: Annotated[str, Meta(description="before this time")] = ""
    optional: Annotated[bool, Meta(description="that there is no file is no error")] = False
    overlap: Annotated[
        Literal["ask", "repeats", "separate"],
        Meta(description="what a row is if another file has its event at its moment with other values"),
    ] = "ask"


if TYPE_CHECKING:
    StrategyName = str
else:  # the schema lists the registered strategies; a type checker cannot read them
    StrategyName = Literal[tuple(STRATEGIES)]


class KmToml(_Table, frozen=True):
    """km.toml, whole."""

    strategy: StrategyName | UnsetType = UNSET
    allow_id: list[Text] | UnsetType = UNSET
    columns: ColumnsTable = ColumnsTable()
    sites: dict[Annotated[str, Meta(pattern=_SITE)], SiteTable] = msgspec.field(default_factory=dict)
    personas: list[PersonaTable] = msgspec.field(default_factory=list)
    members: Annotated[
        dict[str, Text],
        Meta(description="a file that says who belongs to whom: its name, and a column for each persona"),
    ] = msgspec.field(default_factory=dict)
    delivery: DeliveryTable = DeliveryTable()
    backfill: list[BackfillTable] = msgspec.field(default_factory=list)


def read(path: Path) -> KmToml:
    """Return what stands in the file. Raises UsageError for what cannot be read or understood."""
    content = read_small(path, _LARGEST, f"{path}:", "check --config and the file")
    try:
        found = tomllib.loads(_unified(content.decode("utf-8-sig")))
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not UTF-8", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}", "see README, km.toml; text stands in quotation marks") from None
    except ValueError:
        # Python refuses to turn thousands of digits into a number, and tomllib lets that error through.
        raise _too_large(f"{path}:") from None
    except RecursionError:
        raise UsageError(f"{path}: it is nested too deep", "see README, km.toml") from None
    _check_keys(path, found, KmToml, "")
    _check_numbers(found, f"{path}:", "")
    found = _times_as_text(found)
    try:
        return msgspec.convert(found, KmToml)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"{path}: {_said(error)}", "see README, km.toml, or `km-cli config schema`"
        ) from None


def _unified(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _check_numbers(value: Any, said: str, place: str) -> None:
    """Raise UsageError for a whole number that other programs could not hold, as hexadecimal ones may be."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_numbers(inner, said, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list):
        for at, inner in enumerate(value, start=1):
            _check_numbers(inner, said, f"{place}[{at}]")
    elif isinstance(value, int) and abs(value) >= _LARGEST_NUMBER:
        raise _too_large(f"{said} {place}:")


def _too_large(said: str) -> UsageError:
    return UsageError(f"{said} a number has too many digits", "write a number that has a meaning there")


def _times_as_text(value: Any) -> Any:
    """Return what TOML holds with its own dates and times as text: one may leave quotation marks out."""
    if isinstance(value, dict):
        return {key: _times_as_text(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_times_as_text(one) for one in value]
    return value.isoformat() if isinstance(value, date) else value


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, for editors."""
    return msgspec.json.schema(KmToml)


def _said(error: msgspec.ValidationError) -> str:
    """Return an error with its place as it is written in the file: `delivery.rate` for `$.delivery.rate`."""
    what, _, place = str(error).partition(" - at `")
    place = place.replace("key` in `", "").rstrip("`").removeprefix("$").lstrip(".").replace("[...]", ".*")
    place = re.sub(r"\[(\d+)\]", lambda number: f"[{int(number[1]) + 1}]", place)
    for pattern, form in _FORMS.items():
        what = what.replace(f"matching regex {pattern!r}", form)
    what = re.sub("`([^`]*)`", _in_toml, what.replace("Object missing", "missing"))
    return f"{place}: {what}" if place else what


def _in_toml(kinds: re.Match[str]) -> str:
    """Return what msgspec calls kinds of values as one says in TOML."""
    return " or ".join(_KINDS.get(kind, kind) for kind in kinds[1].split(" | ") if kind != "null")


_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "a table",
    "array": "a list",
}


def _check_keys(path: Path, found: Any, table: type[Struct], place: str) -> None:
    """Raise UsageError for the first key that is not known, naming the nearest that is."""
    if not isinstance(found, dict):
        return
    fields = {field.name: field.type for field in msgspec.structs.fields(table)}
    for key, value in found.items():
        if key not in fields:
            raise UsageError(
                f"{path}: {place}{key} is no key that is known",
                did_you_mean(key, fields, f"there are: {', '.join(fields)}", place.__add__),
            )
        for inner, below in _tables(key, value):
            if kind := _TABLES.get(f"{place}{key}"):
                _check_keys(path, below, kind, f"{inner}.")


def _tables(key: str, value: Any) -> list[tuple[str, Any]]:
    """Return the tables below a key, and how each is called."""
    if isinstance(value, list):
        return [(f"{key}[{at}]", one) for at, one in enumerate(value, start=1)]
    if key == "sites" and isinstance(value, dict):
        return [(f"{key}.{name}", one) for name, one in value.items()]
    return [(key, value)]


_TABLES: dict[str, type[Struct]] = {
    "columns": ColumnsTable,
    "sites": SiteTable,
    "personas": PersonaTable,
    "delivery": DeliveryTable,
    "backfill": BackfillTable,
}
