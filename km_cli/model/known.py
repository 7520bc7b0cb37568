"""The rows, calls and people that the ledger knows, each by its digests.

A *slot* is one person's one second in one site. Planning reads and changes slots, the ledger keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

NO_EVENT = b"\0\0\0\0"
"""The event digest of a call that records no event."""


class RowFingerprint(NamedTuple):
    """The digests by which a row is known: one for each of its columns that is not blank, and their sum.

    `columns` has 8 bytes for each column: 4 of its name, then 4 of name and value. `total` is the sum of the
    columns' digests, 8 bytes: rows that are alike in every column have the same total, and a blank column
    counts like an absent one.
    """

    total: bytes = b""
    columns: bytes = b""


class KnownRow(NamedTuple):
    """A row that calls were planned from: its place, and the `columns` of its fingerprint."""

    reading: int
    line: int
    columns: bytes


class Overlap(Enum):
    """The meaning of a row whose deed another reading has with other values (promise 5).

    ASK: km-cli cannot know which, so the row is rejected. REPEATS: it is the same event, changed since.
    SEPARATE: it is another event.
    """

    ASK = "ask"
    REPEATS = "repeats"
    SEPARATE = "separate"


class Claim(NamedTuple):
    """One reading's claim on a known call: a row of that reading is this call.

    `line` is that row's line (0: not known). `has_id` if the row has an id of the log's own. `total` is the
    row's fingerprint if it differs from that of the row that the call was sent from, else b"".

    `changed` if the row was *taken for changed*: it has the call's deed and other values, and the readings
    repeat each other (Overlap.REPEATS). That is a guess. If a later row of the reading is exactly the call's,
    that row gets the claim, and the first row is decided anew.
    """

    reading: int
    has_id: bool
    total: bytes = b""
    line: int = 0
    changed: bool = False


class KnownCall(NamedTuple):
    """A call as the ledger knows it: who did what when, and the second that it has in Kissmetrics.

    `person` and `second` (the call's own) say in which slot it is kept; `taken` is the second that it is
    sent with. `deed`, `event`, `pairs` and `id` are digests: of the deed, the folded event, each property
    (name and value) and the log's own id. `planning.fingerprints` makes them. `total` is the fingerprint of
    its row, and `row` the number under which the ledger keeps that row's columns. A call from a ledger of
    format 2 has no row (0): its `total` digests the properties that were sent.

    `claims` has one claim for each reading that has a row of this call, the latest last. The first claim is
    that of the reading that the call was sent from, unless that reading has claimed the call again since.
    """

    person: bytes
    second: int
    taken: int
    deed: bytes
    total: bytes
    event: bytes
    pairs: bytes
    id: bytes
    claims: tuple[Claim, ...]
    row: int = 0

    @property
    def totals(self) -> tuple[bytes, ...]:
        """The fingerprints of all rows of this call, that of the row that it was sent from first."""
        return (self.total, *(claim.total for claim in self.claims if claim.total))

    def claim_of(self, reading: int) -> Claim | None:
        """Return the claim of a reading, None if that reading has no row of this call."""
        for claim in self.claims:
            if claim.reading == reading:
                return claim
        return None


class Owner(NamedTuple):
    """The persona and the identity that a person in Kissmetrics belongs to.

    `identity` is a digest of the identity as it is written: two spellings may be one person (D4). `leader` is
    the person that an alias made this one part of, or b"".
    """

    persona: str
    identity: bytes
    leader: bytes = b""


class KnownValue(NamedTuple):
    """A value of one property of a person, as the ledger knows it: it was sent, and these rows have it.

    `moment` is that of the row that it was sent from, and `first` and `last` are those of the first and of
    the last row that have it, in nanoseconds since 1970. `place` orders the values of one moment. `taken` is
    the second that it was sent with. `value` is a digest of name and value: 8 bytes, or 4 if it comes from a
    ledger of format 4.
    """

    moment: int
    place: int
    first: int
    last: int
    taken: int
    value: bytes


class MovedCall(NamedTuple):
    """A call that was moved to this second from its own. Here only its event and its properties matter."""

    event: bytes
    pairs: bytes


class Gain(NamedTuple):
    """The part of a call that is new to Kissmetrics: a person, the event, and properties.

    `event` is a digest, NO_EVENT if the person has the event in that second already. `names` are the digests
    of the properties that have no value there yet, 4 bytes each. `people` is -1 for an alias that makes one
    person of two.
    """

    people: int = 0
    event: bytes = NO_EVENT
    names: bytes = b""


class Slot(NamedTuple):
    """One person's one second in one site: the calls whose own second it is, and the calls moved here."""

    known: tuple[KnownCall, ...] = ()
    moved: tuple[MovedCall, ...] = ()

    def standing(self, second: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield event and pairs of each call that is sent with this second, not of those moved away."""
        yield from self.moved
        for known_call in self.known:
            if known_call.taken == second:
                yield known_call.event, known_call.pairs

    def held(self, second: int) -> tuple[set[bytes], set[bytes]]:
        """Return the digests of the events and of the property names that the person has in this second."""
        standing = list(self.standing(second))
        events = {event for event, _ in standing if event != NO_EVENT}
        return events, {name for _, pairs in standing for name, _ in split_pairs(pairs)}

    def gain(self, event: bytes, pairs: bytes, second: int) -> Gain:
        """Return the part of a call that the calls of this second do not have."""
        events, known = self.held(second)
        names = dict.fromkeys(name for name, _ in split_pairs(pairs) if name not in known)
        return Gain(0, NO_EVENT if event in events else event, b"".join(names))


def split_pairs(pairs: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the digests of name and value of each property, 4 bytes each."""
    for at in range(0, len(pairs), 8):
        yield pairs[at : at + 4], pairs[at + 4 : at + 8]
