"""What the stages of the pipeline ask of one another, as arguments: they do not import each other."""

from __future__ import annotations

from collections import abc
from typing import Protocol

from km_cli.model import (
    Answer,
    Gain,
    KnownCall,
    KnownRow,
    OutboxCall,
    Overlap,
    Owner,
    PlannedCall,
    Properties,
    Slot,
    Wired,
)


class Slots(Protocol):
    """What planning asks of the ledger. Changes are seen at once and become durable with the batch."""

    refused: int
    """How many calls were taken out again, because their destination refused them."""

    def slot(self, person: bytes, second: int) -> Slot:
        """Return the slot; an empty one if nothing is known of that person in that second."""
        ...

    def put(self, person: bytes, second: int, slot: Slot) -> None:
        """Replace the slot."""
        ...

    def home(self, event_id: bytes) -> tuple[bytes, int] | None:
        """Return person and second of the slot in which the call with this id is filed."""
        ...

    def file_id(self, event_id: bytes, person: bytes, second: int) -> None:
        """Remember where the call with this id is filed."""
        ...

    def keep_row(self, row: KnownRow) -> int:
        """Keep the columns of a row that calls are planned from; return the number to ask for them by."""
        ...

    def row(self, number: int) -> KnownRow | None:
        """Return the row that was kept under this number."""
        ...

    def owner(self, person: bytes) -> Owner | None:
        """Return who has this person in Kissmetrics already, if anybody."""
        ...

    def own(self, person: bytes, owner: Owner) -> None:
        """Remember whose this person is."""
        ...

    def leads(self, person: bytes) -> bool:
        """Tell whether others were made one with this person by an alias."""
        ...

    def keep_changed(self, reading: int, known_call: KnownCall, changed: PlannedCall) -> None:
        """Keep a call that was taken for `filed` with properties changed meanwhile."""
        ...

    def take_changed(self, reading: int, known_call: KnownCall) -> PlannedCall | None:
        """Return and forget the call that this reading took for `filed`, if there is one."""
        ...


class OtherReadings(Protocol):
    """What planning asks about the reading at hand (`own`) beside another one that holds a call."""

    def overlap(self, own: int, other: int) -> Overlap:
        """Return what a row means whose deed the other reading has with other values."""
        ...

    def is_passed_over(self, own: int, other: int) -> bool:
        """Tell whether nothing is matched with what the other reading sent: `--as-new` was said of it."""
        ...

    def has_ids(self, own: int) -> bool:
        """Tell whether the rows of the reading at hand have ids of the log's own."""
        ...

    def is_read_again(self, own: int, other: int, line: int) -> bool:
        """Tell whether the other reading has read this very line: it always repeats."""
        ...

    def differing(self, own: int, columns: bytes, known: KnownRow) -> list[str]:
        """Return the columns that both logs have and in which these two rows differ; none: they are alike.

        `columns` are those of the row at hand, as a Fingerprint has them.
        """
        ...

    def place(self, known: KnownRow) -> str:
        """Return where a row stands, for people."""
        ...

    def cells(self, known: KnownRow) -> Properties:
        """Return the columns of a row as they were sent, if its file can be read again; else none."""
        ...


class Counts(Protocol):
    """What foresight asks of the ledger about all that was ever planned. Durable as slots are."""

    def gain(self, site: str, persona: str, person: bytes, gain: Gain) -> list[tuple[bytes, int]]:
        """Count what is new with a call to this person.

        Return marks and numbers of those instances that are too many (D7): for each the first is dropped.
        """
        ...

    def spelled(self, alike: bytes, person: bytes) -> bool:
        """Tell whether another person's identity is spelled alike; if not, remember this one's."""
        ...

    def named(self, site: str, kind: str, name: bytes) -> int:
        """Count a name of an event or property if it is new in a site; return how many there are, else 0."""
        ...


class Connection(Protocol):
    """One worker's way to a destination."""

    def send(self, outbox_calls: abc.Sequence[OutboxCall]) -> Answer:
        """Send these (at most the destination's `at_once`); the answer goes for all of them."""
        ...

    def close(self) -> None:
        """Let go of sockets and files."""
        ...


class Destination(Protocol):
    """Where calls go: a pure `encode`, and connections that send what was encoded."""

    at_once: int
    """How many parcels one `send` takes."""

    workers: int
    """How many connections make sense at most."""

    def encode(self, call: Wired, second: int) -> bytes:
        """Return the call's final bytes but for the key; the same for the same arguments, always."""
        ...

    def connect(self) -> Connection:
        """Open a connection for one worker."""
        ...


class Clock(Protocol):
    """Time, passed in so that tests need not wait."""

    def now(self) -> float:
        """Seconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...
