"""The ledger's side: the calls that Kissmetrics should hold, and when runs sent them."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import NamedTuple
from urllib.parse import parse_qsl

from km_cli.errors import Exit
from km_cli.ledger import NO_RUN, Ledger, RunRecord
from km_cli.ledger.lock import read_holder
from km_cli.ledger.runs import MOST_RUNS
from km_cli.model import NO_EVENT, PlannedCall, Slot
from km_cli.planning.fingerprints import Fingerprints
from km_cli.verify.export.seconds import ExpectedSecond, Standing
from km_cli.verify.export.workspace import Workspace

_ADD_KIND = """
INSERT INTO kinds VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (persona, event, day) DO UPDATE SET
    is_ours = max(is_ours, excluded.is_ours), is_others = max(is_others, excluded.is_others),
    began = min(began, excluded.began), ended = max(ended, excluded.ended)
"""
_ADD_MOVED = "INSERT OR IGNORE INTO moved VALUES (?, ?, ?, ?, ?, ?)"
_ADD_PENDING = "INSERT OR IGNORE INTO pending VALUES (?, ?, ?, ?)"

_SETTLED = (Exit.OK, Exit.REJECTED)
"""The exit codes of runs that left no call pending."""

Product = tuple[str, str]
"""A product in Kissmetrics: tracker and site."""


class Span(NamedTuple):
    """When a run sent its calls, at the earliest and at the latest, in seconds since 1970."""

    began: float
    ended: float


class LedgerSide:
    """Reads a ledger for one product. `names` has the names of events by their digests."""

    def __init__(
        self, ledger: Ledger, product: Product, workspace: Workspace, fingerprints: Fingerprints
    ) -> None:
        self._ledger = ledger
        self._product = product
        self._workspace = workspace
        self._fingerprints = fingerprints
        self.names: dict[bytes, str] = {}
        self.products = _products(ledger) | {product}

    def load(self, now: float) -> None:
        """Put what the comparison looks up into the workspace: kinds of calls, pending calls, aliases."""
        self._load_kinds(_spans(self._ledger, now))
        tracker, site = self._product
        for to, call in self._ledger.outbox.all_pending():
            if to == tracker and call.site == site and not call.is_alias:
                self._workspace.add(_ADD_PENDING, self._key_of(call))
        for one, other in self._ledger.slots.aliases():
            self._workspace.add("INSERT OR REPLACE INTO aliases VALUES (?, ?, 1)", (one, other))
            self._workspace.add("INSERT OR REPLACE INTO aliases VALUES (?, ?, 1)", (other, one))
        self._workspace.flush()

    def _load_kinds(self, spans: dict[int, Span]) -> None:
        unnoted = Span(-inf, -inf)
        for tracker, kind, run in self._ledger.sent.by_run():
            event = NO_EVENT
            if kind.event:
                event = self._fingerprints.digest_event(kind.event)
                self.names.setdefault(event, kind.event)
            is_ours = (tracker, kind.site) == self._product
            span = spans.get(run, unnoted) if is_ours else Span(inf, -inf)
            self._workspace.add(
                _ADD_KIND, (kind.persona, event, kind.day, int(is_ours), int(not is_ours), *span)
            )

    def _key_of(self, call: PlannedCall) -> tuple[int, bytes, bytes, bytes]:
        if call.event:
            return call.taken, call.person, self._fingerprints.digest_event(call.event), b""
        query = call.payload.decode("ascii").partition("?")[2]
        pairs = [
            self._fingerprints.digest_name(name) + self._fingerprints.digest_value(name, value)[:4]
            for name, value in parse_qsl(query, keep_blank_values=True)
            if not name.startswith("_")
        ]
        return call.taken, call.person, NO_EVENT, b"".join(sorted(pairs))

    def seconds(self) -> Iterator[ExpectedSecond]:
        """Yield the calls of all people of all products by second, then person.

        Calls that were moved away are noted in the workspace: only their own second has their place in a log.
        """
        for second, person, persona, slot in self._ledger.slots.in_order():
            calls = self._standing(second, person, slot)
            if calls:
                yield ExpectedSecond(second, person, persona, tuple(calls))
        self._workspace.flush()

    def _standing(self, second: int, person: bytes, slot: Slot) -> list[Standing]:
        calls = [Standing(event, pairs) for event, pairs in slot.moved]
        for known in slot.known:
            reading, line = known.claims[0].reading, known.claims[0].line
            if known.taken == second:
                calls.append(Standing(known.event, known.pairs, reading, line))
            else:
                row = (known.taken, person, known.event, known.pairs, reading, line)
                self._workspace.add(_ADD_MOVED, row)
        return calls


def pending_key(event: bytes, pairs: bytes) -> tuple[bytes, bytes]:
    """Return how the table `pending` has an event, or a call that only sets properties."""
    if event != NO_EVENT:
        return event, b""
    return event, b"".join(sorted(pairs[at : at + 8] for at in range(0, len(pairs), 8)))


def _products(ledger: Ledger) -> set[Product]:
    """Return the products that the ledger has calls for, as far as it knows them."""
    found = {(one.tracker, one.site) for one in ledger.sent.by_site()}
    for reading in ledger.readings.latest():
        for place, calls in reading.calls:
            parts = place.rsplit(" ", 2)
            if calls and len(parts) == 3:  # Format 2 counted by tracker alone.
                found.add((parts[0], parts[1]))
    return {(tracker, site) for tracker, site in found if site}


def _spans(ledger: Ledger, now: float) -> dict[int, Span]:
    """Return when the calls that each run has planned were sent.

    A run that was killed has no end. It ended before the next one began, and before the ledger's last change.
    The calls that a run left pending were sent by a later run, one that resumed some.
    """
    found = {NO_RUN: Span(-inf, -inf)}
    ends = inf if read_holder(ledger.path) is not None else min(now, _last_change(ledger))
    resumed = -inf
    for run in ledger.runs.latest(MOST_RUNS):
        ended = ends if run.ended is None else run.ended
        left = run.ended is None or run.exit not in _SETTLED or _calls(run, "pending")
        found[run.number] = Span(run.began, max(ended, resumed) if left else ended)
        if run.ended is None or _calls(run, "resumed"):
            resumed = max(resumed, ended)
        ends = run.began
    return found


def _calls(run: RunRecord, outcome: str) -> int:
    return int(run.counts.get("calls", {}).get(outcome, 0))


def _last_change(ledger: Ledger) -> float:
    """Return when the ledger was last written to, in seconds since 1970."""
    path = ledger.path
    places = (path, path.with_name(f"{path.name}-wal"))
    return max(place.stat().st_mtime for place in places if place.exists())
