"""What has been decided on the row at hand: what is placed, what is rejected and why, what was found."""

from __future__ import annotations

from km_cli.model import (
    Alias,
    Finding,
    KnownRow,
    PlannedCall,
    Properties,
    Record,
    Reject,
    Row,
    RowFingerprint,
    Timed,
    part_of,
)
from km_cli.protocols import Slots

_NO_FINGERPRINT = RowFingerprint()


class NotPlanned(Exception):
    """This call cannot be sent; `code` and `reason` say why."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class RowDecision:
    """What has been decided on the row at hand."""

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
        self.cells = dict(cells)
        self._number = 0
        self.planned: list[PlannedCall] = []
        self.rejects: list[Reject] = []
        self.findings: list[Finding] = []

    def row_number(self, slots: Slots) -> int:
        """Return the number under which the row's columns are kept, for the first call that is placed."""
        if not self._number:
            known = KnownRow(self.reading, self.row.line, self.row_fingerprint.columns)
            self._number = slots.keep_row(known)
        return self._number

    def reject(self, error: NotPlanned, part: str) -> None:
        """Part of the row is not sent; several parts for one reason are one reject."""
        for at, reject in enumerate(self.rejects):
            if reject.code == error.code and reject.row is self.row:
                both = reject.reason if str(error) in reject.reason else f"{reject.reason}; {error}"
                self.rejects[at] = reject._replace(reason=both, owed=(*reject.owed, part))
                return
        self.rejects.append(Reject(self.row, error.code, str(error), (part,)))

    def withholds(self, alias: Alias) -> bool:
        """Tell whether its persona's other parts in this row are refused; then the alias is owed too."""
        for at, reject in enumerate(self.rejects):
            if reject.row is self.row and {alias.persona, f"{alias.persona}.set"}.intersection(reject.owed):
                self.rejects[at] = reject._replace(owed=(*reject.owed, part_of(alias)))
                return True
        return False

    def _note(self, code: str, message: str, who: str) -> None:
        self.findings.append(Finding(code, message, self.row.source, self.row.line, who))

    def note_moved(self, rule: str, call: Timed, seconds: int) -> None:
        """A call was moved so that it does not merge."""
        what = f"{call.event!r}" if rule == "D1" else "another value of a property"
        who = _who(call)
        self._note(rule, f"{who} has {what} in that second already: sent {seconds} s later", who)

    def note_alike(self, call: Timed) -> None:
        """A call would merge by the newer page's reading of D1 too: its properties match."""
        who = _who(call)
        self._note(
            "D1-alike", f"{who}: {call.event!r} is in that second already with the same properties", who
        )

    def note_bare(self, call: Alias) -> None:
        """The other identity has no data of its own yet (I3)."""
        who = f"{call.persona} {call.identity!r}"
        self._note("I3", f"{who}: its alias {call.other!r} has no data of its own here", who)

    def note_full(self, call: Timed, rule: str) -> None:
        """There was no free second, and the call is rejected."""
        who = _who(call)
        self._note(f"{rule}-full", f"{who} has no second left for {call.event!r}: rejected", who)

    def note_lost(self, call: Timed) -> None:
        """A property value will be lost: no second was free of another value (D2)."""
        who = _who(call)
        self._note("D2-lost", f"{who} has another value of a property in every second: one survives", who)

    def note_merged(self, call: Timed) -> None:
        """Two events will be counted once, as was asked for (D1)."""
        who = _who(call)
        self._note("D1-merged", f"{who}: {call.event!r} will be counted once", who)

    def note_alike_rows(self) -> None:
        """The row is alike in every column with one before it in the same log: both are one."""
        if not any(finding.code == "alike-rows" for finding in self.findings):
            self._note("alike-rows", "a row before it is alike in every column: both are one event", "")

    def note_changed(self, call: Record, where: str) -> None:
        """The call was sent before, from a row with other values."""
        who = _who(call)
        self._note(
            "changed", f"{who}: {call.event!r} at that moment was sent before, {where}; not sent again", who
        )


def _who(call: Timed) -> str:
    return f"{call.persona} {call.identity!r}"
