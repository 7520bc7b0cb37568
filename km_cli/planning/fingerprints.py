"""The digests by which rows and calls are known: of all columns of a row, and of the deed of a call."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple
from unicodedata import normalize

from km_cli.kissmetrics import fold_identity, fold_name
from km_cli.memory import Remembered
from km_cli.model import (
    NANOSECONDS,
    NO_EVENT,
    NO_SECOND,
    Alias,
    Owner,
    Properties,
    Record,
    RowFingerprint,
    Set,
    Wired,
)
from km_cli.model.making import maker
from km_cli.planning.digests import ColumnDigests, column_fingerprint, different_names, digest

_MOST_TOTAL = 0xFFFF_FFFF_FFFF_FFFF
_MOST_REMEMBERED = 100_000
_MOST_PERSONS = 20_000


class CallFingerprint(NamedTuple):
    """A call's digests, before a second is chosen for it.

    `total` is the fingerprint of the row that a Record comes from; that of a Set digests its properties.
    `other` is the other person of an alias. `names` are the digests of the properties' names, 4 bytes each;
    names that Kissmetrics folds to one (D4) are there once.
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


_call_fingerprint, _row_fingerprint = maker(CallFingerprint), maker(RowFingerprint)


class Fingerprints:
    """Makes the digests of rows and calls, and remembers those of the parts that repeat.

    person 8 bytes: tracker, site and identity, as the strictest page folds it (D4). identity 4: as it is
    written. event 4: the folded name; it is compared within one person's second only. deed 8: identity,
    actor, event and exact moment. total 8: all columns of the row. pairs: 4 bytes of name and 4 of
    value for each property. id 8: tracker, site, persona and the log's own id.
    """

    def __init__(self, tracker: str) -> None:
        self._tracker = tracker
        self._persons: Remembered[tuple[str, str], tuple[bytes, bytes]] = Remembered(_MOST_PERSONS)
        self._beginnings: dict[str, blake2b] = {}
        """The digest of tracker and site, by site: that of a person goes on from there."""
        self._events: Remembered[str, tuple[bytes, str]] = Remembered(_MOST_REMEMBERED)
        self._columns = ColumnDigests()
        self._last: tuple[Properties | None, bytes, bytes] = (None, b"", b"")

    def fingerprint_call(self, call: Wired, row_total: bytes = b"") -> CallFingerprint:
        """Return the digests of a call; `row_total` is the fingerprint of its row."""
        person, identity = self.digest_person(call.site, call.identity)
        if type(call) is Set:
            pairs, names = self.digest_pairs(call.properties)
            total = self.digest_properties(call.properties)
            deed = _deed_of_set(call)
            return CallFingerprint(
                person, identity, call.second, deed, total, NO_EVENT, pairs, b"", b"", names
            )
        if type(call) is Alias:
            other, _ = self.digest_person(call.site, call.other)
            return CallFingerprint(person, identity, NO_SECOND, other, b"", NO_EVENT, b"", b"", other)
        assert type(call) is Record
        site, persona, who, actor, name, moment, properties, log_id = call
        event, deed = self.digest_deed(who, actor, name, moment)
        pairs, names = self.digest_pairs(properties)
        event_id = self.digest_id(site, persona, log_id) if log_id else b""
        return _call_fingerprint(
            (person, identity, moment // NANOSECONDS, deed, row_total, event, pairs, event_id, b"", names)
        )

    def digest_id(self, site: str, persona: str, log_id: str) -> bytes:
        """Return the digest of the log's own id of an event."""
        return digest(8, self._tracker, site, persona, log_id)

    def fingerprint_row(self, cells: Properties) -> RowFingerprint:
        """Return the fingerprint of a row, given its columns that are not blank.

        Its total is a sum, so that it does not depend on the order of the columns.
        """
        self._columns.rows += 1
        pairs, total = self._columns.digest(cells)
        return _row_fingerprint(((total & _MOST_TOTAL).to_bytes(8), pairs))

    def digest_properties(self, properties: Properties) -> bytes:
        """Return one digest of all properties, in any order. Ledgers of format 2 know a call by it."""
        numbers = sorted([self._columns[name][value][1].to_bytes(8) for name, value in properties])
        return blake2b(b"".join(numbers), digest_size=8).digest()

    def digest_value(self, name: str, value: str) -> bytes:
        """Return 8 bytes for a property's name and value; the first 4 are those of the value in pairs."""
        return self._columns[name][value][1].to_bytes(8)

    def digest_name(self, name: str) -> bytes:
        """Return the 4 bytes of a property's name, as they stand in pairs."""
        return column_fingerprint(name)

    def id_of_set(self, call: Set, name: str) -> bytes:
        """Return the id by which ledgers of format 4 know that a property was set for an identity."""
        return digest(8, self._tracker, call.site, call.persona, call.identity, "set", fold_name(name))

    def owner_through(self, alias: Alias) -> Owner:
        """Return the owner that an alias gives to its other identity."""
        person, _ = self.digest_person(alias.site, alias.identity)
        _, other = self.digest_person(alias.site, alias.other)
        return Owner(alias.persona, other, person)

    def digest_person(self, site: str, identity: str) -> tuple[bytes, bytes]:
        """Return the digests of a person in a site, and of the identity as it is written."""
        known = self._persons.get((site, identity))
        if known is None:
            known = self._persons.remember((site, identity), self.make_person(site, identity))
        return known

    def make_person(self, site: str, identity: str) -> tuple[bytes, bytes]:
        """Return the same as `digest_person`, which is not remembered here."""
        beginning = self._beginnings.get(site)
        if beginning is None:
            beginning = blake2b(f"{self._tracker}\0{site}\0".encode(), digest_size=8)
            self._beginnings[site] = beginning
        whole = beginning.copy()
        whole.update(fold_identity(identity).encode())
        return whole.digest(), blake2b(identity.encode(), digest_size=4).digest()

    def digest_event(self, name: str) -> bytes:
        """Return the 4 bytes by which a person's second knows an event of this name."""
        return (self._events.get(name) or self._digest_event(name))[0]

    def digest_deed(self, who: str, actor: str, name: str, moment: int) -> tuple[bytes, bytes]:
        """Return the digests of an event's name, and of who did it when."""
        event, folded = self._events.get(name) or self._digest_event(name)
        done = f"{who}\0{actor}\0{folded}\0{moment}"
        return event, blake2b(done.encode(), digest_size=8).digest()

    def _digest_event(self, name: str) -> tuple[bytes, str]:
        folded = fold_name(name)
        return self._events.remember(name, (digest(4, folded), folded))

    def digest_pairs(self, properties: Properties) -> tuple[bytes, bytes]:
        """Return the digests of name and value of each property, and those of the different names."""
        if self._last[0] is not properties:  # the personas of a row mostly share their properties
            pairs, _ = self._columns.digest(properties)
            self._last = (properties, pairs, different_names(pairs))
        return self._last[1:]


def _deed_of_set(call: Set) -> bytes:
    """Return the deed of setting an identity's properties. It has the time only if a row states them."""
    if call.stated:
        return digest(8, call.identity, "stated", str(call.moment))
    return digest(8, call.identity, "set")


def old_deed_of_stated(call: Set) -> bytes:
    """Return the deed that ledgers of format 4 have for a Set that is stated: it lacks the time."""
    return digest(8, call.identity, "stated")


def fold_spelling(identity: str) -> str:
    """Return an identity without the differences that people overlook: case and Unicode form."""
    if identity.isascii():
        return identity.lower()  # the same, and most identities are
    return normalize("NFKC", identity).casefold()
