"""The decisions on one row: its planned calls, its rejects and its findings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from km_cli.model import (
    Alias,
    Claim,
    Finding,
    Gain,
    KnownRow,
    PlannedCall,
    Properties,
    Reject,
    Row,
    RowFingerprint,
    RowPlan,
    Set,
    Timed,
    Wired,
    part_of,
)
from km_cli.model.making import maker
from km_cli.protocols import Slots

_NO_FINGERPRINT = RowFingerprint()
_known_row, _row_plan = maker(KnownRow), maker(RowPlan)


class NotPlanned(Exception):
    """A call cannot be sent, for the reason in `code` and the message."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class RowEvents(NamedTuple):
    """How many events a row has, and how many of them are new; the rest is as in RowDecision."""

    events: int
    new: int
    is_contested: bool = False
    is_changed: bool = False


class RowDecision:
    """Collects the decisions on one row. `reading` is its reading, `line` its line there, 0 if not known.

    `new_people` are those of the row that Kissmetrics does not have before their first call is planned.
    `is_new` if the row has an event and none of its events is known, `is_changed` if one is known, with other
    values, and `is_contested` if one cannot be told from a known one. `is_anew` if the row was taken for a
    known one, and a later row of its reading is that one. `sets` are the properties that are kept with a call
    that is taken for changed. `events` are those of the whole row, as far as they are known.
    """

    __slots__ = (
        "_claims",
        "_displaced",
        "_number",
        "calls",
        "cells",
        "events",
        "findings",
        "gains",
        "is_anew",
        "is_changed",
        "is_contested",
        "is_new",
        "line",
        "new_people",
        "planned",
        "reading",
        "rejects",
        "row",
        "row_fingerprint",
        "sets",
    )

    def __init__(
        self,
        row: Row,
        reading: int,
        row_fingerprint: RowFingerprint = _NO_FINGERPRINT,
        cells: Properties = (),
    ) -> None:
        self.row = row
        self.reading = reading
        self.line = row.line
        self.row_fingerprint = row_fingerprint
        self.cells = cells
        self.new_people: set[bytes] = set()
        self.is_new = False
        self.is_changed = False
        self.is_contested = False
        self.is_anew = False
        self.sets: tuple[Set, ...] = ()
        self.events: RowEvents | None = None
        self._number = 0
        self._claims: tuple[Claim, ...] = ()
        self._displaced: dict[int, Row] = {}
        self.planned: list[PlannedCall] = []
        self.calls: list[Wired] = []
        self.gains: list[Gain] = []
        self.rejects: list[Reject] = []
        self.findings: list[Finding] = []

    @property
    def is_corrected(self) -> bool:
        """Whether the row is a corrected reject of a reading and line that the ledger knows."""
        return self.row.origin is not None and self.line != 0

    def made(self) -> RowPlan:
        """Return the plan of the row."""
        planned, calls, gains = tuple(self.planned), tuple(self.calls), tuple(self.gains)
        rejects, findings = tuple(self.rejects), tuple(self.findings)
        rows = tuple(self._rows_of_calls()) if self._displaced else ()
        return _row_plan((self.row, planned, rejects, findings, False, calls, gains, rows, self.reading))

    def _rows_of_calls(self) -> Iterator[Row]:
        return (self._displaced.get(at, self.row) for at in range(len(self.planned)))

    def plan(self, planned: PlannedCall, call: Wired, gain: Gain) -> None:
        """Add a planned call, with the call that it was made from, and its gain."""
        self.planned.append(planned)
        self.calls.append(call)
        self.gains.append(gain)

    def take_over(self, anew: RowDecision) -> None:
        """Add the decisions on an earlier row that was decided anew."""
        self.findings += anew.findings
        self.rejects += anew.rejects
        for planned, call, gain in zip(anew.planned, anew.calls, anew.gains, strict=True):
            self._displaced[len(self.planned)] = anew.row
            self.plan(planned, call, gain)

    def note_events(self, found: RowEvents) -> None:
        """Note the events of these calls, unless those of the whole row are known."""
        self.events = self.events or found
        events, new, is_contested, is_changed = self.events
        self.is_new = 0 < new == events
        self.is_contested |= is_contested
        self.is_changed |= is_changed

    def keep_row(self, slots: Slots) -> int:
        """Return the number under which the row is kept; keep it when its first call is planned."""
        if not self._number:
            columns = self.row_fingerprint.columns
            self._number = slots.keep_row(_known_row((self.reading, self.row.line, columns)))
        return self._number

    def first_claims(self, *, has_id: bool) -> tuple[Claim, ...]:
        """Return the claims on a new call: that of this row alone."""
        if not self._claims or self._claims[0].has_id != has_id:
            self._claims = (Claim(self.reading, has_id, line=self.line),)
        return self._claims

    def reject(self, error: NotPlanned, part: str) -> None:
        """Reject a part of the row. Parts with the same code share one reject."""
        for at, reject in enumerate(self.rejects):
            if reject.code == error.code and reject.row is self.row:
                both = reject.reason if str(error) in reject.reason else f"{reject.reason}; {error}"
                self.rejects[at] = reject._replace(reason=both, owed=(*reject.owed, part))
                return
        self.rejects.append(Reject(self.row, error.code, str(error), (part,)))

    def withholds(self, alias: Alias) -> bool:
        """Reject the alias if other calls of its persona are rejected; return whether they are."""
        for at, reject in enumerate(self.rejects):
            if reject.row is self.row and {alias.persona, f"{alias.persona}.set"}.intersection(reject.owed):
                self.rejects[at] = reject._replace(owed=(*reject.owed, part_of(alias)))
                return True
        return False

    def withhold(self, part: str) -> None:
        """Add a part to the row's reject: it is owed, and decided on with the rest.

        If another person's calls have the reject, and they are planned elsewhere, it has no code here.
        """
        for at, reject in enumerate(self.rejects):
            if reject.row is self.row:
                self.rejects[at] = reject._replace(owed=(*reject.owed, part))
                return
        self.rejects.append(Reject(self.row, "", "", (part,)))

    def _note(self, code: str, message: str, who: str) -> None:
        self.findings.append(Finding(code, message, self.row.source, self.row.line, who))

    def note_moved(self, rule: str, call: Timed, seconds: int) -> None:
        """Report that the call is sent with a later second, so that it does not merge (D1, D2)."""
        held = f"{call.event!r}" if rule == "D1" else "another value of a property"
        who = name_person(call)
        self._note(rule, f"{who} has {held} in that second already: sent {seconds} s later", who)

    def note_alike(self, call: Timed) -> None:
        """Report that the call would merge by the newer page as well, since its properties match (D1)."""
        who = name_person(call)
        self._note(
            "D1-alike", f"{who}: {call.event!r} is in that second already with the same properties", who
        )

    def note_alias_without_data(self, call: Alias) -> None:
        """Report that the alias will not show before its other identity has data of its own (I3)."""
        who = name_person(call)
        self._note("I3", f"{who}: its alias {call.other!r} has no data of its own here", who)

    def note_full(self, call: Timed, rule: str) -> None:
        """Report that the call is rejected because no second is free (D1, D2)."""
        who = name_person(call)
        held = repr(call.event) if call.event else "another value of a property"
        self._note(f"{rule}-full", f"{who} has no second left for {held}: rejected", who)

    def note_lost(self, call: Timed) -> None:
        """Report that a value is lost, because every second has another value of the property (D2)."""
        who = name_person(call)
        self._note("D2-lost", f"{who} has another value of a property in every second: one survives", who)

    def note_merged(self, call: Timed) -> None:
        """Report that two events are counted as one, as `--collisions keep` asks for (D1)."""
        who = name_person(call)
        self._note("D1-merged", f"{who}: {call.event!r} will be counted once", who)

    def note_alike_rows(self) -> None:
        """Report that an earlier row of the same log is alike in every column, so that both are one event."""
        if not any(finding.code == "alike-rows" for finding in self.findings):
            self._note("alike-rows", "an earlier row is alike in every column: both are one event", "")

    def note_changed(self, call: Timed, origin: str) -> None:
        """Report that the call is not sent again, although the values of its row have changed."""
        self.is_changed = True
        who = name_person(call)
        sent = f"{call.event!r} at that moment was" if call.event else "properties at that moment were"
        self._note("changed", f"{who}: {sent} sent before, {origin}; not sent again", who)

    def note_older(self, call: Set, name: str) -> None:
        """Report that a value is not sent, because rows before and after it have another value."""
        who = name_person(call)
        message = f"{who}: later rows that were read before have another {name!r}: this value is not sent"
        self._note("older-value", message, who)

    def note_sent_line(self, call: Timed) -> None:
        """Report that the call is not sent, because its line was sent before as a corrected reject."""
        self.is_changed = True
        who = name_person(call)
        place = f"{self.row.source}, line {self.row.line}"
        another = "time, name or identity" if call.event else "time, identity or value"
        message = f"{who}: {place}, was corrected and sent before with another {another}"
        self._note("changed", f"{message}; not sent again", who)


def name_person(call: Timed | Alias) -> str:
    """Return persona and identity, for a message."""
    return f"{call.persona} {call.identity!r}"
