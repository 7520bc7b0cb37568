"""Compares the calls that arrived with the rows that were counted: nothing lost, nothing twice.

Each row is sent, known from another file, or in a rejects file. Shares no code with km-cli.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.rowcount import Cells, Count, Form, Happening, Rejected, count, pair, read
from tests.support.tracker import Hit


class Call(NamedTuple):
    """A record as it arrived."""

    site: str
    identity: str
    event: str
    second: int
    shown: Cells


def calls_of(hits: Iterable[Hit], sites: Mapping[str, str]) -> list[Call]:
    """Return the records that came, each once, however often it came byte for byte. `sites`: key → site."""
    distinct = {hit.wire: hit.params for hit in hits if hit.path == "/e"}
    return [
        Call(
            sites[params["_k"]],
            params["_p"],
            params["_n"],
            int(params["_t"]),
            frozenset((name, value) for name, value in params.items() if name[:1] != "_"),
        )
        for params in distinct.values()
    ]


def rejected_in(*files: Path) -> dict[tuple[str, int], dict[str, str]]:
    """Return what rejects files hold: by file and line, the personas still owed ("": all), with the code."""
    found: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    for path in files:
        for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            reject = json.loads(text)
            for persona in reject.get("owed") or [""]:
                found[reject["source"], reject["line"]][persona] = reject["code"]
    return dict(found)


def complaints(
    files: Sequence[Path],
    form: Form,
    calls: Sequence[Call],
    overlap: str = "ask",
    rejected: Rejected | None = None,
) -> list[str]:
    """Return what is wrong about these calls, for files that were imported in this order."""
    counted = count([read(path, form) for path in files], form, overlap, rejected)
    return counted.wrong + compare(counted, calls, form.spread)


def compare(counted: Count, calls: Sequence[Call], spread: int) -> list[str]:
    """Pair the events with the calls: who, what, with which properties, and in a second that it may have."""
    wrong = _merging(calls)
    events: dict[tuple[str, str, str], list[Happening]] = defaultdict(list)
    arrived: dict[tuple[str, str, str], list[Call]] = defaultdict(list)
    for one in counted.happenings:
        first = one.parts[0]
        events[first.site, first.identity, first.event].append(one)
    for call in calls:
        arrived[call.site, call.identity, call.event].append(call)
    for key in events.keys() | arrived.keys():
        wrong += _compare(events[key], arrived[key], spread)
    return wrong


def _compare(events: list[Happening], calls: list[Call], spread: int) -> list[str]:
    events.sort(key=lambda one: (not one.is_sure, one.parts[0].second))
    places: dict[Cells, list[tuple[int, int]]] = defaultdict(list)
    for at, call in enumerate(calls):
        places[call.shown].append((call.second, at))
    for found in places.values():
        found.sort()
    taken = pair([_fitting(one, places, spread) for one in events])
    served = set(taken.values())
    lost = [f"lost: {_told(one)}" for at, one in enumerate(events) if one.is_sure and at not in served]
    return lost + [f"twice, or of no row: {call}" for at, call in enumerate(calls) if at not in taken]


def _fitting(one: Happening, places: Mapping[Cells, list[tuple[int, int]]], spread: int) -> list[int]:
    """Return the calls that may be this event's."""
    fitting: list[int] = []
    second = one.parts[0].second
    for shown in one.forms:
        found = places.get(shown, [])
        begin, end = bisect_left(found, (second, -1)), bisect_right(found, (second + spread, len(found)))
        fitting += [at for moment, at in found[begin:end] if second <= moment <= second + spread]
    return fitting


def _merging(calls: Iterable[Call]) -> list[str]:
    """Complain about calls that Kissmetrics would count once (D1)."""
    times = Counter((call.site, call.identity, call.event.casefold(), call.second) for call in calls)
    return [f"counted once by Kissmetrics: {key}" for key, number in times.items() if number > 1]


def _told(one: Happening) -> str:
    part = one.parts[0]
    did = f"{part.level} {part.identity!r} {part.event!r} {sorted(part.shown)}"
    return f"line {part.line} of file {part.log}: {did}"
