"""The digests by which calls are known: who did what when, and with which properties."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from km_cli.model import Properties, Record
from km_cli.names import fold_identity, fold_name

_LONGEST_KEPT = 200
"""Characters of a property value whose digest is kept: long ones seldom repeat, and fill memory."""


class Print(NamedTuple):
    """A call's digests, before a second is chosen for it."""

    person: bytes
    identity: bytes
    second: int
    deed: bytes
    alike: bytes
    event: bytes
    pairs: bytes
    id: bytes


class Prints:
    """Makes the digests of calls, each repeated part once.

    person 8 bytes: tracker, site and identity, as the strictest page folds it (D4). identity 4: as it is
    written. event 4: the folded name; it is compared within one person's second only. deed 8: identity,
    actor, event and exact moment. alike 8: all properties, in any order. pairs: 4 bytes of name and 4 of
    value for each property. id 8: tracker, site, persona and the log's own id.
    """

    def __init__(self, tracker: str) -> None:
        self._tracker = tracker
        self._persons: dict[tuple[str, str], tuple[bytes, bytes]] = {}
        self._events: dict[str, tuple[bytes, str]] = {}
        self._pairs: dict[tuple[str, str], tuple[bytes, bytes]] = {}
        self._last: tuple[Properties | None, bytes, bytes] = (None, b"", b"")

    def of(self, call: Record) -> Print:
        """Return the digests of `call`."""
        person, identity = self._persons.get((call.site, call.identity)) or self._person(call)
        event, folded = self._events.get(call.event) or self._event(call.event)
        done = f"{call.identity}\0{call.actor}\0{folded}\0{call.moment}"
        deed = blake2b(done.encode(), digest_size=8).digest()
        if self._last[0] is not call.properties:
            self._last = (call.properties, *self._of_properties(call.properties))
        _, alike, pairs = self._last
        event_id = _digest(8, self._tracker, call.site, call.persona, call.id) if call.id else b""
        return Print(person, identity, call.second, deed, alike, event, pairs, event_id)

    def _person(self, call: Record) -> tuple[bytes, bytes]:
        if len(self._persons) > 100_000:
            self._persons.clear()
        person = _digest(8, self._tracker, call.site, fold_identity(call.identity))
        made = self._persons[call.site, call.identity] = (person, _digest(4, call.identity))
        return made

    def _event(self, name: str) -> tuple[bytes, str]:
        if len(self._events) > 100_000:
            self._events.clear()
        folded = fold_name(name)
        event = self._events[name] = (_digest(4, folded), folded)
        return event

    def _of_properties(self, properties: Properties) -> tuple[bytes, bytes]:
        known = self._pairs
        if len(known) > 100_000:
            known.clear()
        found = [known.get(pair) or self._pair(pair) for pair in properties]
        wholes = sorted([whole for _, whole in found])
        return blake2b(b"".join(wholes), digest_size=8).digest(), b"".join([pair for pair, _ in found])

    def _pair(self, pair: tuple[str, str]) -> tuple[bytes, bytes]:
        name = fold_name(pair[0])
        whole = _digest(8, name, pair[1])
        made = (_digest(4, name) + whole[:4], whole)
        if len(pair[1]) <= _LONGEST_KEPT:
            self._pairs[pair] = made
        return made


def _digest(size: int, *parts: str) -> bytes:
    return blake2b("\0".join(parts).encode(), digest_size=size).digest()
