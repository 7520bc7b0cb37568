"""What the API says of a fact: what happened to the call, and what to do about it."""

from __future__ import annotations

from typing import Final, NamedTuple

from km_cli.rules import about_code


class Words(NamedTuple):
    """A sentence on what Kissmetrics does, and one on the cure."""

    said: str
    cure: str


_D1: Final = Words(
    "The same person did the same event in the same second: Kissmetrics counts it once.",
    "Send the later one with a second of its own. km-cli import does that by itself.",
)
_ARRIVED: Final[dict[str, Words]] = {
    "D1": _D1,
    "D2": Words(
        "A property got two values for one person in one second: Kissmetrics keeps one of them.",
        "Send the later value with a second of its own. km-cli import does that by itself.",
    ),
    "D5": Words(
        "A value is too long, or is JSON, an amount with a currency sign, or a number such as 007: "
        "Kissmetrics drops or changes it.",
        "Send a shorter value, the number alone, or plain text.",
    ),
    "D6": Words(
        "The time is before 2009 or is no time: Kissmetrics does not keep the call.",
        "Send the time in whole seconds since 1970, as _t with _d=1.",
    ),
    "D8": Words(
        "There are more names of events or properties than Kissmetrics can hold: it drops the rest.",
        "Give events a general name, such as Viewed Page, and send the part that differs as a property.",
    ),
    "I1": Words(
        "The identity is a placeholder for many people: Kissmetrics makes one person of them for good.",
        "Send the identity of the person, or do not send the call.",
    ),
    "I2": Words(
        "An alias made one person of two, for good.",
        "Nothing, if they are the same. Never alias a user to an account: it cannot be undone.",
    ),
    "W2": Words(
        "The call lacks a parameter that it needs, or its time is none: Kissmetrics does not keep it.",
        "Send _k (key), _p (person), _n (event name, or the other identity of an alias), and _t in whole "
        "seconds up to the year 9999.",
    ),
    "W3": Words(
        "Kissmetrics answers this call with 200 and an image, and does not keep it.",
        "Correct the call; the detail says which part is wrong.",
    ),
    "repeat": Words(
        "The same call came again: Kissmetrics counts it once.",
        "Nothing: a call that is sent again after a lost answer does no harm.",
    ),
}


_TOO_LONG: Final = Words(
    "A name or an identity has more characters than Kissmetrics takes: it does not keep that part.",
    "Shorten it: names have fewer than 255 characters, identities 255 at most.",
)
_ONE_NAME: Final = Words(
    "Two spellings of a name are one to Kissmetrics: capital letters, commas and colons do not count.",
    "Spell the name in one way.",
)
_D4: Final = {"dropped": _TOO_LONG, "merged": _ONE_NAME}


def words_of(rule: str, what: str) -> Words:
    """Return the sentences on a rule; those of `km-cli rules` where they fit a call that arrived."""
    if rule == "D4" and what in _D4:
        return _D4[what]
    if rule in _ARRIVED:
        return _ARRIVED[rule]
    about = about_code(rule)
    return Words(about.meaning, about.cure)
