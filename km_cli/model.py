"""The frozen values that flow through the pipeline; the protocols between its stages are in `protocols`.

    Row ─► Event ─► Sequence of Calls ─► Plan ─► Parcels, in a Batch ─► Receipts

Everything here is a named tuple: immutable, cheap to make by the million, equal by value.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

NANOSECONDS = 1_000_000_000

Properties = tuple[tuple[str, str], ...]
"""(name, value) pairs in the order of the input's columns; a name occurs once."""


class Origin(NamedTuple):
    """Where a corrected reject comes from.

    `reading` is its reading's token; `owed` the parts that are still to be sent (empty: all), see `part_of`;
    `columns` and `delimiter` tell how its raw is read ("" as delimiter: as a JSON object).
    """

    reading: str
    owed: tuple[str, ...]
    columns: tuple[str, ...]
    delimiter: str


class Row(NamedTuple):
    """One record of an input, with its place.

    `values` is a list of cells (CSV) or an object (JSON lines). `raw` are the record's own bytes with
    the blank lines that stood before it, so that the raws of a reading, joined, are its bytes.
    `line` counts from 1. A corrected reject has an `origin`.
    """

    source: str
    line: int
    raw: bytes
    values: Any
    origin: Origin | None = None


class Gap(NamedTuple):
    """Bytes that belong to no record of their own: the rest of a line too long to hold."""

    raw: bytes


class Finding(NamedTuple):
    """What Kissmetrics would merge, change or drop, or what was decided so that it does not.

    `who` is whom or what it is about, for the worst offenders.
    """

    code: str
    message: str
    source: str
    line: int
    who: str = ""


class Reject(NamedTuple):
    """A row, or the parts of it that are `owed` (empty: all of it), that is not sent, and why."""

    row: Row
    code: str
    reason: str
    owed: tuple[str, ...] = ()


class Persona(NamedTuple):
    """A kind of identity that events are recorded as, and the site it is recorded in.

    `events` are those it may do, None for all: pairs of an event and what it is called for this persona,
    "" to call it as `rename` says ({event} stands for the name in the log). `link` are pairs of a property
    and the persona whose identity it holds. `prefix` stands before every identity.

    `column`, `alias`, `properties` and `sets` name columns: of its identity ("": recognise it), of another
    identity of the same person, of what its records carry (None: what everybody's carry), and of what is
    set once for each of its identities.
    """

    name: str
    site: str
    events: tuple[tuple[str, str], ...] | None = None
    rename: str = "{event}"
    link: tuple[tuple[str, str], ...] = ()
    prefix: str = ""
    column: str = ""
    alias: str = ""
    properties: tuple[str, ...] | None = None
    sets: tuple[str, ...] = ()

    @property
    def is_recorded(self) -> bool:
        """Whether anything is ever sent for it; one that is not may still be a property of others."""
        return bool(self.events != () or self.sets or self.alias)


class PersonaPart(NamedTuple):
    """What of an event is one persona's: its identity ("" if the row has none), and what goes with it.

    `properties` are its record's, `sets` are to be set once, `alias` is another identity of the same person.
    """

    identity: str
    properties: Properties
    sets: Properties = ()
    alias: str = ""


class Event(NamedTuple):
    """A row understood.

    `parts` has one a persona, in their order. `moment` counts nanoseconds since 1970, `id` is the log's
    own id of the event or "". `properties` are all that some persona's part is taken from. `cells` are all
    columns of the row that are not blank, sent or not, but for those that are ignored: what tells one row
    from another (promise 5). `is_date` if its time says no time of day.
    """

    row: Row
    parts: tuple[PersonaPart, ...]
    name: str
    moment: int
    properties: Properties
    id: str
    cells: Properties = ()
    is_date: bool = False


class Identify(NamedTuple):
    """From here on the person is `identity`. Not a call on the wire: there it rides along (W9)."""

    persona: str
    identity: str


class Record(NamedTuple):
    """`identity` did `event`. It carries its own site and identity, whatever stands around it."""

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
        """The moment as the wire has it: whole UTC seconds since 1970, floored (W2)."""
        return self.moment // NANOSECONDS


