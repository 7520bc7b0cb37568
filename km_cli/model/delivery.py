"""Calls that are on their way, and the answers to them."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from km_cli.model.calls import NO_SECOND, part_on_wire
from km_cli.model.known import SlotReference

_EVENT = re.compile(rb"/e\?_p=[^&]*&_n=([^&]*)")
"""The beginning of the bytes of a call that records an event."""


class OutboxCall(NamedTuple):
    """One call in the outbox: its final bytes but for the key, and the reference to undo it if it is
    rejected.

    `number` and `row` are its keys in the ledger. The calls of one row have the same `row`.
    """

    number: int
    row: int
    site: str
    persona: str
    payload: bytes
    reference: SlotReference

    @property
    def part(self) -> str:
        """The name of its part of the row in a reject, as `part_of` returns it."""
        return part_on_wire(self.persona, self.payload)

    @property
    def event(self) -> str:
        """The name of the event that it records, "" if it records none."""
        found = _EVENT.match(self.payload)
        return unquote_to_bytes(found[1]).decode() if found else ""

    @property
    def is_alias(self) -> bool:
        """Whether it is an alias. It waits until the calls that make it visible are acknowledged (I3)."""
        return self.reference.second == NO_SECOND


class Outcome(Enum):
    """The result of sending a call."""

    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    PENDING = "pending"


class Receipt(NamedTuple):
    """The outcome of one call; `reason` is the destination's, in words for people."""

    call: OutboxCall
    outcome: Outcome
    reason: str = ""


class AnswerKind(Enum):
    """The meaning of a destination's answer for the call. How long to wait is up to the shared policy."""

    ACKNOWLEDGED = "acknowledged"
    """The destination keeps the call for certain."""
    REJECTED = "rejected"
    """The destination will never take this call; it may take others."""
    RETRY = "retry"
    """The call may get through later: the destination is busy or broken, or the answer was cut off."""
    UNREACHED = "unreached"
    """No connection: the call was not sent. As RETRY, but a run that reaches nothing ends soon."""
    NOT_AN_IMAGE = "not an image"
    """Another machine answered in the destination's place. As RETRY, but the third in a row ends the run."""
    REFUSED = "refused"
    """No call can get through until a person has changed something. The run ends at once."""


class Answer(NamedTuple):
    """A destination's answer, classified.

    `retry_after` is the shortest wait in seconds, for all workers. `hint` says what to do about the answer,
    if that is known. `is_overload` if the destination gets more calls at once than it can take.
    """

    kind: AnswerKind
    reason: str = ""
    retry_after: float = 0.0
    hint: str = ""
    is_overload: bool = False
