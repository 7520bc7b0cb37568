"""The protocols by which stages use one another, as arguments: no stage imports another."""

from __future__ import annotations

from collections import abc
from typing import Protocol, runtime_checkable

from km_cli.model import (
    Answer,
    ChangedCall,
    KnownCall,
    KnownRow,
    KnownValue,
    Overlap,
    Owner,
    PlannedCall,
    Properties,
    RowPlan,
    Slot,
    Wired,
)


class Values(Protocol):
    """The values of properties that are set when they change. `key` is the person and the property's name."""

    @property
    def is_empty(self) -> bool:
        """Whether no value was ever sent because it changed."""
        ...

    def until(self, key: bytes, moment: int) -> abc.Iterator[KnownValue]:
        """Yield the values that were sent from rows of this moment or of earlier ones, the latest first."""
        ...

    def after(self, key: bytes, moment: int) -> KnownValue | None:
        """Return the earliest value that was sent from a row of a later moment."""
        ...

    def put(self, key: bytes, value: KnownValue) -> None:
        """Keep a value, in place of the one with the same moment and place."""
        ...

    def forget(self, key: bytes, second: int, taken: int, value: bytes) -> None:
        """Forget the value of a refused call: `second` is that of its row, and it was sent with `taken`.

        `value` are the first 4 bytes of its digest.
        """
        ...


class Slots(Protocol):
    """All that planning asks of the ledger. Changes are seen at once, and become durable with the batch."""

    refused: int
    """How many calls were taken out again because their destination refused them."""

    @property
    def values(self) -> Values:
        """The values of properties that are set when they change."""
        ...

    def slot(self, person: bytes, second: int) -> Slot:
        """Return the slot, an empty one if the person has no call in that second."""
        ...

    def put(self, person: bytes, second: int, slot: Slot) -> None:
        """Replace the slot."""
        ...

    def slot_of_id(self, event_id: bytes) -> tuple[bytes, int] | None:
        """Return person and second of the slot that keeps the call with this id."""
        ...

    def keep_id(self, event_id: bytes, person: bytes, second: int) -> None:
        """Remember which slot keeps the call with this id."""
        ...

    def keep_row(self, row: KnownRow) -> int:
        """Keep the columns of a row that calls are planned from; return its number, which is 1 or more."""
        ...

    def row(self, number: int) -> KnownRow | None:
        """Return the row with this number."""
        ...

    def owner(self, person: bytes) -> Owner | None:
        """Return the owner of a person, None if Kissmetrics does not have that person yet."""
        ...

    def set_owner(self, person: bytes, owner: Owner) -> None:
        """Remember the owner of a person, in place of the one before."""
        ...

    def is_leader(self, person: bytes) -> bool:
        """Tell whether an alias made another person part of this one."""
        ...

    def keep_changed(self, reading: int, known_call: KnownCall, changed: ChangedCall) -> None:
        """Keep the call of a row that this reading took for `known_call` with changed values."""
        ...

    def take_changed(self, reading: int, known_call: KnownCall) -> ChangedCall | None:
        """Return and forget the call that was kept for this reading and `known_call`, if there is one."""
        ...


class OtherReadings(Protocol):
    """All that planning asks about the current reading (`own`) and another one that has a call."""

    def overlap(self, own: int, other: int) -> Overlap:
        """Return the meaning of a row whose deed the other reading has with other values."""
        ...

    def is_passed_over(self, own: int, other: int) -> bool:
        """Tell whether `--as-new` forbids matching rows with the calls that the other reading sent."""
        ...

    def has_ids(self, own: int) -> bool:
        """Tell whether the rows of the current reading have ids of the log's own."""
        ...

    def is_read_again(self, own: int, other: int, line: int) -> bool:
        """Tell whether the other reading has read this very line. Such a line always repeats."""
        ...

    def of_same_bytes(self, own: int) -> abc.Sequence[int]:
        """Return the other readings that have read exactly the bytes that `own` has read."""
        ...

    def differing(self, own: int, columns: bytes, known: KnownRow) -> list[str]:
        """Return the columns of both logs in which two rows differ; none if the rows are alike.

        `columns` are those of the current row, as in its RowFingerprint.
        """
        ...

    def has_other_form(self, own: int, other: int) -> bool:
        """Tell whether one of two logs has a column as one text, and the other has its members as columns."""
        ...

    def place(self, known: KnownRow) -> str:
        """Return the place of a row, for a message."""
        ...

    def cells(self, known: KnownRow) -> Properties:
        """Return the columns of a row as they were sent, or none if its file cannot be read again."""
        ...


class Counts(Protocol):
    """All that the forecast asks of the ledger about earlier runs. Durable as slots are."""

    def count_gains(
        self, tracker: str, plans: abc.Sequence[RowPlan]
    ) -> abc.Mapping[tuple[int, int], abc.Sequence[tuple[bytes, int]]]:
        """Count the gains of the calls of a batch, which are all in the slots.

        Return the key and the number of each instance that is one too many (D7), by the place of the row and
        that of the call in its row. For each of them Kissmetrics drops the earliest instance.
        """
        ...

    def is_spelled_alike(self, spelling: bytes, person: bytes) -> bool:
        """Tell whether another person's identity has this spelling; if not, remember this person's."""
        ...

    def count_name(self, site: str, kind: str, name: bytes) -> int:
        """Count the name of an event or property. Return how many the site has; 0 if it had this one."""
        ...


class Connection(Protocol):
    """One worker's connection to a destination."""

    def send(self, planned_calls: abc.Sequence[PlannedCall]) -> Answer:
        """Send these calls, at most the destination's `at_once`. The answer is for all of them."""
        ...

    def close(self) -> None:
        """Close sockets and files."""
        ...


class Destination(Protocol):
    """A place that calls are sent to: a pure `encode`, and connections that send the encoded bytes."""

    at_once: int
    """How many calls one `send` takes."""

    workers: int
    """The largest number of connections that makes sense."""

    def encode(self, call: Wired, second: int) -> bytes:
        """Return the call's final bytes but for the key. The same arguments always give the same bytes."""
        ...

    def connect(self) -> Connection:
        """Open a connection for one worker."""
        ...


class Transfers(Protocol):
    """Many requests at once, driven by one thread."""

    def start(self, planned_call: PlannedCall) -> None:
        """Begin to send a call."""
        ...

    def step(self, wait: float) -> list[tuple[int, Answer]]:
        """Wait up to `wait` seconds for answers; return them with the numbers of their calls.

        Raises Exhausted if this machine has no more files.
        """
        ...

    def wake(self) -> None:
        """Let `step` return early. The only method that another thread may call."""
        ...

    def close(self) -> None:
        """Close all connections, whatever is in flight."""
        ...


@runtime_checkable
class ManyAtOnce(Destination, Protocol):
    """A destination that one thread can send many requests to at once."""

    def transfers(self, most: int) -> Transfers:
        """Return the transfers, at most `most` at a time. Raises TransportError if they cannot be used."""
        ...


class Clock(Protocol):
    """The time, passed in so that tests need not wait."""

    def now(self) -> float:
        """Return seconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start; they never go back."""
        ...
