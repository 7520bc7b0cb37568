"""Rules about the names of events and properties. Each name is told of once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from km_cli.model import Event
from km_cli.names import fold_name, is_set_by_kissmetrics
from km_cli.rules.base import About


class FoldedNames:
    """D4: commas and colons in names become spaces, and upper is lower case."""

    about: ClassVar[About] = About(
        "D4",
        "names with commas or colons (they become spaces), or two that become one",
        "rename the column or the event, or leave it as it is if the folded name is fine",
        "technical-limitations, specifications",
    )

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = {"event": set(), "property": set()}
        self._first: dict[tuple[str, str], str] = {}

    def look(self, event: Event) -> Iterator[str]:
        """Yield the event's name and its properties' if they are folded."""
        if event.name not in self._seen["event"]:
            yield from self._of(event.name, "event")
        for name, _ in event.properties:
            if name not in self._seen["property"]:
                yield from self._of(name, "property")

    def _of(self, name: str, kind: str) -> Iterator[str]:
        first = self._first.get((kind, fold_name(name)), name)
        if len(self._seen[kind]) < 100_000:
            self._seen[kind].add(name)
            self._first.setdefault((kind, fold_name(name)), name)
        if first != name:
            yield f"the {kind} {name!r} is the same to Kissmetrics as {first!r}"
        elif "," in name or ":" in name:
            folded = name.replace(",", " ").replace(":", " ")
            yield f"the {kind} {name!r} is filed as {folded!r}"


class NamesOfKissmetrics:
    """Properties that Kissmetrics itself sets: the log's values mix with its own."""

    about: ClassVar[About] = About(
        "set-by-kissmetrics",
        "a property that Kissmetrics itself sets: the values mix",
        "rename the column, or leave it out with --exclude-property",
        "people-events-properties, url, channel-definition",
    )

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def look(self, event: Event) -> Iterator[str]:
        """Yield the names of such properties."""
        for name, _ in event.properties:
            if name in self._seen:
                continue
            if len(self._seen) < 100_000:
                self._seen.add(name)
            if is_set_by_kissmetrics(name):
                yield f"the property {name!r} is one that Kissmetrics sets itself"
