"""The tally: everything that a run counts, from the first row to the last receipt."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from km_cli.mapping import WITHHELD
from km_cli.model import Finding, Outcome, Reject, RowPlan
from km_cli.run.places import Places

PRUNED = "pruned"
"""The finding about a row that is older than the ledger's horizon."""

MOST_REMEMBERED = 10_000
"""Subjects of the findings of one code. Later ones are not counted, so that memory stays constant."""


@dataclass(slots=True)
class Rows:
    """Rows by their outcome. `read` is always the sum.

    `pruned` are those of the skipped rows that are older than the ledger's horizon.
    """

    sent: int = 0
    skipped: int = 0
    rejected: int = 0
    held: int = 0
    pending: int = 0
    pruned: int = 0

    @property
    def read(self) -> int:
        """All rows read, including those of earlier runs, which are skipped."""
        return self.sent + self.skipped + self.rejected + self.held + self.pending

    @property
    def counted(self) -> dict[str, int]:
        """All by name, `read` first; `pruned` only if there are such rows."""
        counted = {"read": self.read, **asdict(self)}
        return counted if self.pruned else {name: counted[name] for name in counted if name != "pruned"}


@dataclass(slots=True)
class Calls:
    """Calls on the wire. At the end of a run, planned + resumed = acknowledged + rejected + pending."""

    planned: int = 0
    acknowledged: int = 0
    pending: int = 0
    rejected: int = 0
    retried: int = 0
    resumed: int = 0


class WrittenPart(NamedTuple):
    """A bulk file that the run has finished, with its size in bytes and its calls."""

    file: str
    site: str
    bytes: int
    calls: int


class OpenRow:
    """A row with calls that have no receipt yet. It is counted when the last receipt is in."""

    __slots__ = ("_calls", "_pending", "_rejected", "_rows")

    def __init__(self, rows: Rows, calls: int, *, rejected: bool) -> None:
        self._rows = rows
        self._calls = calls
        self._rejected = rejected
        self._pending = False

    def settle(self, outcome: Outcome) -> None:
        """Take the receipt of one call."""
        self._calls -= 1
        self._rejected |= outcome is Outcome.REJECTED
        self._pending |= outcome is Outcome.PENDING
        if self._calls:
            return
        if self._rejected:
            self._rows.rejected += 1
        elif self._pending:
            self._rows.pending += 1
        else:
            self._rows.sent += 1


@dataclass(slots=True)
class Tally:
    """Everything counted. `by_persona` are planned calls.

    `examples` and `rejects` hold the first finding and the first reject of each code. `worst` counts rows by
    code, then by the person or thing that the finding is about. `places` holds the lines of all findings and
    rejects of a code. `undone` are the skipped rows whose event no
    persona does, `withheld` those with nothing but an alias that is not allowed. `normalised` counts the
    unusual forms that were read as the usual ones: files with a "byte-order-mark" or "line-ends" other than
    LF; "blank-lines"; lines of JSON with "octal-escapes"; and in rows that became events
    "blanks-around-ids", times whose "fractions-floored", and "empty-values", "parts-without-id" and
    "reserved-names" left out.
    """

    rows: Rows = field(default_factory=Rows)
    calls: Calls = field(default_factory=Calls)
    findings: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Finding] = field(default_factory=dict)
    worst: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    places: defaultdict[str, Places] = field(default_factory=lambda: defaultdict(Places))
    reasons: Counter[str] = field(default_factory=Counter)
    rejects: dict[str, Reject] = field(default_factory=dict)
    by_persona: Counter[str] = field(default_factory=Counter)
    normalised: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    rejected_before: int = 0
    last_failure: str = ""
    """Why the last attempt at a call that stays pending failed, in words."""
    undone: int = 0
    withheld: int = 0
    parts: list[WrittenPart] = field(default_factory=list)
    """The bulk files that the run has finished."""

    def take(self, plan: RowPlan) -> OpenRow | None:
        """Count the decision on a row. Return the row if it has calls: their receipts settle it."""
        if self._count(plan):
            return OpenRow(self.rows, len(plan.planned), rejected=bool(plan.rejects))
        return None

    def rehearse(self, plan: RowPlan) -> None:
        """Count the decision on a row whose calls need no receipt, in a dry run or in bulk files."""
        if not self._count(plan):
            return
        if plan.rejects:
            self.rows.rejected += 1
        else:
            self.rows.sent += 1

    def _count(self, plan: RowPlan) -> bool:
        """Count the decision on a row, and the row itself if it has no calls; tell whether it has any."""
        for finding in plan.findings:
            self.note(finding)
        for reject in plan.rejects:
            self.reject(reject)
        self.calls.planned += len(plan.planned)
        for planned in plan.planned:
            self.by_persona[planned.persona] += 1
        if plan.planned:
            return True
        if plan.rejects:
            self.rows.rejected += 1
        else:
            self.rows.skipped += 1
            self.rows.pruned += any(finding.code == PRUNED for finding in plan.findings)
            self.undone += plan.is_undone
            # A row that was planned has a reading: its calls are known, and its alias is withheld besides.
            is_left_out = not (plan.reading or plan.is_undone)
            self.withheld += is_left_out and any(finding.code == WITHHELD for finding in plan.findings)
        return False

    def note(self, finding: Finding, rows: int = 1) -> None:
        """Count a finding, keep the first of each code, and add its rows to those of its subject."""
        self.findings[finding.code] += 1
        self.examples.setdefault(finding.code, finding)
        self.places[finding.code].add(finding.source, finding.line)
        if finding.who:
            worst = self.worst[finding.code]
            if len(worst) < MOST_REMEMBERED or finding.who in worst:
                worst[finding.who] += rows

    def reject(self, reject: Reject) -> None:
        """Count a reason and keep the reject, without its bytes, if it is the first of its kind."""
        self.reasons[reject.code] += 1
        self.places[reject.code].add(reject.row.source, reject.row.line)
        if reject.code not in self.rejects:
            self.rejects[reject.code] = reject._replace(row=reject.row._replace(raw=b"", values=None))

    def add_normalised(self, counts: Mapping[str, int]) -> None:
        """Add the unusual forms that were met in one input outside of its rows."""
        for word, number in counts.items():
            self.normalised[word] += number
