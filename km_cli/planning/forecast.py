"""What shows only over many rows, files and runs: instances, names, spellings, what Kissmetrics will hold.

A stage after planning: it sees only what is to be sent. What has to be known of earlier runs is in the
ledger's counts.
"""

from __future__ import annotations

from collections import defaultdict

from km_cli.kissmetrics import MOST_INSTANCES, fold_name
from km_cli.model import (
    Alias,
    Finding,
    PlannedCall,
    Properties,
    Record,
    RowPlan,
    Sequence,
    Set,
    is_event_name,
)
from km_cli.planning.fingerprints import digest, spelling
from km_cli.protocols import Counts

MANY_NAMES, MOST_NAMES = 1000, 65_535
"""D8: names of events a product has, as many of properties; an FAQ says the smaller number."""

_MOST_KNOWN = 100_000


class Forecaster:
    """Counts one run's plans. `tracker` keeps its sites apart from others' in the ledger."""

    def __init__(self, counts: Counts, tracker: str) -> None:
        self._counts = counts
        self._tracker = tracker
        self._names: defaultdict[str, dict[str, set[str]]] = defaultdict(
            lambda: {"event": set(), "property": set()}
        )
        self._sites: dict[str, str] = {}
        self._last: tuple[str, str, Properties] = ("", "", ())
        self._doers: dict[tuple[str, str], str] = {}
        self._people: dict[bytes, str] = {}

    def site(self, name: str) -> str:
        """Return what a site is called in the counts."""
        return self._sites.get(name) or self._sites.setdefault(name, f"{self._tracker} {name}")

    def take(self, sequence: Sequence, plan: RowPlan) -> list[Finding]:
        """Count a row's calls; return what is found in them."""
        found: list[tuple[str, str, str]] = []
        for call in sequence.calls:
            if type(call) is Record and self._doers.get((call.site, call.event)) not in (call.persona, ""):
                self._cross(call, found)
        for planned in plan.planned:
            call = planned.call
            site = self.site(call.site)
            too_many = self._counts.gain(site, call.persona, planned.known.person, planned.gain)
            if not isinstance(call, Alias):
                self._count(planned, call, found)
                if too_many:
                    _tell_instances(too_many, call, found)
        row = plan.row
        return [Finding(code, message, row.source, row.line, who) for code, message, who in found]

    def _cross(self, call: Record, found: list[tuple[str, str, str]]) -> None:
        """Tell, once, of an event that two personas of one site do: people and accounts mix in reports."""
        if len(self._doers) > _MOST_KNOWN:
            self._doers.clear()
        first = self._doers.setdefault((call.site, call.event), call.persona)
        if first != call.persona:
            self._doers[call.site, call.event] = ""
            said = f"{call.event!r} is done by {first} and {call.persona}: reports count both as people"
            found.append(("crossover", said, call.event))

    def _count(self, planned: PlannedCall, call: Record | Set, found: list[tuple[str, str, str]]) -> None:
        """Count a call: whose it is, and its names."""
        person = planned.known.person
        if planned.gain.people and (said := self._spelled(person, call)):
            found.append(("alike-ids", said, _who(call)))
        last = (call.site, call.event, call.properties)
        if last != self._last:  # two personas mostly do the same
            self._last = last
            self._look_at_names(call, found)

    def _look_at_names(self, call: Record | Set, found: list[tuple[str, str, str]]) -> None:
        known = self._names[call.site]
        if call.event not in known["event"]:
            self._name(call.site, "event", call.event, found)
        for name, _ in call.properties:
            if name not in known["property"]:
                self._name(call.site, "property", name, found)

    def _name(self, site: str, kind: str, name: str, found: list[tuple[str, str, str]]) -> None:
        """Count a name that is new in this run (D8)."""
        known = self._names[site][kind]
        if len(known) > _MOST_KNOWN:
            known.clear()
        known.add(name)
        count = self._counts.named(self.site(site), kind, digest(8, fold_name(name))) if name else 0
        if count > MANY_NAMES:
            limit = f"{MOST_NAMES:,}" + (f" (an FAQ says {MANY_NAMES:,})" if count <= MOST_NAMES else "")
            said = f"{name!r} is {kind} name number {count:,}; a product has at most {limit}"
            found.append(("D8", said, ""))

    def _spelled(self, person: bytes, call: Record | Set) -> str:
        """Tell of an identity that differs from another only in case or Unicode form: perhaps the same."""
        alike = digest(8, self._tracker, call.site, spelling(call.identity))
        if len(self._people) > _MOST_KNOWN:
            self._people.clear()
        other = self._people.setdefault(alike, call.identity)
        if not self._counts.spelled(alike, person):
            return ""
        before = repr(other) if other != call.identity else "one before"
        return f"the {call.persona} {call.identity!r} differs from {before} only in case or Unicode form"


def _who(call: Record | Set) -> str:
    return f"{call.persona} {call.identity!r}"


def _tell_instances(
    too_many: list[tuple[bytes, int]], call: Record | Set, found: list[tuple[str, str, str]]
) -> None:
    """Tell of each event and property of which Kissmetrics drops the earliest now (D7)."""
    names = {digest(4, fold_name(name)): name for name, _ in call.properties}
    for mark, number in too_many:
        is_event = is_event_name(mark)
        code, kind = ("D7", "event") if is_event else ("D7-property", "value")
        who = f"{_who(call)}, {call.event if is_event else names[mark[-4:]]!r}"
        kept = f"Kissmetrics keeps the last {MOST_INSTANCES:,} by their time and drops the earliest"
        found.append((code, f"{who}: {kind} number {number:,}; {kept}", who))