class Set(NamedTuple):
    """`identity` has these properties: written once, when it is first seen (`/s`, W1)."""

    site: str
    persona: str
    identity: str
    actor: str
    moment: int
    properties: Properties

    @property
    def second(self) -> int:
        """The moment as the wire has it, as for a Record."""
        return self.moment // NANOSECONDS

    @property
    def event(self) -> str:
        """Blank: nothing was done."""
        return ""


class Alias(NamedTuple):
    """`identity` and `other` are one person, for good (`/a`, I2)."""

    site: str
    persona: str
    identity: str
    other: str


Timed = Record | Set
"""Calls that stand in a second."""

Wired = Record | Set | Alias
"""Calls that go on the wire."""

Call = Identify | Wired

_PARTS: dict[type, str] = {Set: ".set", Alias: ".alias"}
_PARTS_BY_PATH = {b"/s": ".set", b"/a": ".alias"}


def part_of(call: Wired) -> str:
    """Return what a reject calls this part of a row: `account` its record, `account.set`, `account.alias`."""
    return call.persona + _PARTS.get(type(call), "")


NO_SECOND = 0
"""The second of an alias, which stands in none; nothing that has one is so old (D6)."""


class Sequence(NamedTuple):
    """The calls that one row becomes; it ends on the identity it began with.

    `cells` are the row's columns, as an Event has them.
    """

    row: Row
    calls: tuple[Call, ...]
    cells: Properties = ()


class RowFingerprint(NamedTuple):
    """What a row is known by: a digest of each of its columns that is not blank, and their sum.

    `columns` has 8 bytes a column: 4 of its name and 4 of name and value. `total` is the sum of all columns'
    digests, 8 bytes: rows that are alike in every column have the same, and blank equals absent.
    """

    total: bytes = b""
    columns: bytes = b""


class KnownRow(NamedTuple):
    """A row of which calls were planned: its place, and its fingerprint's `columns`."""

    reading: int
    line: int
    columns: bytes


class Overlap(Enum):
    """What a row is whose deed another reading has with other values (promise 5).

    ASK: nobody knows, the row is rejected. REPEATS: the same event, changed since. SEPARATE: another event.
    """

    ASK = "ask"
    REPEATS = "repeats"
    SEPARATE = "separate"


class Claim(NamedTuple):
    """A reading that holds a call, and the `line` that it stands in there (0: not known).

    `named` if the call has an id of its own there; `total` is its row's there if it is another than the
    call was sent from, else b"". `changed` if the row differs in a column that both readings have.
    """

    reading: int
    named: bool
    total: bytes = b""
    line: int = 0
    changed: bool = False


