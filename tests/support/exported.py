"""Works out which calls must arrive for the exports of other tools, from their raw rows.

It shares nothing with km-cli: one plain function a tool, written from the page that documents its rows.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tests.support.tracker import Hit

Row = dict[str, Any]


class Arrival(NamedTuple):
    """A call as the tracker gets it; `name` is the event or the alias, `second` is 0 for an alias."""

    path: str
    person: str
    name: str
    second: int
    properties: frozenset[tuple[str, str]] = frozenset()


def arrivals(hits: Iterable[Hit]) -> list[Arrival]:
    """Return the calls that arrived, sorted; one that came twice is there twice."""
    return sorted((_arrival(hit) for hit in hits), key=_order)


def expected(name: str, path: Path, zone: str = "UTC", *, aliases: bool = False) -> list[Arrival]:
    """Return the calls that must arrive for a file of this export, sorted."""
    calls = _TOOLS[name](list(_rows(path)), zone)
    return sorted((call for call in calls if aliases or call.path != "/a"), key=_order)


def _order(call: Arrival) -> tuple[Any, ...]:
    return (*call[:4], sorted(call.properties))


def _arrival(hit: Hit) -> Arrival:
    params = hit.params
    own = frozenset((key, value) for key, value in params.items() if not key.startswith("_"))
    return Arrival(hit.path, params["_p"], params.get("_n", ""), int(params.get("_t", 0)), own)


def _rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file; numbers stay as they were written."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
        return
    for line in path.read_bytes().splitlines():
        plain = re.sub(rb"\\(\d{3})", lambda octal: bytes([int(octal[1], 8)]), line)
        yield json.loads(plain, parse_int=str, parse_float=str)


def _both(user: str, account: str, name: str, second: int, properties: Row) -> Iterator[Arrival]:
    """Yield the calls of one event: as the user, and as the account."""
    sent = frozenset(_flat(properties))
    yield from (Arrival("/e", person, name, second, sent) for person in (user, account) if person)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else {str(number): item for number, item in enumerate(value)}
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    elif value is not None and value != "":
        yield name, {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value


def _one(value: Any) -> str:
    """Return a group, which some tools write as a list."""
    return (value[0] if value else "") if isinstance(value, list) else value or ""


def _second(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _without(row: Row, *keys: str) -> Row:
    return {key: value for key, value in row.items() if key not in keys}


def _segment(rows: list[Row], _: str) -> Iterator[Arrival]:
    """Only calls of type track; a message that was delivered twice is one."""
    by_id = {row["messageId"]: row for row in rows if row["type"] == "track"}
    for row in by_id.values():
        who, second = row["userId"] or row["anonymousId"], _second(row["timestamp"])
        yield from _both(who, row["context"].get("groupId", ""), row["event"], second, row["properties"])


def _mixpanel(rows: list[Row], zone: str) -> Iterator[Arrival]:
    """The clock of the project showed `time`; `company` is the group key of these rows."""
    for row in rows:
        if row["event"] in ("$identify", "$create_alias", "$merge"):
            continue
        values = row["properties"]
        clock = datetime.fromtimestamp(int(values["time"]), UTC).replace(tzinfo=ZoneInfo(zone))
        own = _without(values, "time", "distinct_id", "$insert_id", "company")
        account = _one(values.get("company"))
        yield from _both(values["distinct_id"], account, row["event"], int(clock.timestamp()), own)


def _amplitude(rows: list[Row], _: str) -> Iterator[Arrival]:
    for row in rows:
        if row["event_type"] not in ("$identify", "$groupidentify"):
            who, second = row["user_id"] or row["device_id"], _second(row["event_time"])
            account = _one(row["groups"].get("company"))
            yield from _both(who, account, row["event_type"], second, row["event_properties"])


def _posthog(rows: list[Row], _: str) -> Iterator[Arrival]:
    """`properties` is an object, or a text with one."""
    left_out = {"$identify", "$create_alias", "$groupidentify", "$merge_dangerously", "$set"}
    for row in rows:
        values = row["properties"]
        values = json.loads(values, parse_int=str, parse_float=str) if isinstance(values, str) else values
        if row["event"] not in left_out:
            account = values.get("$groups", {}).get("company", "")
            own = _without(values, "$groups", "$set", "$set_once", "$unset")
            yield from _both(row["distinct_id"], account, row["event"], _second(row["timestamp"]), own)


def _ga4(rows: list[Row], _: str) -> Iterator[Arrival]:
    for row in rows:
        who, second = row["user_id"] or row["user_pseudo_id"], int(row["event_timestamp"]) // 10**6
        account = _valued(row["user_properties"]).get("organization", "")
        yield from _both(who, account, row["event_name"], second, _valued(row["event_params"]))


def _valued(items: list[Row]) -> Row:
    """Return a list of keys and values as an object; each value stands under the name of its type."""
    return {
        item["key"]: next(
            value for kind, value in item["value"].items() if kind.endswith("_value") and value is not None
        )
        for item in items
    }


def _kissmetrics(rows: list[Row], _: str) -> Iterator[Arrival]:
    """Each row is the call that it says; names that begin with `_` are Kissmetrics' own."""
    for row in rows:
        who, second = row["_p"], int(row.get("_t") or 0)
        own = frozenset((key, value) for key, value in row.items() if not key.startswith("_"))
        if "_n" in row:
            yield Arrival("/e", who, row["_n"], second, own)
        elif own:
            yield Arrival("/s", who, "", second, own)
        if "_p2" in row:
            yield Arrival("/a", who, row["_p2"], 0)


def _kissmetrics_csv(rows: list[Row], zone: str) -> Iterator[Arrival]:
    """The same with other names: a property has a prefix."""
    names = {"Identity": "_p", "Timestamp": "_t", "Event": "_n", "Alias": "_p2"}
    renamed = [
        {names.get(key, key.removeprefix("Prop:")): value for key, value in row.items() if value}
        for row in rows
    ]
    return _kissmetrics(renamed, zone)


_TOOLS: dict[str, Callable[[list[Row], str], Iterator[Arrival]]] = {
    "segment": _segment,
    "mixpanel": _mixpanel,
    "amplitude": _amplitude,
    "posthog": _posthog,
    "ga4": _ga4,
    "kissmetrics": _kissmetrics,
    "kissmetrics-csv": _kissmetrics_csv,
}
