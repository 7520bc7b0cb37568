"""Row → Event. A mapper is made once for the columns of an input, and then maps every row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from km_cli.errors import InputError, Where
from km_cli.kissmetrics import LONGEST_NAME, LONGEST_VALUE, fold_identity, fold_name
from km_cli.mapping.cells import Several, cell_readers, cells_reader, no_cells, time_reader
from km_cli.mapping.columns import Columns
from km_cli.mapping.conditions import row_filter, unmet
from km_cli.mapping.hashing import Hasher, hashed_columns
from km_cli.mapping.identities import BadIdentity, Identities, identity_reader
from km_cli.mapping.members import Members
from km_cli.mapping.naming import naming_of
from km_cli.mapping.nested import BadRow
from km_cli.mapping.parts import Parts, sharing_a_site
from km_cli.mapping.properties import check_size, properties_reader
from km_cli.mapping.selection import ANONYMOUS, WITHHELD, EventsSeen, LeftOut, Selection
from km_cli.mapping.times import AmbiguousTime, BadTime, TimeOptions, Times
from km_cli.model import NANOSECONDS, Event, Finding, Persona, PersonaPart, Properties, Reject, Row
from km_cli.model.making import maker

_ALL = Selection()
_NO_PART = PersonaPart("", ())
_event = maker(Event)


class Mapper:
    """Maps the rows of one input.

    `members` have a user's account where a row has none. `normalised` counts the unusual forms that were read
    as the usual ones, in rows that became events (run/tally.py has the words).
    """

    def __init__(
        self,
        columns: Columns,
        found: tuple[str, ...],
        *,
        tabular: bool,
        personas: Sequence[Persona],
        time_options: TimeOptions,
        allowed: Iterable[str],
        now: float,
        normalised: defaultdict[str, int],
        selection: Selection = _ALL,
        seen: EventsSeen | None = None,
        members: Members | None = None,
        hasher: Hasher | None = None,
        with_cells: bool = True,
    ) -> None:
        """`with_cells` is false for events that are only counted: they need no cells to know them again.

        Raises InputError if columns are to be hashed under another key than that of `hasher`.
        """
        self._selection = selection
        self._seen = seen or EventsSeen(selection)
        self._personas = tuple(persona.name for persona in personas)
        self._is_recorded = tuple(persona.is_recorded for persona in personas)
        self._normalised = normalised
        self._trimmed: list[str] = []
        self._several: Several = []
        self._skips_anonymous = columns.skip_anonymous
        self._is_expected = tuple(bool(used.identities or members) for used in columns.personas)
        self._without_column: set[str] = set()  # the personas of which this was said
        self._times = Times(TimeOptions() if columns.at else time_options, now)
        self._members = members
        self._constants = frozenset(columns.constant)
        self._sets_without_event = columns.without_event == "set"
        self._own_names = _own_names(columns, personas)
        self._sharing_a_site = sharing_a_site(personas)
        self._naming = naming_of(columns)
        self._hashed = hashed_columns(columns, found, personas, hasher, tabular=tabular)
        self._make_readers(columns, found, tabular=tabular, with_cells=with_cells)
        self._make_identities(columns, found, personas, tuple(allowed), tabular=tabular)
        looks_into_rows = self._meets is not None or self._watch is not None
        self._looks = selection != _ALL or self._seen.has_lists or looks_into_rows

    def _make_readers(
        self, columns: Columns, found: tuple[str, ...], *, tabular: bool, with_cells: bool
    ) -> None:
        """Make the functions that read parts of a row: its event, time, id, properties and cells."""
        cell = cell_readers(found, tabular=tabular)
        self._seen.conditions.see(found)
        self._watch = self._seen.columns.watch(found, tabular=tabular)
        self._meets = row_filter(columns.where, cell, self._seen.conditions)
        self._unmet = unmet(columns.where, cell)
        self._properties = properties_reader(columns, found, tabular=tabular)
        self._cells = cells_reader(columns, found, tabular=tabular) if with_cells else no_cells
        self._event, self._id = cell(columns.event), cell(columns.id)
        self._timestamp, self._time_column = time_reader(columns, cell), columns.timestamp
        if columns.event_name:
            self._event = lambda _: columns.event_name
        if columns.at:
            self._timestamp = lambda _: columns.at
        self._withheld = cell(columns.withheld_alias) if columns.withheld_alias else None

    def _make_identities(
        self,
        columns: Columns,
        found: tuple[str, ...],
        personas: Sequence[Persona],
        allowed: tuple[str, ...],
        *,
        tabular: bool,
    ) -> None:
        """Make the reader of each persona's identity, and what gives each persona its part of a row."""
        cell = cell_readers(found, tabular=tabular)
        one_of_several = cell_readers(found, tabular=tabular, several=self._several)
        identities = [Identities(allowed, persona.prefix, self._trimmed) for persona in personas]
        self._identities = tuple(
            (identity_reader(used, one_of_several), one.known, one.clean)
            for used, one in zip(columns.personas, identities, strict=True)
        )
        others = Identities(allowed, trimmed=self._trimmed)
        self._parts = Parts(columns, personas, cell, others, self._naming, tabular=tabular)

    def map(self, row: Row) -> Event | Reject | LeftOut:
        """Return a row's event; a Reject if it can't be sent, LeftOut if it is not taken.

        Raises InputError if the times of the input can't be understood without a flag.
        """
        values = row.values
        try:
            if self._looks and self._is_outside(values):
                return LeftOut(row, "left-out", *self._unmet(values))
            self._trimmed.clear()
            self._several.clear()
            identities = [
                known.get(text := cell(values)) or clean(text) for cell, known, clean in self._identities
            ]
            is_part = "" in identities
            if is_part and self._members is None:
                self._check_any(identities)
            name = self._event(values)
            if len(name) > LONGEST_NAME or not name or name.isspace():
                name = self._no_event(name)
            time = self._timestamp(values)
            moment = self._times.parse(time)
            if is_part and self._members is not None:
                identities = self._completed(values, identities, moment)
                self._check_any(identities)
                is_part = "" in identities
            self._check_apart(identities)
            parts, named, empty, reserved = self._dealt(row, identities, name)
            withheld = self._withheld(values) if self._withheld else ""
            kept = row
            if self._hashed is not None:  # what is wrong with a row was judged by its values in clear
                kept, identities = self._hashed.row(row), self._hashed.identities(row, identities)
                parts, named, empty, reserved = self._dealt(self._hashed.sent(kept), identities, name)
                values = kept.values
            event_id = self._id(values).strip()
        except (BadRow, BadIdentity, BadTime) as error:
            return self._refused(row, error)
        except AmbiguousTime as error:
            raise _ambiguous(row, error, self._time_column, time) from None
        has_findings = is_part or self._times.leap_second or self._several or withheld
        findings = tuple(self._findings(row, identities, withheld)) if has_findings else ()
        if empty or self._trimmed or moment % NANOSECONDS or reserved:
            self._count(moment, empty, reserved)
        cells, is_date = self._cells(values), self._times.is_date(time)
        return _event((kept, parts, name, moment, named, event_id, cells, is_date, findings))

    def _dealt(
        self, row: Row, identities: list[str], name: str
    ) -> tuple[tuple[PersonaPart, ...], Properties, int, int]:
        """Return each persona's part, all properties, and how many were empty and reserved. Raises BadRow."""
        properties = self._properties.read(row.values)
        if len(row.raw) > LONGEST_VALUE // 4:
            check_size(properties)
        named = properties if self._naming is None else self._naming.named(properties)
        reserved = self._naming.left_out if self._naming else 0
        parts = self._parts.deal(row.values, identities, properties, named)
        if not name:
            parts = self._stated(row.values, parts)
        return parts, named, self._properties.width - len(properties), reserved

    def _is_outside(self, values: Any) -> bool:
        """Tell whether a row is outside of the selection. If it is, faults in it do not matter.

        Raises BadRow if a condition on a column cannot be judged.
        """
        if self._watch is not None:
            self._watch(values)
        if self._meets is not None and not self._meets(values):
            return True
        try:
            name = self._event(values)
            self._seen.see(name)
            if not self._selection.has_event(name):
                return True
            return self._selection.has_times and not self._selection.has_moment(
                self._times.moment(self._timestamp(values))
            )
        except (BadRow, BadTime):
            return False  # A row without a name or a time is rejected, in any selection.

    def _no_event(self, name: str) -> str:
        """Return "" if a row may lack an event, because it sets properties. Raises BadRow otherwise."""
        if name.strip() or not self._sets_without_event:
            raise _bad_event(name)
        return ""

    def _stated(self, values: Any, parts: Sequence[PersonaPart]) -> tuple[PersonaPart, ...]:
        """Return the parts of a row without an event, which sets its properties. Raises BadRow for none.

        The columns describe the first persona that the row names: a row of a user has other columns than one
        of the account. So another persona gets only properties that are named. Constants belong on records
        alone: they would hide that a row has nothing of its own.
        """
        if not any(part.identity for part, able in zip(parts, self._is_recorded, strict=True) if able):
            able = [name for name, able in zip(self._personas, self._is_recorded, strict=True) if able]
            raise BadRow("no-identity", f"it names no {' and no '.join(able)}")
        named = [place for place, able in enumerate(self._is_recorded) if able and parts[place].identity]
        stated = tuple(
            part._replace(properties=(), sets=self._all_sets(part, None if place == named[0] else own))
            if place in named
            else _NO_PART
            for place, (part, own) in enumerate(zip(parts, self._own_names, strict=True))
        )
        if any(part.sets or part.alias for part in stated):
            return stated
        if self._withheld and self._withheld(values):
            raise BadRow(WITHHELD, "it only names an alias")
        raise BadRow("no-event", "it has neither an event nor a property that can be sent")

    def _all_sets(self, part: PersonaPart, names: frozenset[str] | None) -> Properties:
        """Return the properties that a row without an event sets, each once, without km.toml's constants.

        No other property has the name of a constant. `names` are those that the persona has, None for all.
        """
        sets = {fold_name(name) for name, _ in part.sets}
        others = (pair for pair in part.properties if pair not in self._constants)
        return (
            *part.sets,
            *(
                pair
                for pair in others
                if fold_name(pair[0]) not in sets and (names is None or pair[0] in names)
            ),
        )

    def _refused(self, row: Row, error: BadRow | BadIdentity | BadTime) -> Reject | LeftOut:
        if isinstance(error, BadTime):
            return Reject(row, error.code, str(error))
        if error.code == WITHHELD:
            return LeftOut(row, WITHHELD)
        if error.code != ANONYMOUS:
            return Reject(row, error.code, str(error))
        # A corrected reject is still owed: it is rejected again, or it would be lost.
        if self._skips_anonymous and row.origin is None:
            return LeftOut(row, ANONYMOUS)
        return Reject(row, "no-identity", str(error))

    @property
    def unit(self) -> str:
        """The unit of numeric times, recognised by their magnitude; "" if there are none so far."""
        return self._times.unit

    def _check_any(self, identities: list[str]) -> None:
        if not any(identities):
            raise BadRow(ANONYMOUS, f"it names no {' and no '.join(self._personas)}")

    def _check_apart(self, identities: list[str]) -> None:
        """Refuse a row in which two personas of one site have one identity: they would be one person (I2)."""
        for places in self._sharing_a_site:
            named = [fold_identity(identities[place]) for place in places if identities[place]]
            if len(set(named)) < len(named):
                alike = [place for place in places if named.count(fold_identity(identities[place])) > 1]
                raise BadRow(
                    "I2",
                    f"{identities[alike[0]]!r} is {' and '.join(self._personas[place] for place in alike)} "
                    "at once: one person for good; a prefix in km.toml keeps them apart",
                )

    def _completed(self, values: Any, identities: list[str], moment: int) -> list[str]:
        """Return the identities; where the row has none, those that the members' file has for the actor."""
        assert self._members is not None
        cell, *_ = self._identities[0]
        known = self._members.identities_at(cell(values).strip(), moment)
        return [
            identity or clean(other)
            for identity, other, (*_, clean) in zip(identities, known, self._identities, strict=True)
        ]

    def _count(self, moment: int, empty: int, reserved: int) -> None:
        """Count the unusual forms in a row that is sent."""
        if reserved:
            self._normalised["reserved-names"] += reserved
        if empty:
            self._normalised["empty-values"] += empty
        if moment % NANOSECONDS:
            self._normalised["fractions-floored"] += 1
        if self._trimmed:
            self._normalised["blanks-around-ids"] += len(self._trimmed)

    def _findings(self, row: Row, identities: list[str], withheld: str) -> Iterator[Finding]:
        """Yield the findings about a row that is sent: its identities, a withheld alias, a leap second."""
        for persona, is_expected, identity in zip(self._personas, self._is_expected, identities, strict=True):
            if not identity and is_expected:
                self._normalised["parts-without-id"] += 1
                message = f"the row names no {persona}, and makes no calls for that persona"
                yield Finding(f"no-{persona}", message, row.source, row.line)
            elif not identity and persona not in self._without_column:
                self._without_column.add(persona)
                message = f"no column names the {persona}: no row makes calls for that persona"
                yield Finding(f"no-{persona}", message, row.source, 0)
        for column, number in dict.fromkeys(self._several):
            message = f"{column!r} lists {number} values: only the first value is recorded"
            yield Finding("one-of-several", message, row.source, row.line, repr(column))
        if withheld:
            yield Finding(WITHHELD, f"its alias {withheld!r} is not sent", row.source, row.line)
        if self._times.leap_second:
            yield Finding("leap-second", "the second :60 is read as :59", row.source, row.line)


def _ambiguous(row: Row, error: AmbiguousTime, column: str, time: str) -> InputError:
    place = f"{row.source}, line {row.line}"
    where = Where(row.source, row.line, row.raw, column, time)
    return InputError(f"{place}: {error}", error.cure, plain=f"{place}: its time is ambiguous", where=where)


def _own_names(columns: Columns, personas: Sequence[Persona]) -> tuple[frozenset[str] | None, ...]:
    """Return the names that each persona has of its own: its links; None if its properties are named."""
    return tuple(
        frozenset(name for name, _ in persona.link)
        if columns.properties is None and used.properties is None
        else None
        for used, persona in zip(columns.personas, personas, strict=True)
    )


def _bad_event(name: str) -> BadRow:
    if not name or name.isspace():
        return BadRow("no-event", "it has no event name")
    return BadRow("D4-long", f"the event name {name[:30]!r}… has {len(name)} characters, over 254")
