"""Calls, and the sequence of them that one row becomes."""

from __future__ import annotations

from typing import NamedTuple

from km_cli.model.rows import Properties, Row

NANOSECONDS = 1_000_000_000


class Identify(NamedTuple):
    """The calls that follow belong to `identity`. It is only shown: a call on the wire has its own (W9)."""

    persona: str
    identity: str


class Record(NamedTuple):
    """`identity` did `event`. The call has its own site and identity, so no other call can change them."""

    site: str
    persona: str
    identity: str
    actor: str
    event: str
    moment: int
    properties: Properties
    id: str

    @property
    def second(self) -> int:
        """The moment on the wire: whole UTC seconds since 1970, rounded down (W2)."""
        return self.moment // NANOSECONDS


class Set(NamedTuple):
    """`identity` has these properties (`/s`, W1).

    They are written when the first row has them, and again when a row has another value. If a row does
    nothing but set them, they are `stated`: they are written whenever a row does, at its moment.
    """

    site: str
    persona: str
    identity: str
    actor: str
    moment: int
    properties: Properties
    stated: bool = False

    @property
    def second(self) -> int:
        """The moment on the wire, as for a Record."""
        return self.moment // NANOSECONDS

    @property
    def event(self) -> str:
        """Blank: a Set is no event."""
        return ""


class Alias(NamedTuple):
    """`identity` and `other` are one person, for good (`/a`, I2)."""

    site: str
    persona: str
    identity: str
    other: str


Timed = Record | Set
"""Calls that have a second."""

Wired = Record | Set | Alias
"""Calls that go on the wire."""

Call = Identify | Wired

NO_SECOND = 0
"""The second of an alias, which has none. No other call can have it: data so old is not kept (D6)."""

_PARTS: dict[type, str] = {Set: ".set", Alias: ".alias"}
_PARTS_BY_PATH = {b"/s": ".set", b"/a": ".alias"}


def part_of(call: Wired) -> str:
    """Return the name that a reject has for a call's part of the row, as `account` or `account.set`."""
    return call.persona + _PARTS.get(type(call), "")


def part_on_wire(persona: str, payload: bytes) -> str:
    """Return the same name as `part_of` for a call of which only the bytes are known."""
    return persona + _PARTS_BY_PATH.get(payload[:2], "")


class Sequence(NamedTuple):
    """The calls that one row becomes: those of one persona follow one another.

    `cells` are the row's columns, as in its Event. `actor` is the persona that identity returns to.
    """

    row: Row
    calls: tuple[Wired, ...]
    cells: Properties = ()
    actor: str = ""

    @property
    def shown(self) -> tuple[Call, ...]:
        """The calls with the identities between them. It ends on the actor that it began with."""
        shown: list[Call] = []
        toggles = [Identify(call.persona, call.identity) for call in self.calls]
        for at, call in enumerate(self.calls):
            if not at or toggles[at] != toggles[at - 1]:
                shown.append(toggles[at])
            shown.append(call)
        if self.is_toggled and self.calls[0].persona == self.actor:
            shown.append(toggles[0])
        return tuple(shown)

    @property
    def is_toggled(self) -> bool:
        """Whether calls of more than one persona are among them."""
        return bool(self.calls) and self.calls[0].persona != self.calls[-1].persona
