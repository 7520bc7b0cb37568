"""Which calls are at the destination, read without km-cli's code, and which rejects its files hold."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from tests.support.accounting import Call, calls_of
from tests.support.bulk import calls_in
from tests.support.command import KEY
from tests.support.tracker import Hit

SITE = "main"

_CALLS = """
SELECT people.identity, spellings.text, calls.second, calls.properties FROM kept_calls AS calls
JOIN kept_people AS people ON people.id = calls.person
JOIN kept_spellings AS spellings ON spellings.id = calls.name
WHERE calls.kind = 0"""


def of_tracker(hits: Iterable[Hit]) -> list[Call]:
    """Return the calls that the tracker got, each once, however often it came byte for byte."""
    return calls_of(hits, {KEY: SITE})


def in_bulk_files(folder: Path) -> list[Call]:
    """Return the calls in the finished files, each as often as it is there."""
    found = []
    for call in calls_in(folder, "out").elements():
        named = dict(call)
        who, what, when = named.pop("_p"), named.pop("_n"), int(named.pop("_t"))
        found.append(Call(SITE, who, what, when, frozenset(named.items())))
    return found


def in_store(path: Path) -> list[Call]:
    """Return the calls in a local store, each once: Kissmetrics counts equal calls once, and so does it."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        rows = database.execute(_CALLS).fetchall()
    distinct = {
        Call(
            SITE, who, what, when, frozenset((name, value) for name, value in json.loads(properties or "[]"))
        )
        for who, what, when, properties in rows
    }
    return list(distinct)


def rejects_in(files: Sequence[Path]) -> dict[tuple[str, int], dict[str, str]]:
    """Return the rejects by file and line, as `accounting.rejected_in` does, without lines that were torn."""
    found: defaultdict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    for line in (line for path in files for line in path.read_bytes().splitlines()):
        try:
            reject = json.loads(line)
        except ValueError:  # A write that was not synced: its rows are judged anew.
            continue
        for persona in reject.get("owed") or [""]:
            found[reject["source"], reject["line"]][persona] = reject["code"]
    return dict(found)


def count_again(before: Sequence[Hit], after: Iterable[Hit]) -> int:
    """Return how many requests came after the loss though the tracker had them before it."""
    return sum((Counter(hit.wire for hit in after) & Counter(hit.wire for hit in before)).values())
