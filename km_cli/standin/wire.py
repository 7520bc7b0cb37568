"""Decodes requests as Kissmetrics does: a call that can be kept becomes a Hit, any other becomes Ignored."""

from functools import lru_cache
from typing import Final, Literal, NamedTuple, cast
from urllib.parse import unquote

Kind = Literal["e", "s", "a"]

LONGEST_NAME: Final = 255  # D4, in characters; identities too
LARGEST_VALUE: Final = 8192  # D5, in bytes of UTF-8
EARLIEST: Final = 1_230_768_000  # D6: 2009-01-01T00:00:00Z
LATEST: Final = 253_402_300_799  # the end of the year 9999


class Hit(NamedTuple):
    """A call that can be kept.

    `person` is folded (D4). `name` is the event's name as sent; of an alias it is the other identity, folded,
    and of a set it is "". `second` is None if the time of arrival counts. `properties` are in the order sent,
    with their names as sent, and a name may come twice. `dropped` has a reason for each property that could
    not be kept, and `dropped_names` its name. `changed` are the identities, as sent, that D4 changed.
    """

    kind: Kind
    product: str
    person: str
    name: str
    second: int | None
    properties: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...]
    dropped_names: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class Ignored(NamedTuple):
    """A call that is answered with 200 like any other, and then dropped (W3)."""

    reason: str


class _WrongError(Exception):
    """A parameter makes the call useless; the message is the reason."""


def decode(path: str, body: bytes = b"") -> Hit | Ignored:
    """Decode a request. `path` has the query, `body` is an urlencoded form or empty. It never raises."""
    kind, text = _split(path, body)
    if kind not in ("e", "s", "a"):
        return Ignored("no such call")
    special, properties, dropped = _parameters(text)
    try:
        return _hit(cast(Kind, kind), special, tuple(properties), dropped)
    except _WrongError as wrong:
        return Ignored(str(wrong))


def all_parameters(path: str, body: bytes = b"") -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the key of a request, and all other parameters as they were sent. It never raises."""
    _, text = _split(path, body)
    pairs = [part.partition("=")[::2] for part in filter(None, text.replace("+", " ").split("&"))]
    parameters = [(unquote(name), unquote(value)) for name, value in pairs]
    key = next((value for name, value in reversed(parameters) if name == "_k"), "")
    return key, tuple(pair for pair in parameters if pair[0] != "_k")


def _split(path: str, body: bytes) -> tuple[str, str]:
    """Return the last part of a path, and the query and the form as one text."""
    if not path.isascii():  # a lone surrogate can be neither sent nor stored
        path = path.encode("utf-8", "replace").decode()
    call, _, text = path.partition("?")
    if body:
        text = f"{text}&{body.decode('utf-8', 'replace')}"
    return call.rpartition("/")[2], text


def fold(text: str) -> str:
    """Return the text with spaces for commas and colons (D4). Case stays, since identities differ by it."""
    return text.replace(",", " ").replace(":", " ")


def _hit(
    kind: Kind,
    special: dict[str, str],
    properties: tuple[tuple[str, str], ...],
    dropped: list[tuple[str, str]],
) -> Hit:
    product = special.get("_k", "")
    if not product.strip():
        raise _WrongError("no key")
    sent = special.get("_p", "")
    person = _identity(sent, "person")
    changed: tuple[str, ...] = () if sent == person else (sent,)
    if kind == "a":
        # Order and time of an alias do not matter (I2), and it carries no properties.
        sent = special.get("_n", "")
        other = _identity(sent, "other identity")
        changed += () if sent == other else (sent,)
        return Hit(kind, product, person, other, None, (), (), (), changed)
    name = _event(special.get("_n", "")) if kind == "e" else ""
    second = _second(special.get("_t", "")) if special.get("_d") == "1" else None  # W2
    if not dropped:
        return Hit(kind, product, person, name, second, properties, (), (), changed)
    reasons, names = zip(*dropped, strict=True)
    return Hit(kind, product, person, name, second, properties, reasons, names, changed)


def _identity(text: str, what: str) -> str:
    folded = fold(text)
    if not folded.strip():
        raise _WrongError(f"no {what}")
    if len(folded) > LONGEST_NAME:
        raise _WrongError(f"{what} over {LONGEST_NAME} characters")
    return folded


def _event(text: str) -> str:
    if not fold(text).strip():
        raise _WrongError("no event name")
    if len(text) > LONGEST_NAME:
        raise _WrongError(f"event name over {LONGEST_NAME} characters")
    return text


def _second(text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise _WrongError("time not an integer")
    if text != digits or (len(digits) < 20 and int(digits) < EARLIEST):
        raise _WrongError("time before 2009")  # D6
    if len(digits) >= 20 or int(digits) > LATEST:
        raise _WrongError("time after 9999")
    return int(digits)


def _parameters(text: str) -> tuple[dict[str, str], list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the reserved parameters (the later of two), the properties, and why which were dropped."""
    special: dict[str, str] = {}
    properties: list[tuple[str, str]] = []
    dropped: list[tuple[str, str]] = []
    for part in filter(None, text.replace("+", " ").split("&")):  # a real plus is sent as %2B (W4)
        name, _, value = part.partition("=")
        if "%" in name:
            name = _unquote_short(name)
        if "%" in value:
            value = _unquote_short(value) if len(value) < LONGEST_NAME else unquote(value)
        if name[:1] == "_":
            special[name] = value
        elif (
            len(part) <= LONGEST_NAME and name[:1].isalnum()
        ):  # nearly all properties: there is nothing to check
            properties.append((name, value))
        elif reason := _unfit(name, value):
            dropped.append((reason, name))
        else:
            properties.append((name, value))
    return special, properties, dropped


def _unfit(name: str, value: str) -> str:
    """Return why a property cannot be kept; "" if it can."""
    if len(name) > LONGEST_NAME:
        return f"property name over {LONGEST_NAME} characters"
    if len(value.encode()) > LARGEST_VALUE:
        return f"value over {LARGEST_VALUE} bytes"
    return "" if fold(name).strip() else "no property name"


# Names and identities come again and again. Long texts hardly do, and would fill the memory.
_unquote_short = lru_cache(maxsize=1 << 14)(unquote)
