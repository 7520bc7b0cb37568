"""Rules about the names of events and properties. Each name is told of once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import ClassVar

from km_cli.kissmetrics import first_invisible, fold_name, is_blank, is_set_by_kissmetrics
from km_cli.model import Event
from km_cli.rules.base import About, Example, Severity, log

_MOST_KNOWN = 100_000


class _EachName:
    """Judges each name of an event and of a property once."""

    def __init__(self, judge: Callable[[str, str], str]) -> None:
        """`judge` returns a message, "" for none, of a name and its kind: `event` or `property`."""
        self._judge = judge
        self._seen: dict[str, set[str]] = {"event": set(), "property": set()}

    def of(self, event: Event) -> Iterator[tuple[str, str]]:
        """Yield what is to be said of the names of an event that are new, and which they are."""
        if event.name not in self._seen["event"]:
            yield from self._new(event.name, "event")
        for name, _ in event.properties:
            if name not in self._seen["property"]:
                yield from self._new(name, "property")

    def _new(self, name: str, kind: str) -> Iterator[tuple[str, str]]:
        if len(self._seen[kind]) < _MOST_KNOWN:
            self._seen[kind].add(name)
        if said := self._judge(name, kind):
            yield said, name


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
        self._first: dict[tuple[str, str], str] = {}
        self.look = _EachName(self._judge).of

    def _judge(self, name: str, kind: str) -> str:
        if len(self._first) < _MOST_KNOWN:
            self._first.setdefault((kind, fold_name(name)), name)
        first = self._first.get((kind, fold_name(name)), name)
        if first != name:
            return f"the {kind} {name!r} is the same to Kissmetrics as {first!r}"
        if "," in name or ":" in name:
            folded = name.replace(",", " ").replace(":", " ")
            return f"the {kind} {name!r} is filed as {folded!r}"
        return ""


class InvisibleInNames:
    """Two names that differ by a character that nobody sees are two, and look like one in every report."""

    about: ClassVar[About] = About(
        "invisible-name",
        Severity.CHANGES,
        "a name of an event or a property with a line break or an invisible character in it",
        "take it out of the column's or the event's name; Kissmetrics has it as another name than without",
        "specifications",
        Example(
            log("09:00:00Z,ada,Acme,Signed\u200b Up"),
            log("09:00:00Z,ada,Acme,Signed Up"),
        ),
    )

    def __init__(self) -> None:
        self.look = _EachName(self._judge).of

    @staticmethod
    def _judge(name: str, kind: str) -> str:
        at, character = first_invisible(name)
        if is_blank(name):
            return f"the {kind} {name[:60]!r} has nothing but blanks in its name"
        if not at:
            return ""
        return f"the {kind} {name[:60]!r} has an invisible character ({character}) at {at}"


class AlikeNames:
    """Two names that differ only in how their characters are put together are two, and look like one."""

    about: ClassVar[About] = About(
        "alike-names",
        Severity.CHANGES,
        "a name that differs from another only in Unicode form: two events or properties, perhaps one",
        "write the name in one way, as the form NFC",
        "specifications",
        Example(
            log("09:00:00Z,ada,Acme,Paid,1,2", more="caf\u00e9,cafe\u0301"),
            log("09:00:00Z,ada,Acme,Paid,1,2", more="caf\u00e9,cafe"),
        ),
    )

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], str] = {}
        self.look = _EachName(self._judge).of

    def _judge(self, name: str, kind: str) -> str:
        # Nearly all names are ASCII, which has one form.
        spelled = name if name.isascii() else unicodedata.normalize("NFKC", name)
        if len(self._first) < _MOST_KNOWN:
            self._first.setdefault((kind, fold_name(spelled)), name)
        first = self._first.get((kind, fold_name(spelled)), name)
        if fold_name(first) == fold_name(name):  # then D4 tells of it
            return ""
        return f"the {kind} {name!r} differs from {first!r} only in Unicode form"


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


_URL = re.compile(
    r"https?://|www\.|(?:^|\s)/\w[\w.-]*/|\.(html?|php|aspx?)\b|[?&]\w+=",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"(?<![a-z0-9])(?:"
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # a UUID
    r"|[a-z]{2,}[-_]\d{2,}|0x[0-9a-f]+"  # an SKU, an error code
    r"|(?=\d*[a-z])(?=(?:[a-z]*\d){2})[a-z0-9]{5,}"  # letters and digits: E1001, B08N5WRWNW, an id
    r"|(?!(?:19|20)\d\d(?!\d))\d{4,}"  # a number that is no year
    r")(?![a-z0-9])",
    re.IGNORECASE,
)
_FIRST_TOLD = 3
_MOST_SHAPES = 10_000


class OddNames:
    """D8: a product has so many names of events; URLs, SKUs and error codes use them up.

    A URL is told of at once. One name with a number or a code in it may be all there is, as "Form 1040 Sent":
    names are told of from the third on that differ by it alone.
    """

    about: ClassVar[About] = About(
        "D8-name",
        Severity.DROPS,
        "an event's name with a URL in it, or three that differ by an SKU or a code: they use up the names",
        "name the kind of event, and send what differs as a property",
        "technical-limitations, faq",
        Example(
            log(*(f"09:00:0{n}Z,ada,Acme,Bought SKU-4821{n}" for n in range(3))),
            log(*(f"09:00:0{n}Z,ada,Acme,Bought SKU-4821{n}" for n in range(2))),
        ),
    )

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._shapes: dict[str, int] = {}

    def look(self, event: Event) -> Iterator[tuple[str, str]]:
        """Yield the event's name if it is such, once."""
        name = event.name
        if name in self._seen:
            return
        if is_counted := len(self._seen) < 100_000:
            self._seen.add(name)
        if _URL.search(name):
            yield f"the event {name[:60]!r} has a URL in it", name
            return
        format_options = _CODE.sub("#", name)
        if format_options != name and self._is_often(format_options, is_counted=is_counted):
            yield f"the event {name[:60]!r} differs from others by a number or a code only", name

    def _is_often(self, format_options: str, *, is_counted: bool) -> bool:
        """Count a new name of a shape; tell whether so many have it that it is told of."""
        names = self._shapes.get(format_options, 0)
        if is_counted and names < _FIRST_TOLD and (names or len(self._shapes) < _MOST_SHAPES):
            names = self._shapes[format_options] = names + 1
        return names == _FIRST_TOLD
