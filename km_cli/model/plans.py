"""The decisions on one row, and the calls that they lead to."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from km_cli.model.calls import NO_SECOND, Record, Set, Wired, part_on_wire
from km_cli.model.known import Gain
from km_cli.model.rows import Finding, Reject, Row

_EVENT = re.compile(rb"/e\?_p=[^&]*&_n=([^&]*)")
"""The beginning of the bytes of a call that records an event."""


class PlannedCall(NamedTuple):
    """A call with the second chosen for it (`taken`) and its final bytes but for the key, until its receipt.

    `person`, `second`, `taken`, `deed` and `total` are those of its KnownCall, by which it is found in its
    slot again if the destination rejects it. An alias has NO_SECOND, and the other person as its deed.
    `number` and `row` are its keys in the ledger, 0 until it is durable. The calls of one row have the same
    `row`. A dry run leaves `payload` empty, because nothing reads it.
    """

    site: str
    persona: str
    payload: bytes
    person: bytes
    second: int
    taken: int
    deed: bytes
    total: bytes
    number: int = 0
    row: int = 0

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
        return self.second == NO_SECOND


class ChangedCall(NamedTuple):
    """The call of a row that was taken for a known call with changed values (see Claim).

    `total` is the fingerprint of that row, and `number` the one under which its columns are kept. `sets` are
    properties of the row, which are sent too if the row turns out to be another event.
    """

    row: Row
    call: Record
    total: bytes
    number: int
    sets: tuple[Set, ...] = ()


class RowPlan(NamedTuple):
    """The decisions on one row: its calls that are to be sent, its rejects and its findings.

    `calls` and `gains` have an entry for each planned call: the call before it became bytes, and its part
    that is new to Kissmetrics. So do `rows`, if some of the calls are of earlier rows that were decided anew;
    otherwise it is empty. `reading` is the reading of the row. `is_undone` if no persona does its event.
    """

    row: Row
    planned: tuple[PlannedCall, ...] = ()
    rejects: tuple[Reject, ...] = ()
    findings: tuple[Finding, ...] = ()
    is_undone: bool = False
    calls: tuple[Wired, ...] = ()
    gains: tuple[Gain, ...] = ()
    rows: tuple[Row, ...] = ()
    reading: int = 0
