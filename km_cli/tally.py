"""What a run counts, from the first row to the last receipt."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from km_cli.model import Finding, Outcome


@dataclass(slots=True)
class Rows:
    """Rows by what became of them; `read` is their sum, always."""

    sent: int = 0
    skipped: int = 0
    rejected: int = 0
    held: int = 0
    pending: int = 0

    @property
    def read(self) -> int:
        """All rows read, those that were dealt with in earlier runs among them (they are skipped)."""
        return self.sent + self.skipped + self.rejected + self.held + self.pending


@dataclass(slots=True)
class Calls:
    """Calls on the wire: planned + resumed = acknowledged + rejected + pending, when a run has ended."""

    planned: int = 0
    acknowledged: int = 0
    pending: int = 0
    rejected: int = 0
    retried: int = 0
    resumed: int = 0


class OpenRow:
    """A row some of whose calls are under way. It counts when the last has its receipt."""

    __slots__ = ("_calls", "_pending", "_rejected", "_rows")

    def __init__(self, rows: Rows, calls: int, *, rejected: bool) -> None:
        self._rows = rows
        self._calls = calls
        self._rejected = rejected
        self._pending = False

    def settle(self, outcome: Outcome) -> bool:
        """Take note of one call's receipt; tell whether others are still to come."""
        self._calls -= 1
        self._rejected |= outcome is Outcome.REJECTED
        self._pending |= outcome is Outcome.PENDING
        if self._calls:
            return True
        if self._rejected:
            self._rows.rejected += 1
        elif self._pending:
            self._rows.pending += 1
        else:
            self._rows.sent += 1
        return False


@dataclass(slots=True)
class Tally:
    """Everything counted. `by_persona` are planned calls, `examples` the first findings of each code."""

    rows: Rows = field(default_factory=Rows)
    calls: Calls = field(default_factory=Calls)
    findings: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Finding]] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    by_persona: Counter[str] = field(default_factory=Counter)
    rejected_before: int = 0

    def note(self, finding: Finding, most: int = 3) -> None:
        """Count a finding and keep it if it is one of the first of its kind."""
        self.findings[finding.code] += 1
        examples = self.examples.setdefault(finding.code, [])
        if len(examples) < most:
            examples.append(finding)
