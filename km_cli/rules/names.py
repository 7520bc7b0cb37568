"""Rules about the names of events and properties (D4, D8)."""

from __future__ import annotations

import re
import unicodedata

from km_cli.kissmetrics import first_invisible, fold_name, is_blank, is_set_by_kissmetrics
from km_cli.rules.base import About, Example, Name, NameRule, Severity, log

_LONGEST_SHOWN = 60


def _fold(name: Name) -> str:
    return fold_name(name.text)


def _is_folded(name: Name, earlier: tuple[str, ...]) -> str:
    if earlier:
        return f"the {name.kind} {name.text!r} is the same to Kissmetrics as {earlier[0]!r}"
    if "," in name.text or ":" in name.text:
        folded = name.text.replace(",", " ").replace(":", " ")
        return f"the {name.kind} {name.text!r} becomes {folded!r}"
    return ""


FOLDED = NameRule(
    About(
        "D4",
        Severity.CHANGED,
        "Kissmetrics changes this name: commas and colons become spaces, and capital letters do not count.",
        "Nothing, if the changed name is fine. Otherwise rename the event or the column.",
        "technical-limitations, specifications",
        Example(log("09:00:00Z,ada,Acme,Saved: draft"), log("09:00:00Z,ada,Acme,Saved draft")),
        disagreement="An older page changes commas and colons in identities too.",
    ),
    _is_folded,
    _fold,
)


def _has_invisible(name: Name, _earlier: tuple[str, ...]) -> str:
    shown = name.text[:_LONGEST_SHOWN]
    if is_blank(name.text):
        return f"the {name.kind} {shown!r} has nothing but blanks in its name"
    at, character = first_invisible(name.text)
    return f"the {name.kind} {shown!r} has an invisible character ({character}) at {at}" if at else ""


INVISIBLE = NameRule(
    About(
        "invisible-name",
        Severity.CHANGED,
        "A name has an invisible character or a line break: it looks like another name, and is not.",
        "Take the character out of the name of the event or the column.",
        "specifications",
        Example(
            log("09:00:00Z,ada,Acme,Signed\u200b Up"),
            log("09:00:00Z,ada,Acme,Signed Up"),
        ),
    ),
    _has_invisible,
)


def _spelling(name: Name) -> str:
    """Return the name in the Unicode form in which names that look alike are the same."""
    # Nearly all names are ASCII, which has only one form.
    return fold_name(name.text if name.text.isascii() else unicodedata.normalize("NFKC", name.text))


def _differs_in_form(name: Name, earlier: tuple[str, ...]) -> str:
    if not earlier or fold_name(earlier[0]) == fold_name(name.text):  # D4 reports those that fold to one
        return ""
    return f"the {name.kind} {name.text!r} differs from {earlier[0]!r} only in Unicode form"


ALIKE = NameRule(
    About(
        "alike-names",
        Severity.CHANGED,
        "Two names look the same but are stored differently (such as an é): reports list both.",
        "Write the name in one way in the log, preferably in Unicode's form NFC.",
        "specifications",
        Example(
            log("09:00:00Z,ada,Acme,Paid,1,2", more="caf\u00e9,cafe\u0301"),
            log("09:00:00Z,ada,Acme,Paid,1,2", more="caf\u00e9,cafe"),
        ),
    ),
    _differs_in_form,
    _spelling,
)


def _is_set_by_kissmetrics(name: Name, _earlier: tuple[str, ...]) -> str:
    if name.kind == "property" and is_set_by_kissmetrics(name.text):
        return f"Kissmetrics sets the property {name.text!r} itself"
    return ""


SET_BY_KISSMETRICS = NameRule(
    About(
        "set-by-kissmetrics",
        Severity.MERGED,
        "Kissmetrics sets this property itself: its values and those of the log mix.",
        "Rename the column, or leave it out with --exclude-property NAME.",
        "people-events-properties, url, channel-definition",
        Example(
            log("09:00:00Z,ada,Acme,Visited,a.example", more="Referrer"),
            log("09:00:00Z,ada,Acme,Visited,a.example", more="Referred By"),
        ),
    ),
    _is_set_by_kissmetrics,
)


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
_FEW = 2
"""This many events that differ by a code are fine: "Form 1040 Sent" may be the only one."""


def _without_code(name: Name) -> str:
    """Return the name of an event with its codes taken out; "" if it has none, or a URL."""
    if name.kind != "event" or _URL.search(name.text):
        return ""
    pattern = _CODE.sub("#", name.text)
    return "" if pattern == name.text else pattern


def _uses_up_names(name: Name, earlier: tuple[str, ...]) -> str:
    if name.kind != "event":
        return ""
    if _URL.search(name.text):
        return f"the event {name.text[:_LONGEST_SHOWN]!r} has a URL in it"
    if len(earlier) >= _FEW:
        return f"the event {name.text[:_LONGEST_SHOWN]!r} differs from others by a number or a code only"
    return ""


ODD = NameRule(
    About(
        "D8-name",
        Severity.LOST,
        "Event names have URLs, numbers or codes in them: each is a new name, and their number is limited.",
        "Give events a general name, such as Viewed Page, and send the part that differs as a property.",
        "technical-limitations, faq",
        Example(
            log(*(f"09:00:0{n}Z,ada,Acme,Bought SKU-4821{n}" for n in range(3))),
            log(*(f"09:00:0{n}Z,ada,Acme,Bought SKU-4821{n}" for n in range(2))),
        ),
    ),
    _uses_up_names,
    _without_code,
)