class KnownCall(NamedTuple):
    """A call as the ledger knows it: who did what when, and the second it has in Kissmetrics.

    `person` and `second` (the call's own) say which slot it is filed in, `taken` is the second it is
    sent with. `deed`, `event`, `pairs` and `id` are digests (see `prints`): what was done, the folded
    event, each property (name and value), the log's own id. `total` is its row's fingerprint, and `row`
    the number under which the ledger keeps that row's columns. A call from a ledger of format 2 has no row
    (0): its `total` digests the properties that were sent. `claims` are of the readings that hold this call,
    the latest last.
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
        """The fingerprints of all rows that this call is known from, the one it was sent from first."""
        return (self.total, *(claim.total for claim in self.claims if claim.total))

    def claim_of(self, reading: int) -> Claim | None:
        """Return the claim of a reading that holds this call."""
        for claim in self.claims:
            if claim.reading == reading:
                return claim
        return None


class SlotReference(NamedTuple):
    """What finds a filed call in the ledger again, should its destination reject it.

    That of an alias has NO_SECOND, and the other person as its deed.
    """

    person: bytes
    second: int
    taken: int
    deed: bytes
    total: bytes


class Owner(NamedTuple):
    """Whose a person in Kissmetrics is: the persona, and a digest of the identity as it is written.

    `leader` is the person that this one was made one with by an alias, b"" if there is none.
    """

    persona: str
    identity: bytes
    leader: bytes = b""


class MovedCall(NamedTuple):
    """A call of another second that was moved to this one, and takes its place here."""

    event: bytes
    pairs: bytes


NO_EVENT = b"\0\0\0\0"
"""Stands where a call has no event."""


class Gain(NamedTuple):
    """What is new in Kissmetrics once it has a call: people, and what was not in that second before.

    `event` and `names` are digests: of the event (NO_EVENT if it adds none), and of each property that has
    no value there yet, 4 bytes each.
    """

    people: int = 0
    event: bytes = NO_EVENT
    names: bytes = b""


class Held(NamedTuple):
    """How much Kissmetrics holds: people, events, property values."""

    people: int = 0
    events: int = 0
    properties: int = 0


def instance_names(person: bytes, gain: Gain) -> list[bytes]:
    """Return what new instances are counted under (D7): each property's, and the event's at the end."""
    names = gain.names
    marks = [person + names[at : at + 4] for at in range(0, len(names), 4)]
    if gain.event != NO_EVENT:
        marks.append(person + b"event" + gain.event)
    return marks


def is_event_name(mark: bytes) -> bool:
    """Tell whether instances are of an event; of a property they end on the digest of its name."""
    return len(mark) > _PROPERTY_MARK


_PROPERTY_MARK = 12
"""Bytes: the person's digest and the name's."""


class Slot(NamedTuple):
    """One person's one second in one site: the calls filed here, and the guests moved here."""

    known: tuple[KnownCall, ...] = ()
    moved: tuple[MovedCall, ...] = ()

    def standing(self, second: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield event and pairs of all that stands in this second, moved here or not moved away."""
        yield from self.moved
        for known_call in self.known:
            if known_call.taken == second:
                yield known_call.event, known_call.pairs

    def more(self, event: bytes, pairs: bytes, second: int) -> Gain:
        """Return what a call adds to all that stands in this second."""
        standing = list(self.standing(second))
        known = {name for _, others in standing for name, _ in split_pairs(others)}
        names = dict.fromkeys(name for name, _ in split_pairs(pairs) if name not in known)
        is_new = all(event != other for other, _ in standing)
        return Gain(0, event if is_new else NO_EVENT, b"".join(names))


def split_pairs(pairs: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the digests of name and value of each property, 4 bytes each."""
    for at in range(0, len(pairs), 8):
        yield pairs[at : at + 4], pairs[at + 4 : at + 8]


class PlannedCall(NamedTuple):
    """A call that is to be sent, with the second chosen for it and the row it comes from."""

    row: Row
    call: Wired
    known: KnownCall
    gain: Gain = Gain()


class RowPlan(NamedTuple):
    """What is to be done with one row."""

    row: Row
    planned: tuple[PlannedCall, ...] = ()
    rejects: tuple[Reject, ...] = ()
    findings: tuple[Finding, ...] = ()


class OutboxCall(NamedTuple):
    """One call in the outbox: its final bytes but for the key, and what undoes it if it is rejected.

    `number` and `row` are its keys in the ledger; `row` is shared by the calls of one row.
    """

    number: int
    row: int
    site: str
    persona: str
    payload: bytes
    reference: SlotReference

    @property
    def part(self) -> str:
        """What a reject calls this part of its row, as `part_of` does."""
        return self.persona + _PARTS_BY_PATH.get(self.payload[:2], "")

    @property
    def is_alias(self) -> bool:
        """Whether it is an alias, which waits until what makes it visible is acknowledged (I3)."""
        return self.reference.second == NO_SECOND


class Outcome(Enum):
    """What became of a parcel."""

    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    PENDING = "pending"


class Receipt(NamedTuple):
    """What became of one parcel; `reason` is the destination's, for people."""

    call: OutboxCall
    outcome: Outcome
    reason: str = ""


class AnswerKind(Enum):
    """The meaning of a destination's answer for a call. The shared policy decides how long to wait."""

    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    RETRY = "retry"
    UNREACHED = "unreached"
    NOT_AN_IMAGE = "not an image"
    REFUSED = "refused"


class Answer(NamedTuple):
    """A destination's answer, classified.

    `retry_after` is a floor in seconds for everyone; `hint` what to do about it, if that is known.
    """

    kind: AnswerKind
    reason: str = ""
    retry_after: float = 0.0
    hint: str = ""
