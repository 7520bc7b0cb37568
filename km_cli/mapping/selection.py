"""A selection of a log's rows: rows between two times, or rows of some events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from km_cli.errors import UsageError, did_you_mean
from km_cli.kissmetrics import fold_name
from km_cli.mapping.conditions import ConditionsSeen
from km_cli.mapping.seen_columns import ColumnsSeen
from km_cli.model import Persona, Row

MOST_SEEN = 5000
"""Names of events that are remembered, to propose the nearest one for a name that no row has."""

_ALIKE = 0.6
_MISSPELT = 0.85
"""How near two names must be, from 0 to 1. "Signed Up" is not a misspelt "Signed In"."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


ANONYMOUS = "anonymous"
"""The finding about a row that names no persona and is skipped for that (--skip-anonymous)."""

WITHHELD = "alias-left-out"
"""The finding about a row whose alias would be sent with --allow-alias. If that is all, it is skipped."""


class LeftOut(NamedTuple):
    """A row that is not taken. `code` is that of its finding: one of the above, or the selection's.

    `why` names the value that leaves the row out, if a condition on a column does; `condition` is its text.
    """

    row: Row
    code: str = "left-out"
    why: str = ""
    condition: str = ""


class Selection(NamedTuple):
    """The rows to take: from `since` on and before `until`, of the events in `only` and not in `skip`.

    Moments are in nanoseconds since 1970, None for no limit. Names are folded as Kissmetrics does (D4) and
    sorted; an empty `only` means all events.
    """

    since: int | None = None
    until: int | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    @property
    def has_times(self) -> bool:
        """Whether a row's time matters."""
        return self.since is not None or self.until is not None

    def has_event(self, name: str) -> bool:
        """Tell whether the selection has events of this name."""
        folded = fold_name(name)
        return (not self.only or folded in self.only) and folded not in self.skip

    def has_moment(self, moment: int) -> bool:
        """Tell whether the selection has this moment."""
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)


class Bound(NamedTuple):
    """The begin or end of a selection: the flag or key that sets it, its value, and the moment if any."""

    place: str
    text: str
    moment: int | None


