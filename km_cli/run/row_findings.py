"""Findings about the rows of one input: columns that are not sent, ids, times and members."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b

from km_cli.mapping import Columns, Members
from km_cli.model import Event, Finding, Properties, Record, RowPlan, Sequence
from km_cli.run.unused_accounts import UnusedAccounts

_DAY = 86_400

_FEWEST_ROWS = 50
"""In fewer rows, many columns have another value in each row by chance."""

_MOST_SAMPLED = 20_000
_ID = re.compile(r"(?=.*\d)[\w.:/+=-]{1,100}", re.ASCII)
_NO_ID = re.compile(r"[+-]?\d*[.,]\d+|\d{4}-\d\d-\d\d.*|\d\d?[/.]\d\d?[/.]\d+.*|.*\d:\d\d.*")
"""Amounts, dates and times of day: each row may have another one, and the next log has the same again."""

ONE_COLUMN = "one-column"
"""The code of a finding about a row and the row before it."""

_NAMED_SO = re.compile(r"id|uuid|guid|key|hash|instance", re.IGNORECASE)


class RowFindings:
    """Looks at the rows of one input. `spread` is how many seconds a call may be moved by."""

    def __init__(
        self, columns: Columns, source: str, spread: int, accounts: UnusedAccounts, *, seeks_ids: bool
    ) -> None:
        self._accounts = accounts
        self._source = source
        self._spread = spread
        self._neighbours = Neighbours(columns)
        self._ids = IdColumns(columns) if seeks_ids and not columns.id else None
        self._is_dated = False

    def look(self, event: Event) -> tuple[Finding, ...]:
        """Return the findings about a row and the row before it."""
        self._is_dated = self._is_dated or event.is_date
        if self._ids is not None and self._ids.are_possible:
            self._ids.look(event)
        found = (self._neighbours.look(event), self._accounts.look(event))
        return tuple([finding for finding in found if finding])

    def end(self) -> Iterator[Finding]:
        """Yield the findings about all rows together."""
        if self._ids is not None and (message := self._ids.proposal()):
            yield Finding("id-column", message, self._source, 0)
        if self._is_dated and self._spread < _DAY - 1:
            message = f"some times are only dates: --spread {_DAY - 1} lets events move within their day"
            yield Finding("dates", message, self._source, 0)


def moved_members(event: Event, sequence: Sequence, plan: RowPlan, members: Members) -> Iterator[Finding]:
    """Yield the finding about a row that was sent before for another account than it has now."""
    if not plan.planned:
        return
    sent = {call.persona for call in plan.calls if type(call) is Record}
    done = {call.persona for call in sequence.calls if type(call) is Record}
    owed = {part for reject in plan.rejects for part in reject.owed}
    if message := moved_message(done, sent, owed, members.personas):
        yield Finding("members", message, event.row.source, event.row.line, event.parts[0].identity)


def moved_message(done: set[str], sent: set[str], owed: set[str], personas: frozenset[str]) -> str:
    """Return the message about a row that was sent before for another account, "" if it was not.

    `done` are the personas that do its event, `sent` those of its planned calls, `owed` the parts that are
    rejected, and `personas` those that take their identities from members.
    """
    moved = sent & personas
    if not moved or not done - sent - owed:
        return ""
    return f"it was sent before, and is sent for another {' and '.join(sorted(moved))} now"


class Neighbours:
    """Reports rows that differ from the row before only in a column that is not sent."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._moment = -1
        self._cells: Properties = ()

    def look(self, event: Event) -> Finding | None:
        """Return the finding about a row, if there is one. Only rows of the same moment are compared."""
        before, self._cells = self._cells, event.cells
        if event.moment != self._moment:
            self._moment = event.moment
            return None
        names = {name for name, _ in set(before).symmetric_difference(event.cells)}
        if len(names) != 1 or self._columns.is_sent(name := names.pop()):
            return None
        message = (
            f"it differs from the row before only in {name!r}, which is not sent: each is sent as an event "
            f"(--ignore-column {name!r} if they are one event)"
        )
        return Finding(ONE_COLUMN, message, event.row.source, event.row.line, repr(name))


class IdColumns:
    """Looks for a column with another value in every row that could be the event's id (`--id`).

    Memory is bounded: of many values, only those whose hash ends in zeros are kept. If one of these occurs
    twice, the column is no id.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._candidates: dict[str, _Candidate] | None = None
        self._rows = 0

    @property
    def are_possible(self) -> bool:
        """Whether any column can still be an id."""
        return self._candidates is None or bool(self._candidates)

    def look(self, event: Event) -> None:
        """Take note of a row."""
        self._rows += 1
        if self._candidates is None:
            taken = self._columns.taken
            self._candidates = {name: _Candidate() for name, _ in event.cells if name not in taken}
        cells = dict(event.cells)
        for name, candidate in list(self._candidates.items()):
            if not candidate.may_be(cells.get(name, "")):
                del self._candidates[name]

    def proposal(self) -> str:
        """Return a proposal at the end of the input, or "". A column that is named like an id goes first."""
        names = [name for name, one in (self._candidates or {}).items() if not one.is_counter]
        if self._rows < _FEWEST_ROWS or not names:
            return ""
        best = min(names, key=lambda name: not _NAMED_SO.search(name))
        return (
            f"{best!r} has a different value in each of {self._rows:,} rows: if every export repeats them, "
            f"--id {best!r} identifies each event for certain"
        )


class _Candidate:
    """A column that has had another value in every row so far."""

    def __init__(self) -> None:
        self._sampled: set[int] = set()
        self._mask = 0
        self._prefix: str | None = None
        self._first = self._last = -1
        self._rows = 0
        self._counts = True

    def may_be(self, value: str) -> bool:
        """Take note of a row's value; tell whether the column can still be an id."""
        if not _ID.fullmatch(value) or _NO_ID.fullmatch(value):
            return False
        self._rows += 1
        self._counts = self._counts and self._goes_on(value)
        sampled = int.from_bytes(blake2b(value.encode(), digest_size=8).digest())
        if sampled & self._mask:
            return True
        if sampled in self._sampled:
            return False
        self._sampled.add(sampled)
        if len(self._sampled) > _MOST_SAMPLED:
            self._mask = self._mask << 1 | 1
            self._sampled = {one for one in self._sampled if not one & self._mask}
        return True

    def _goes_on(self, value: str) -> bool:
        """Tell whether a value is a number behind the same letters as before, and larger."""
        digits = value[len(value.rstrip("0123456789")) :]
        prefix, number = value.removesuffix(digits), int(digits or -1)
        if self._prefix is None:
            self._prefix, self._first = prefix, number
        is_next = prefix == self._prefix and number > self._last
        self._last = number
        return is_next

    @property
    def is_counter(self) -> bool:
        """Whether it counts from 0 or nearly so: a counter begins again in every export."""
        step = (self._last - self._first) / max(self._rows - 1, 1)
        return self._counts and self._first <= step + 1
