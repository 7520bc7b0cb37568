"""The forecast of what Kissmetrics will hold, and the limits that only many rows, files or runs reach.

It follows planning, and so sees only calls that are to be sent. The ledger has the counts of earlier runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Listed

from km_cli.kissmetrics import MOST_INSTANCES, fold_name
from km_cli.memory import Remembered
from km_cli.model import (
    Alias,
    Finding,
    Properties,
    Record,
    RowPlan,
    Sequence,
    Set,
    is_event_key,
)
from km_cli.planning.decision import name_person
from km_cli.planning.digests import digest
from km_cli.planning.keyed import digest_spelling
from km_cli.protocols import Counts

MANY_NAMES, MOST_NAMES = 1000, 65_535
"""D8: how many event names, and as many property names, a product has; an FAQ says the smaller number."""

_MOST_REMEMBERED = 100_000
_SEVERAL = ""
"""Stands for the persona of an event that several personas do. Such an event was reported."""

Found = list[tuple[str, str, str]]
"""Findings of a row: code, message, and the person or thing that each concerns."""


class _Site:
    """A site as the counts know it, and the names of events and properties that this run has counted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.events: Remembered[str, bool] = Remembered(_MOST_REMEMBERED)
        self.properties: Remembered[str, bool] = Remembered(_MOST_REMEMBERED)
        self.checked: Properties = ()
        """The properties of the last call."""


class Forecaster:
    """Counts the plans of one run. `tracker` keeps its sites apart from those of other trackers.

    `secret` keys the digests of spellings, b"" for bare ones.
    """

    def __init__(self, counts: Counts, tracker: str, secret: bytes = b"") -> None:
        self._counts = counts
        self._secret = secret
        self._tracker = tracker
        self._sites: dict[str, _Site] = {}
        self._crossovers = Crossovers()
        self._spellings: Remembered[bytes, str] = Remembered(_MOST_REMEMBERED)

    def site(self, name: str) -> str:
        """Return the name that the counts have for a site."""
        return self._site(name).name

    def _site(self, name: str) -> _Site:
        return self._sites.get(name) or self._sites.setdefault(name, _Site(f"{self._tracker} {name}"))

    def take(self, sequences: Listed[Sequence | None], plans: Listed[RowPlan]) -> dict[int, list[Finding]]:
        """Count the calls of a batch; return the findings about each of its rows that has any.

        `sequences` has an entry for each plan, None if the row has no calls.
        """
        too_many = self._counts.count_gains(self._tracker, plans)
        all_found: dict[int, list[Finding]] = {}
        for row, (sequence, plan) in enumerate(zip(sequences, plans, strict=True)):
            found: Found = []
            for call in sequence.calls if sequence else ():
                if type(call) is Record and (
                    message := self._crossovers.check(call.site, call.persona, call.event)
                ):
                    found.append(("crossover", message, call.event))
            for at, call in enumerate(plan.calls):
                if not isinstance(call, Alias):
                    self._check(call, plan, at, found)
                    if (row, at) in too_many:
                        note_instances(too_many[row, at], call, found)
            if found:
                source, line = plan.row.source, plan.row.line
                all_found[row] = [Finding(code, message, source, line, who) for code, message, who in found]
        return all_found

    def _check(self, call: Record | Set, plan: RowPlan, at: int, found: Found) -> None:
        """Note findings about a call's identity, if that is new, and about its names."""
        if plan.gains[at].people and (message := self._check_spelling(plan.planned[at].person, call)):
            found.append(("alike-ids", message, name_person(call)))
        site, properties = self._site(call.site), call.properties
        if call.event not in site.events:
            site.events.remember(call.event, True)
            self._count_name(site.name, "event", call.event, found)
        if site.checked is not properties:  # the personas of a row mostly share their properties
            site.checked = properties
            for name, _ in properties:
                if name not in site.properties:
                    site.properties.remember(name, True)
                    self._count_name(site.name, "property", name, found)

    def _count_name(self, site: str, kind: str, name: str, found: Found) -> None:
        """Count a name that is new in this run (D8)."""
        count = self._counts.count_name(site, kind, digest(8, fold_name(name))) if name else 0
        if message := many_names(kind, name, count):
            found.append(("D8", message, ""))

    def _check_spelling(self, person: bytes, call: Record | Set) -> str:
        """Return a message, or "", about an identity that differs only in case or Unicode form."""
        spelling = digest_spelling(self._tracker, call.site, call.identity, self._secret)
        other = self._spellings.get(spelling) or self._spellings.remember(spelling, call.identity)
        if not self._counts.is_spelled_alike(spelling, person):
            return ""
        return alike_ids(call.persona, call.identity, other)


class Crossovers:
    """The personas that do each event. In a log with very many names, one may be reported again."""

    def __init__(self) -> None:
        self._personas: Remembered[tuple[str, str], str] = Remembered(_MOST_REMEMBERED)
        self._done: Remembered[tuple[str, str, str], bool] = Remembered(_MOST_REMEMBERED)
        """The events that were checked, by site and persona."""

    def check(self, site: str, persona: str, event: str) -> str:
        """Return a message, once, if two personas of a site do an event: reports would mix them; else ""."""
        if (site, persona, event) in self._done:
            return ""
        self._done.remember((site, persona, event), True)
        first = self._personas.get((site, event))
        if first is None:
            self._personas.remember((site, event), persona)
        elif first not in (persona, _SEVERAL):
            self._personas[site, event] = _SEVERAL
            return f"{event!r} is done by {first} and {persona}: reports count both as people"
        return ""


def many_names(kind: str, name: str, count: int) -> str:
    """Return a message if a site has too many names with this one (D8), else "". `count` is their number."""
    if count <= MANY_NAMES:
        return ""
    limit = f"{MOST_NAMES:,}" + (f" (an FAQ says {MANY_NAMES:,})" if count <= MOST_NAMES else "")
    return f"{name!r} is {kind} name number {count:,}; a product has at most {limit}"


def alike_ids(persona: str, identity: str, other: str) -> str:
    """Return the message about an identity that has the spelling of another person's.

    `other` is the first identity with that spelling in this run.
    """
    earlier = repr(other) if other != identity else "an earlier one"
    return f"the {persona} {identity!r} differs from {earlier} only in case or Unicode form"


def note_instances(too_many: Iterable[tuple[bytes, int]], call: Record | Set, found: Found) -> None:
    """Report each event and property whose earliest instance Kissmetrics drops now (D7)."""
    names = {digest(4, fold_name(name)): name for name, _ in call.properties}
    for key, number in too_many:
        is_event = is_event_key(key)
        code, kind = ("D7", "event") if is_event else ("D7-property", "value")
        who = f"{name_person(call)}, {call.event if is_event else names[key[-4:]]!r}"
        kept = f"Kissmetrics keeps the last {MOST_INSTANCES:,} by their time and drops the earliest"
        found.append((code, f"{who}: {kind} number {number:,}; {kept}", who))
