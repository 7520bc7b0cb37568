"""Rules about the names of events and properties. Each name is told of once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from km_cli.model import Event
from km_cli.names import fold_name, is_set_by_kissmetrics
from km_cli.rules.base import About, Example, Severity, log


class FoldedNames:
    """D4: commas and colons in names become spaces, and upper is lower case."""

    about: ClassVar[About] = About(
        "D4",
        Severity.CHANGES,
        "names with commas or colons (they become spaces), or two that become one",
        "rename the column or the event, or leave it as it is if the folded name is fine",
        "technical-limitations, specifications",
        Example(log("09:00:00Z,ada,Acme,Saved: draft"), log("09:00:00Z,ada,Acme,Saved draft")),
    )

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = {"event": set(), "property": set()}
        self._first: dict[tuple[str, str], str] = {}

    def look(self, event: Event) -> Iterator[tuple[str, str]]:
        """Yield the event's name and its properties' if they are folded."""
        if event.name not in self._seen["event"]:
            yield from self._of(event.name, "event")
        for name, _ in event.properties:
            if name not in self._seen["property"]:
                yield from self._of(name, "property")

    def _of(self, name: str, kind: str) -> Iterator[tuple[str, str]]:
        first = self._first.get((kind, fold_name(name)), name)
        if len(self._seen[kind]) < 100_000:
            self._seen[kind].add(name)
            self._first.setdefault((kind, fold_name(name)), name)
        if first != name:
            yield f"the {kind} {name!r} is the same to Kissmetrics as {first!r}", name
        elif "," in name or ":" in name:
            folded = name.replace(",", " ").replace(":", " ")
            yield f"the {kind} {name!r} is filed as {folded!r}", name


class NamesOfKissmetrics:
    """Properties that Kissmetrics itself sets: the log's values mix with its own."""

    about: ClassVar[About] = About(
        "set-by-kissmetrics",
        Severity.MERGES,
        "a property that Kissmetrics itself sets: the values mix",
        "rename the column, or leave it out with --exclude-property",
        "people-events-properties, url, channel-definition",
        Example(
            log("09:00:00Z,ada,Acme,Visited,a.example", more="Referrer"),
            log("09:00:00Z,ada,Acme,Visited,a.example", more="Referred By"),
        ),
    )

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def look(self, event: Event) -> Iterator[tuple[str, str]]:
        """Yield the names of such properties."""
        for name, _ in event.properties:
            if name in self._seen:
                continue
            if len(self._seen) < 100_000:
                self._seen.add(name)
            if is_set_by_kissmetrics(name):
                yield f"the property {name!r} is one that Kissmetrics sets itself", name


_ODD = re.compile(
    r"https?://|www\.|(?:^|\s)/\w[\w.-]*/|\.(html?|php|aspx?)\b|[?&]\w+="  # a URL
    r"|\b[0-9a-f]{8}-[0-9a-f]{4}-|\b(?=\w*\d)[0-9a-f]{16,}\b"  # an id
    r"|\b\d{4,}\b(?<!\b(?:19|20)\d\d)|\b[A-Z]{2,}[-_]\d{2,}|\b0x[0-9a-f]+",  # a SKU, an error code
    re.IGNORECASE,
)


class OddNames:
    """D8: a product has so many names of events; URLs, SKUs and error codes use them up."""

    about: ClassVar[About] = About(
        "D8-name",
        Severity.DROPS,
        "an event's name with a URL, an SKU or an error code in it: such names are never enough",
        "name the kind of event, and send what differs as a property",
        "technical-limitations, faq",
        Example(log("09:00:00Z,ada,Acme,Bought SKU-48213"), log("09:00:00Z,ada,Acme,Bought Add-on")),
    )

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def look(self, event: Event) -> Iterator[tuple[str, str]]:
        """Yield the event's name if it is such, once."""
        name = event.name
        if name not in self._seen:
            if len(self._seen) < 100_000:
                self._seen.add(name)
            if _ODD.search(name):
                yield f"the event {name[:60]!r} has a URL, an SKU or a code in it", name
