"""The decisions on one row."""

from __future__ import annotations

from typing import NamedTuple

from km_cli.model.calls import Wired
from km_cli.model.known import Gain, KnownCall
from km_cli.model.rows import Finding, Reject, Row


class PlannedCall(NamedTuple):
    """A call that is to be sent, with its second (`known.taken`) and the row that it comes from."""

    row: Row
    call: Wired
    known: KnownCall
    gain: Gain = Gain()


class RowPlan(NamedTuple):
    """The decisions on one row: its calls that are to be sent, its rejects and its findings.

    `is_undone` if no persona does its event.
    """

    row: Row
    planned: tuple[PlannedCall, ...] = ()
    rejects: tuple[Reject, ...] = ()
    findings: tuple[Finding, ...] = ()
    is_undone: bool = False
