"""The calls that the ledger expects Kissmetrics to show, by site and event."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from km_cli.kissmetrics import fold_name
from km_cli.ledger import Ledger, RunRecord, Sent, Shortfalls
from km_cli.ledger.runs import MOST_RUNS
from km_cli.planning.digests import digest
from km_cli.verify.values import OwnEvent

SHOW_AFTER = 3 * 3600.0
"""Q4: seconds until Kissmetrics shows a call, by older pages one to three hours. No page promises it."""


class Recent(NamedTuple):
    """Calls that may not be shown yet, because their run ended less than `show_after` ago, or is at work.

    `resumed` are calls of earlier runs that a recent run sent: the ledger has no names for them. `shown_by`
    is when all acknowledged calls should be shown, in seconds since 1970; None if they should be already.
    """

    calls: Mapping[Sent, int]
    resumed: int
    shown_by: float | None


class OwnSite(NamedTuple):
    """The calls of one site. `events` has them by folded name (D4), `pending` are calls of all kinds."""

    events: Mapping[str, OwnEvent]
    pending: int = 0


class OwnProperties(NamedTuple):
    """The properties that the ledger has for a site, by the digests of their names.

    `candidates` are texts that may be their names. `doubt` says why one of them need not be shown, "" if all
    of them must be; `is_recent` if that will be over in some hours (Q4).
    """

    digests: frozenset[bytes]
    candidates: frozenset[str]
    doubt: str = ""
    is_recent: bool = False


class Look(NamedTuple):
    """The ledger at one moment, for one destination. `planned` are all calls that it counts."""

    sites: Mapping[str, OwnSite]
    shown_by: float | None
    planned: int


def look(ledger: Ledger, tracker: str, now: float, show_after: float) -> Look:
    """Read the calls to a destination. It reads all slots of the ledger."""
    sent, pending = ledger.sent.total(tracker), ledger.expected.pending(tracker)
    recent = _recent(ledger, tracker, now, show_after)
    shortfalls = ledger.expected.shortfalls() if sent else Shortfalls()
    kinds: defaultdict[str, defaultdict[str, list[Sent]]] = defaultdict(lambda: defaultdict(list))
    waiting: Counter[str] = Counter()
    for kind in dict.fromkeys((*sent, *pending)):
        waiting[kind.site] += pending.get(kind, 0)
        events = kinds[kind.site]
        if kind.event:
            events[fold_name(kind.event)].append(kind)
    return Look(
        {
            site: OwnSite(
                {
                    folded: _own_event(folded, of_event, _Counts(sent, pending, recent), shortfalls)
                    for folded, of_event in sorted(events.items())
                },
                waiting[site],
            )
            for site, events in sorted(kinds.items())
        },
        recent.shown_by,
        sum(sent.values()),
    )


class _Counts(NamedTuple):
    sent: Mapping[Sent, int]
    pending: Mapping[Sent, int]
    recent: Recent

    def acknowledged(self, kind: Sent) -> int:
        return max(0, self.sent.get(kind, 0) - self.pending.get(kind, 0))


def _own_event(folded: str, kinds: Iterable[Sent], counts: _Counts, shortfalls: Shortfalls) -> OwnEvent:
    spelled: Counter[str] = Counter()
    certain: Counter[int] = Counter()
    acknowledged = most = recent = 0
    for kind in kinds:
        calls = counts.acknowledged(kind)
        new = min(calls, counts.recent.calls.get(kind, 0))
        acknowledged, recent = acknowledged + calls, recent + new
        most += counts.sent.get(kind, 0)
        spelled[kind.event] += counts.sent.get(kind, 0)
        certain[kind.day] += calls - new
    recent = min(acknowledged, recent + counts.recent.resumed)
    key = digest(4, folded)
    # Any of the calls of a day may be merged, dropped or resumed: the day must have more than those.
    doubtful = counts.recent.resumed + shortfalls.merged.get(key, 0) + shortfalls.dropped.get(key, 0)
    doubtful += shortfalls.forgotten
    days = [day for day, calls in certain.items() if calls > doubtful]
    return OwnEvent(
        max(spelled, key=spelled.__getitem__),
        acknowledged,
        max(most, acknowledged),
        recent,
        shortfalls.merged.get(key, 0),
        shortfalls.dropped.get(key, 0),
        min(days, default=None),
        max(days, default=None),
        min(acknowledged, shortfalls.forgotten),
    )


def _recent(ledger: Ledger, tracker: str, now: float, show_after: float) -> Recent:
    calls: Counter[Sent] = Counter()
    resumed, last = 0, 0.0
    if show_after > 0:
        written = _last_written(ledger.path, now)
        for run, end in _with_ends(ledger.runs.latest(MOST_RUNS), written, now):
            if end <= now - show_after:
                continue
            of_run = ledger.sent.total(tracker, run.number)
            again = int(run.counts.get("calls", {}).get("resumed", 0))
            calls.update(of_run)
            resumed += again
            last = max(last, end) if of_run or again else last
    return Recent(calls, resumed, last + show_after if last else None)


def _with_ends(runs: Iterable[RunRecord], written: float, now: float) -> Iterable[tuple[RunRecord, float]]:
    """Yield runs, the latest first, each with the latest time at which a call of it was acknowledged.

    A run that was killed or is at work has no end. Its acknowledgements were in the ledger before the next
    run began, and when the file was `written` last. The clock may have been put back.
    """
    later = written
    for run in runs:
        end = later if run.ended is None else run.ended
        yield run, min(now, max(end, run.began))
        later = run.began


def _last_written(path: Path, now: float) -> float:
    """Return when the ledger was written last, in seconds since 1970; `now` if that is not known.

    The log beside it is empty if this very look at the ledger has made it.
    """
    times = []
    for name in (path.name, f"{path.name}-wal"):
        with suppress(OSError):
            found = path.with_name(name).stat()
            times += [found.st_mtime] if found.st_size else []
    return min(now, max(times, default=now))


def own_properties(
    ledger: Ledger, tracker: str, site: str, pending: int, *, is_recent: bool
) -> OwnProperties:
    """Return the properties that were planned for a site, of which `pending` calls are pending."""
    readings = list(ledger.readings.latest())
    doubt = ""
    if is_recent:
        doubt = "the only calls with them may not be shown yet"
    elif pending:
        doubt = "the only calls with them may be pending"
    elif any(reading.refused for reading in readings):
        doubt = "the only calls with them may have been refused"
    elif any(reading.is_forgotten for reading in readings):
        doubt = "the only calls with them may be those of a log that the ledger has forgotten"
    texts: set[str] = set()
    for reading in readings:
        texts.update(reading.columns)
        with ledger.decoding("readings"):
            texts.update(_texts_in(json.loads(reading.mapping or "null")))
    digests = ledger.expected.names(tracker, site, "property")
    return OwnProperties(frozenset(digests), frozenset(texts), doubt, is_recent)


def _texts_in(value: Any) -> Iterator[str]:
    """Yield all texts of a mapping: the names of properties are among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts_in(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from _texts_in(one)


def digest_of_name(name: str) -> bytes:
    """Return the digest by which the ledger knows the name of an event or a property."""
    return digest(8, fold_name(name))