class EventsSeen:
    """Notes the events of all rows, to report the events that flags or km.toml name and no row has.

    `conditions` does the same for the conditions on columns, and `columns` for the columns themselves.

    Events are named by --only and --skip, and in km.toml's lists of the events that a persona may do or that
    are `skipped`. Memory is constant: it holds MOST_SEEN names, and the named events that were not seen yet.
    """

    def __init__(
        self,
        selection: Selection,
        personas: Sequence[Persona] = (),
        skipped: Sequence[str] = (),
        conditions: ConditionsSeen | None = None,
        asked: Iterable[str] = (),
        columns: ColumnsSeen | None = None,
    ) -> None:
        """`asked` are the names that --only and --skip give, as they are written: a selection folds them."""
        self._spelled = {fold_name(name): name for name in asked}
        self.conditions = conditions or ConditionsSeen()
        self.columns = columns or ColumnsSeen()
        self._selection = selection
        self._skipped = {fold_name(event): event for event in skipped}
        self._lists = [
            (f"persona {persona.name!r}", {fold_name(event): event for event, _ in persona.events})
            for persona in personas
            if persona.events
        ]
        self._left_out = [
            (f"persona {persona.name!r}, not_events", {fold_name(event): event for event in persona.excepted})
            for persona in personas
            if persona.excepted
        ]
        if skipped:
            self._left_out.append(("columns.skip", self._skipped))
        self._lists += self._left_out
        self._named = {name for _, events in self._lists for name in events}
        self._unseen = {*selection.only, *selection.skip, *self._named}
        self._asks_for_events = bool(self._unseen)
        self._names: dict[str, str] = {}

    @property
    def has_lists(self) -> bool:
        """Whether km.toml lists events. Then the event of every row is looked at, in any selection."""
        return bool(self._lists)

    def notes(self) -> list[Any]:
        """Return this as JSON values, which `add` takes."""
        names = list(self._names.values()) if self._asks_for_events else []
        return [names, sorted(self._unseen), self.conditions.notes(), self.columns.notes()]

    def add(self, notes: list[Any]) -> None:
        """Add the names of later rows, which were read under the same flags and km.toml."""
        names, unseen, conditions, columns = notes
        for name in names:
            self.see(name)
        self._unseen.intersection_update(unseen)
        self.conditions.add(conditions)
        self.columns.add(columns)

    def see(self, name: str) -> None:
        """Take note of the name of a row's event."""
        folded = fold_name(name)
        if folded not in self._names:
            self._unseen.discard(folded)
            if len(self._names) < MOST_SEEN:
                self._names[folded] = name

    def unseen(self) -> list[str]:
        """Return a message for each name that was not seen: where it stands, and which name may be meant."""
        if not self._names:
            return []
        flags = [("--only", name) for name in self._selection.only] + [
            ("--skip", name) for name in self._selection.skip if name not in self._skipped
        ]
        seen = self._names.values()
        return [
            *(
                _message(
                    f"{flag} {self._spelled.get(name, name)!r}: no row has this event",
                    did_you_mean(name, seen, "", repr),
                )
                for flag, name in flags
                if name in self._unseen
            ),
            *self._unseen_of_lists(),
        ]

    def _unseen_of_lists(self) -> Iterator[str]:
        """Yield a message for names in personas' lists that were not seen.

        A small log need not have all events. So a name is reported only if it may be a misspelling of an
        event that is in no list, or if no event of its list was seen, unless it lists events to leave out.
        """
        others = [name for folded, name in self._names.items() if folded not in self._named]
        for place, events in self._lists:
            leaves_out = (place, events) in self._left_out
            unseen = [name for folded, name in events.items() if folded in self._unseen]
            is_whole = len(unseen) == len(events) and not leaves_out
            for name in unseen:
                hint = did_you_mean(name, others, "", repr, least=_ALIKE if is_whole else _MISSPELT)
                if hint or is_whole:
                    yield _message(f"km.toml, {place}: no row has the event {name!r}", hint)


def _message(problem: str, hint: str) -> str:
    return f"{problem}; {hint}" if hint else problem


def make_selection(
    since: str, until: str, only: Iterable[str], skip: Iterable[str], timezone: str
) -> Selection:
    """Return the selection for the values of these flags, "" for one not given. `timezone` "" is UTC.

    Raises UsageError for a value that is not a time, or if no row can be in the selection.
    """
    begin, end = make_bound("--since", since, timezone), make_bound("--until", until, timezone)
    check_order(begin, end)
    selection = Selection(begin.moment, end.moment, _folded("--only", only), _folded("--skip", skip))
    if selection.only and set(selection.only) <= set(selection.skip):
        raise UsageError(
            "--only and --skip (or km.toml's skip) name the same events: no row is left",
            "leave one of them out",
        )
    return selection


def make_bound(place: str, text: str, timezone: str) -> Bound:
    """Return the bound for a text, "" for none. `timezone` "" is UTC. Raises UsageError."""
    return Bound(place, text, _moment(place, text, ZoneInfo(timezone or "UTC")) if text else None)


def check_order(since: Bound, until: Bound) -> None:
    """Raise UsageError if no moment is between the two."""
    if since.moment is not None and until.moment is not None and since.moment >= until.moment:
        raise UsageError(
            f"no row can be from {since.text} on ({since.place}) and before {until.text} ({until.place})",
            "since must be the earlier time; for a whole day, until is the next day",
        )


def _moment(place: str, text: str, zone: ZoneInfo) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"{place}{'' if place.startswith('--') else ':'} {text!r} is not a time that km-cli understands",
            "write it as 2024-01-31, 2024-01-31T18:00 or 2024-01-31T18:00:00+01:00",
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _folded(flag: str, names: Iterable[str]) -> tuple[str, ...]:
    folded = tuple(sorted(set(map(fold_name, names))))
    if "" in folded:
        raise UsageError(f"{flag} needs the name of an event", f"for example {flag} 'Signed Up'")
    return folded
