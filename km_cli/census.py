"""What shows only over many rows, files and runs: instances, names, spellings, what Kissmetrics will hold.

A stage after planning: it sees only what is to be sent. What has to be known of earlier runs is in the
ledger's counts.
"""

from __future__ import annotations

from collections.abc import Iterator

from km_cli.model import Alias, Counts, Finding, Placed, Plan, Record, Sequence, Set
from km_cli.names import fold_name
from km_cli.prints import digest, spelling

MOST_INSTANCES = 1000
"""D7: of each event and each property, per person, that Kissmetrics keeps."""

MANY_NAMES, MOST_NAMES = 1000, 65_535
"""D8: names of events a product has, as many of properties; an FAQ says the smaller number."""

_MOST_KNOWN = 100_000


class Census:
    """Counts one run's plans. `tracker` keeps its sites apart from others' in the ledger."""

    def __init__(self, counts: Counts, tracker: str) -> None:
        self._counts = counts
        self._tracker = tracker
        self._named: set[tuple[str, str, str]] = set()
        self._doers: dict[tuple[str, str], str] = {}
        self._people: dict[bytes, str] = {}

    def site(self, name: str) -> str:
        """Return what a site is called in the counts."""
        return f"{self._tracker} {name}"

    def take(self, sequence: Sequence, plan: Plan) -> Iterator[Finding]:
        """Count a row's calls; yield what is found in them."""
        for call in sequence.calls:
            if type(call) is Record and (found := self._crossover(call)):
                yield Finding("crossover", found, plan.row.source, plan.row.line, call.event)
        for placed in plan.placed:
            if isinstance(placed.call, Alias):
                continue
            for code, message, who in self._look(placed, placed.call):
                yield Finding(code, message, placed.row.source, placed.row.line, who)

    def _crossover(self, call: Record) -> str:
        """Tell, once, of an event that two personas of one site do: people and accounts mix in reports."""
        key = (call.site, call.event)
        first = self._doers.setdefault(key, call.persona)
        if first in (call.persona, ""):
            return ""
        self._doers[key] = ""
        if len(self._doers) > _MOST_KNOWN:
            self._doers.clear()
        return f"{call.event!r} is done by {first} and {call.persona}: reports count both as people"

    def _look(self, placed: Placed, call: Record | Set) -> Iterator[tuple[str, str, str]]:
        self._counts.gain(self.site(call.site), call.persona, placed.news)
        if placed.news.people and (found := self._spelled(placed.filed.person, call)):
            yield "alike-ids", found, f"{call.persona} {call.identity!r}"
        if type(call) is Record:
            yield from self._name(call.site, "event", call.event)
            yield from self._instance(placed.filed.person, b"e" + placed.filed.event, call, call.event)
        pairs = placed.filed.pairs
        for at, (name, _) in enumerate(call.properties):
            yield from self._name(call.site, "property", name)
            mark = b"p" + pairs[8 * at : 8 * at + 4]
            yield from self._instance(placed.filed.person, mark, call, name)

    def _instance(
        self, person: bytes, mark: bytes, call: Record | Set, name: str
    ) -> Iterator[tuple[str, str, str]]:
        count = self._counts.more(person, mark)
        if count > MOST_INSTANCES:
            kind, code = ("event", "D7") if mark[:1] == b"e" else ("property", "D7-property")
            who = f"{call.persona} {call.identity!r}, {name!r}"
            yield (
                code,
                f"{who}: {kind} number {count:,}, of which Kissmetrics keeps the last {MOST_INSTANCES:,}",
                who,
            )

    def _name(self, site: str, kind: str, name: str) -> Iterator[tuple[str, str, str]]:
        if (site, kind, name) in self._named:
            return
        if len(self._named) > _MOST_KNOWN:
            self._named.clear()
        self._named.add((site, kind, name))
        count = self._counts.named(self.site(site), kind, digest(8, fold_name(name)))
        if count > MANY_NAMES:
            limit = (
                f"{MOST_NAMES:,}" if count > MOST_NAMES else f"{MOST_NAMES:,} (an FAQ says {MANY_NAMES:,})"
            )
            yield "D8", f"{name!r} is {kind} name number {count:,}; a product has at most {limit}", ""

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
