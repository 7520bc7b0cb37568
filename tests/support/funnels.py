"""Counts funnels naively, in memory, by Python's own csv. It shares no code with km-cli."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from statistics import median
from typing import Any, NamedTuple


class Event(NamedTuple):
    """An event of a log: who, of which account, did what in which second, on which plan."""

    user: str
    account: str
    event: str
    second: int
    plan: str = ""


def events_of(text: str) -> list[Event]:
    """Return the events of a log with the columns timestamp, user, account, event and plan."""
    return [
        Event(
            row["user"],
            row["account"],
            row["event"],
            int(datetime.fromisoformat(row["timestamp"].replace("Z", "+00:00")).timestamp() // 1),
            row.get("plan") or "",
        )
        for row in csv.DictReader(io.StringIO(text))
    ]


def reached_by(
    events: Sequence[Event], who: str, steps: Sequence[str], within: int | None = None
) -> dict[str, list[int]]:
    """Return, for each identity of a persona that reaches step one, the second of each step it reaches."""
    times: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for event in events:
        if identity := getattr(event, who):
            times[identity][event.event.casefold()].append(event.second)
    found = {}
    for identity, done in times.items():
        walk: list[int] = []
        for step in steps:
            after = [second for second in done[step.casefold()] if not walk or second >= walk[-1]]
            if not after or (within is not None and walk and min(after) - walk[0] > within):
                break
            walk.append(min(after))
        if walk:
            found[identity] = walk
    return found


def counted(walks: dict[str, list[int]], steps: Sequence[str]) -> dict[str, Any]:
    """Return the numbers of a funnel, in the form of `--json`."""
    rows = []
    for place, step in enumerate(steps):
        reached = sum(len(walk) > place for walk in walks.values())
        before = sum(len(walk) >= place for walk in walks.values()) if place else reached
        times = [walk[place] - walk[place - 1] for walk in walks.values() if place and len(walk) > place]
        rows.append(
            {
                "event": step,
                "reached": reached,
                "conversion": reached / before if before else None,
                "median_seconds": median(times) if times else None,
                "p90_seconds": ninety(times),
            }
        )
    whole = [walk[-1] - walk[0] for walk in walks.values() if len(walk) == len(steps)]
    return {
        "steps": rows,
        "conversion": len(whole) / len(walks) if walks else None,
        "median_seconds": median(whole) if whole else None,
        "p90_seconds": ninety(whole),
    }


def ninety(times: Sequence[int]) -> int | None:
    """Return the smallest time within which at least nine in ten are."""
    for time in sorted(times):
        if sum(one <= time for one in times) * 10 >= 9 * len(times):
            return time
    return None


def belonging(events: Sequence[Event]) -> dict[str, set[str]]:
    """Return the users of each account."""
    users: dict[str, set[str]] = defaultdict(set)
    for event in events:
        if event.user and event.account:
            users[event.account].add(event.user)
    return users
