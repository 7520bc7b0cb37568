"""The frozen values that flow through the pipeline; the protocols between its stages are in `protocols`.

    Row ─► Event ─► Sequence of calls ─► Row plan ─► Planned calls, in a Batch ─► Receipts

All are named tuples: immutable, cheap to make by the million, equal by value. There is one module for each
subject, in the order of the pipeline: rows, events, calls, known, counts, plans, delivery.
"""

from __future__ import annotations

from km_cli.model.calls import (
    NANOSECONDS,
    NO_SECOND,
    Alias,
    Call,
    Identify,
    Record,
    Sequence,
    Set,
    Timed,
    Wired,
    part_of,
)
from km_cli.model.counts import Forecast, Held, held_keys, instance_keys, is_event_key
from km_cli.model.delivery import Answer, AnswerKind, Outcome, Receipt, Trouble
from km_cli.model.events import Event, Persona, PersonaPart
from km_cli.model.known import (
    NO_EVENT,
    Claim,
    Gain,
    KnownCall,
    KnownRow,
    KnownValue,
    MovedCall,
    Overlap,
    Owner,
    RowFingerprint,
    Slot,
    split_pairs,
)
from km_cli.model.plans import ChangedCall, PlannedCall, RowPlan
from km_cli.model.rows import Finding, Gap, Origin, Properties, Reject, Row

__all__ = [
    "NANOSECONDS",
    "NO_EVENT",
    "NO_SECOND",
    "Alias",
    "Answer",
    "AnswerKind",
    "Call",
    "ChangedCall",
    "Claim",
    "Event",
    "Finding",
    "Forecast",
    "Gain",
    "Gap",
    "Held",
    "Identify",
    "KnownCall",
    "KnownRow",
    "KnownValue",
    "MovedCall",
    "Origin",
    "Outcome",
    "Overlap",
    "Owner",
    "Persona",
    "PersonaPart",
    "PlannedCall",
    "Properties",
    "Receipt",
    "Record",
    "Reject",
    "Row",
    "RowFingerprint",
    "RowPlan",
    "Sequence",
    "Set",
    "Slot",
    "Timed",
    "Trouble",
    "Wired",
    "held_keys",
    "instance_keys",
    "is_event_key",
    "part_of",
    "split_pairs",
]
