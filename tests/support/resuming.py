"""A log that is imported in pieces, and what must have arrived when it is done."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tests.conftest import SAMPLES
from tests.support.command import Command
from tests.support.oracle import expected, merged
from tests.support.tracker import Tracker

CSV = {"user": "user_id", "account": "account_id", "event": "event", "timestamp": "timestamp"}


def part_of_the_samples(folder: Path) -> Path:
    """A part of the samples, rejects and crowded accounts among it."""
    path = folder / "events.csv"
    path.write_bytes(b"".join((SAMPLES / "events.csv").read_bytes().splitlines(keepends=True)[:1500]))
    return path


def finished(command: Command, log: Path) -> dict[str, Any]:
    """Run to the end; bad rows may be this run's or an earlier one's. Return the summary."""
    result = command("import", log, "--json")
    return result.ended(65 if result.code == 65 else 0).summary


def check_arrived(tracker: Tracker, log: Path) -> None:
    """What came to the tracker is what should have come, however often it was sent."""
    calls = expected(log, **CSV)
    assert merged(tracker.calls()) == merged(calls)
    forms = {hit.wire: hit.params for hit in tracker.seen}
    assert len(forms) == len(calls), "a call was sent in two forms, or one too many"
    arrived = [{name: value for name, value in params.items() if name != "_k"} for params in forms.values()]
    assert counted(arrived) == counted(calls)
    assert {hit.wire for hit in tracker.hits} == set(forms)


def counted(calls: list[dict[str, str]]) -> Counter[tuple[tuple[str, str], ...]]:
    return Counter(tuple(sorted(call.items())) for call in calls)
