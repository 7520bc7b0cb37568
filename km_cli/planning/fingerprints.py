"""The digests by which rows and calls are known: all columns of a row; who did what when."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple
from unicodedata import normalize

from km_cli.kissmetrics import fold_identity, fold_name
from km_cli.model import NO_EVENT, NO_SECOND, Alias, Owner, Properties, Record, RowFingerprint, Set, Wired

_MOST_TOTAL = 0xFFFF_FFFF_FFFF_FFFF
_LONGEST_KEPT = 200
"""Characters of a property value whose digest is kept: long ones seldom repeat, and fill memory."""


class Fingerprint(NamedTuple):
    """A call's digests, before a second is chosen for it. `other` is the other person of an alias.

    `total` is the fingerprint of the row that a Record comes from, and digests the properties of a Set.
    """

    person: bytes
    identity: bytes
    second: int
    deed: bytes
    total: bytes
    event: bytes
    pairs: bytes
    id: bytes
    other: bytes = b""
    names: bytes = b""
    """The digest of each property's name, 4 bytes each, once for all that Kissmetrics folds to one."""


class Fact(NamedTuple):
    """A property of an identity that is set once: what it is filed under, the deed, and the name there."""

    id: bytes
    deed: bytes
    name: bytes


class Fingerprints:
    """Makes the digests of calls, each repeated part once.

    person 8 bytes: tracker, site and identity, as the strictest page folds it (D4). identity 4: as it is
    written. event 4: the folded name; it is compared within one person's second only. deed 8: identity,
    actor, event and exact moment. total 8: all columns of the row. pairs: 4 bytes of name and 4 of
    value for each property. id 8: tracker, site, persona and the log's own id.
    """

    def __init__(self, tracker: str) -> None:
        self._tracker = tracker
        self._persons: dict[tuple[str, str], tuple[bytes, bytes]] = {}
        self._events: dict[str, tuple[bytes, str]] = {}
        self._pairs: dict[tuple[str, str], tuple[bytes, int]] = {}
        self._names: dict[str, bytes] = {}
        self._last: tuple[Properties | None, bytes, bytes] = (None, b"", b"")

    def of(self, call: Wired, total: bytes = b"") -> Fingerprint:
        """Return the digests of `call`; `total` is the fingerprint of its row."""
        person, identity = self._of_person(call.site, call.identity)
        if type(call) is Set:
            pairs, names = self._of_properties(call.properties)
            whole = self.of_whole(call.properties)
            deed = _deed_of(call)
            return Fingerprint(person, identity, call.second, deed, whole, NO_EVENT, pairs, b"", b"", names)
        if type(call) is Alias:
            other, _ = self._of_person(call.site, call.other)
            return Fingerprint(person, identity, NO_SECOND, other, b"", NO_EVENT, b"", b"", other)
        assert type(call) is Record
        event, folded = self._events.get(call.event) or self._event(call.event)
        done = f"{call.identity}\0{call.actor}\0{folded}\0{call.moment}"
        deed = blake2b(done.encode(), digest_size=8).digest()
        if self._last[0] is not call.properties:
            self._last = (call.properties, *self._of_properties(call.properties))
        _, pairs, names = self._last
        event_id = digest(8, self._tracker, call.site, call.persona, call.id) if call.id else b""
        return Fingerprint(person, identity, call.second, deed, total, event, pairs, event_id, b"", names)

    def of_row(self, cells: Properties) -> RowFingerprint:
        """Return the fingerprint of a row, given its columns that are not blank.

        A sum, so that it does not depend on the order of the columns.
        """
        found = self._all(cells)
        total = sum([whole for _, whole in found]) & _MOST_TOTAL
        return RowFingerprint(total.to_bytes(8), b"".join([pair for pair, _ in found]))

    def of_whole(self, properties: Properties) -> bytes:
        """Return a digest of properties as a whole, in any order: by it format 2 knew what was sent."""
        wholes = sorted([whole.to_bytes(8) for _, whole in self._all(properties)])
        return blake2b(b"".join(wholes), digest_size=8).digest()

    def of_fact(self, call: Set, name: str) -> Fact:
        """Return what a property that is set once for an identity is known by."""
        folded = fold_name(name)
        fact = digest(8, self._tracker, call.site, call.persona, call.identity, "set", folded)
        return Fact(fact, _deed_of(call), digest(4, folded))

    def of_other(self, call: Alias) -> Owner:
        """Return whose the other identity of an alias becomes."""
        person, _ = self._of_person(call.site, call.identity)
        _, other = self._of_person(call.site, call.other)
        return Owner(call.persona, other, person)

    def _of_person(self, site: str, identity: str) -> tuple[bytes, bytes]:
        """Return the digests of a person in a site, and of the identity as it is written."""
        known = self._persons.get((site, identity))
        if known is None:
            if len(self._persons) > 100_000:
                self._persons.clear()
            person = digest(8, self._tracker, site, fold_identity(identity))
            known = self._persons[site, identity] = (person, digest(4, identity))
        return known

    def _event(self, name: str) -> tuple[bytes, str]:
        if len(self._events) > 100_000:
            self._events.clear()
        folded = fold_name(name)
        event = self._events[name] = (digest(4, folded), folded)
        return event

    def _of_properties(self, properties: Properties) -> tuple[bytes, bytes]:
        found = self._all(properties)
        pairs = b"".join([pair for pair, _ in found])
        return pairs, b"".join(dict.fromkeys([pair[:4] for pair, _ in found]))

    def _all(self, pairs: Properties) -> list[tuple[bytes, int]]:
        """Return the digests of pairs of name and value: as they are kept, and as a number to add up."""
        known = self._pairs
        if len(known) > 100_000:
            known.clear()
        return [known.get(pair) or self._pair(pair) for pair in pairs]

    def _pair(self, pair: tuple[str, str]) -> tuple[bytes, int]:
        name, value = pair
        fingerprint = self._names.get(name)
        if fingerprint is None:
            if len(self._names) > 100_000:
                self._names.clear()
            fingerprint = self._names[name] = column_fingerprint(name)
        whole = blake2b(f"{fold_name(name)}\0{value}".encode(), digest_size=8).digest()
        made = (fingerprint + whole[:4], int.from_bytes(whole))
        if len(value) <= _LONGEST_KEPT:
            self._pairs[pair] = made
        return made


def _deed_of(call: Set) -> bytes:
    """Return the deed of setting an identity's properties, whenever that is."""
    return digest(8, call.identity, "set")


def column_fingerprint(name: str) -> bytes:
    """Return the 4 bytes by which a fingerprint names a column."""
    return digest(4, fold_name(name))


def spelling(identity: str) -> str:
    """Return an identity without what people overlook: case, and how its characters are put together."""
    return normalize("NFKC", identity).casefold()


def digest(size: int, *parts: str) -> bytes:
    """Return a digest of so many bytes."""
    return blake2b("\0".join(parts).encode(), digest_size=size).digest()
