"""The mapping itself, compiled once for an input's columns and then applied to every row."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from km_cli.errors import InputError
from km_cli.mapping.columns import Columns, property_columns
from km_cli.mapping.identities import BadIdentity, Identities
from km_cli.mapping.part import LeftOut, Part
from km_cli.mapping.times import BadTime, Clocking, Times, Unclear
from km_cli.model import NANOSECONDS, Event, Finding, Properties, Reject, Row
from km_cli.names import LONGEST_NAME, LONGEST_VALUE, fold_identity, fold_name, is_reserved

Cell = Callable[[Any], str]

_WHOLE = Part()
_ABSENT = object()

MOST_PROPERTIES = 5000
"""Of one event: more are no properties but data that went astray, and D8 has 65,535 for a whole product."""


class _Bad(ValueError):
    """A row that can't be sent, and the code for its reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Mapper:
    """Maps the rows of one input. Findings about single rows go to `note`.

    `normalised` counts what was made of rows that became events, without a finding (tally.py has the words).
    """

    def __init__(
        self,
        columns: Columns,
        found: tuple[str, ...],
        *,
        tabular: bool,
        personas: tuple[str, ...],
        clocking: Clocking,
        allowed: Iterable[str],
        now: float,
        note: Callable[[Finding], None],
        normalised: defaultdict[str, int],
        part: Part = _WHOLE,
    ) -> None:
        self._part = part
        self._personas = personas
        self._note = note
        self._normalised = normalised
        self._has_column = tuple(name != "" for name in columns.personas)
        self._times = Times(clocking, now)
        self._identities = Identities(allowed)
        self._cells: tuple[Cell, ...]
        self._properties: _CellProperties | _ObjectProperties
        if tabular:
            place = {name: index for index, name in enumerate(found)}
            cell = _cell_of(place)
            names = property_columns(columns, found)
            self._properties = _CellProperties(tuple((place[name], name) for name in names))
        else:
            cell = _member
            self._properties = _ObjectProperties(columns)
        self._cells = tuple(cell(name) for name in columns.personas)
        self._event, self._timestamp, self._id = (
            cell(name) for name in (columns.event, columns.timestamp, columns.id)
        )
        if columns.event_name:
            self._event = lambda _: columns.event_name

    def map(self, row: Row) -> Event | Reject | LeftOut:
        """Return the event that `row` is, or why it can't be sent; LeftOut if it is not to be sent.

        Raises InputError if the times of the input can't be understood without a flag.
        """
        values = row.values
        try:
            if self._part != _WHOLE and self._is_outside(values):
                return LeftOut(row)
            self._identities.trimmed = 0
            identities = tuple([self._identities.clean(cell(values)) for cell in self._cells])
            is_part = "" in identities
            if is_part:
                self._check_any(identities)
            elif len(set(map(fold_identity, identities))) < len(identities):
                raise _Bad(
                    "I2", f"{identities[0]!r} is {' and '.join(self._personas)} at once: one person for good"
                )
            name = self._event(values)
            _check_event(name)
            moment = self._times.parse(self._timestamp(values))
            properties = self._properties.read(values)
            if len(row.raw) > LONGEST_VALUE // 4:
                _check_size(properties)
            event_id = self._id(values).strip()
        except (_Bad, BadIdentity) as error:
            return Reject(row, error.code, str(error))
        except BadTime as error:
            return Reject(row, "time", str(error))
        except Unclear as error:
            raise InputError(f"{row.source}, line {row.line}: {error}", error.cure) from None
        if is_part or self._times.leap_second:
            self._note_on(row, identities)
        self._count(moment, self._properties.width - len(properties))
        return Event(row, identities, name, moment, properties, event_id)

    def _is_outside(self, values: Any) -> bool:
        """Tell whether a row is outside of the part. What is wrong with one that is does not matter."""
        try:
            if not self._part.has_event(self._event(values)):
                return True
            return self._part.has_times and not self._part.has_moment(
                self._times.moment(self._timestamp(values))
            )
        except (_Bad, BadTime):
            return False  # Without a name or a time nobody can tell; it will be rejected.

    @property
    def unit(self) -> str:
        """The unit of numeric times, as recognised so far by their magnitude; "" for none."""
        return self._times.unit

    def _check_any(self, identities: tuple[str, ...]) -> None:
        if not any(identities):
            raise _Bad("no-identity", f"it names no {' and no '.join(self._personas)}")

    def _count(self, moment: int, empty: int) -> None:
        """Count what was normalised in a row that is sent."""
        if empty:
            self._normalised["empty-values"] += empty
        if moment % NANOSECONDS:
            self._normalised["fractions-floored"] += 1
        if self._identities.trimmed:
            self._normalised["blanks-around-ids"] += self._identities.trimmed

    def _note_on(self, row: Row, identities: tuple[str, ...]) -> None:
        """Note what was made of a row that is sent."""
        for persona, has_column, identity in zip(self._personas, self._has_column, identities, strict=True):
            if not identity:
                if has_column:
                    self._normalised["parts-without-id"] += 1
                said = f"a row without {persona}: that part is left out"
                self._note(Finding(f"no-{persona}", said, row.source, row.line))
        if self._times.leap_second:
            self._note(Finding("leap-second", "the second :60 is read as :59", row.source, row.line))


def _check_event(name: str) -> None:
    if not name or name.isspace():
        raise _Bad("no-event", "it has no event name")
    if len(name) > LONGEST_NAME:
        raise _Bad("D4", f"the event name {name[:30]!r}… has {len(name)} characters, over 254")


def _check_size(properties: Properties) -> None:
    if len(properties) > MOST_PROPERTIES:
        raise _Bad("too-many-properties", f"it has {len(properties):,} properties, over {MOST_PROPERTIES:,}")
    for name, value in properties:
        if len(value) > LONGEST_VALUE // 4 and len(value.encode()) > LONGEST_VALUE:
            raise _Bad("D5", f"the value of {name!r} has more than {LONGEST_VALUE:,} bytes")


def _cell_of(place: dict[str, int]) -> Callable[[str], Cell]:
    def cell(name: str) -> Cell:
        if not name:
            return lambda _: ""
        index = place[name]
        return lambda cells: str(cells[index])

    return cell


class _CellProperties:
    """Reads the properties of cells. `width` is how many there are if none is empty."""

    def __init__(self, indexes: tuple[tuple[int, str], ...]) -> None:
        self._indexes = indexes
        self.width = len(indexes)

    def read(self, cells: list[str]) -> Properties:
        """Return those that are not empty."""
        return tuple([(name, cells[index]) for index, name in self._indexes if cells[index]])


def _member(name: str) -> Cell:
    """Return what reads a member of an object: under its whole name, else along its dots."""
    if not name:
        return lambda _: ""
    if "." not in name:
        return lambda values: _text(name, values.get(name))
    return lambda values: _text(name, _found(values, name))


def _found(values: dict[str, Any], name: str, absent: object = None) -> Any:
    if name in values:
        return values[name]
    found: Any = values
    for key in name.split("."):
        found = found.get(key, absent) if isinstance(found, dict) else absent
    return found


def _text(name: str, value: Any) -> str:
    """Return a JSON value as it is sent: numbers as written, true and false as words, null as nothing."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    raise _Bad("nested", f"{name[:60]!r} is nested JSON, no single value")


class _ObjectProperties:
    """Reads the properties of objects, whose keys may differ from one to the next.

    `width` is how many the last one had, empty ones among them.
    """

    def __init__(self, columns: Columns) -> None:
        self._wanted = columns.properties
        self._exclude = columns.exclude
        self._flatten = columns.flatten
        self._taken = columns.taken
        self._roots = {name.split(".")[0] for name in columns.taken.union(columns.exclude) if "." in name}
        self._checked: set[tuple[str, ...]] = set()
        self.width = 0

    def read(self, values: dict[str, Any]) -> Properties:
        """Return those that are not empty. Raises _Bad."""
        if self._wanted is None:
            pairs = list(self._rest(values, ""))
        else:
            members = [(name, _found(values, name, _ABSENT)) for name in self._wanted]
            pairs = [
                pair
                for name, value in members
                if value is not _ABSENT
                for pair in self._named(name, value, apart=False)
            ]
        self.width = len(pairs)
        found = tuple(pair for pair in pairs if pair[1])
        names = tuple([name for name, _ in found])
        if names not in self._checked:
            _check_names(names)
            if len(self._checked) > 10_000:
                self._checked.clear()
            self._checked.add(names)
        return found

    def _rest(self, values: dict[str, Any], prefix: str) -> Iterable[tuple[str, str]]:
        for key, value in values.items():
            name = prefix + key
            if name in self._taken or name in self._exclude:
                continue
            if isinstance(value, str):
                yield name, value
            else:
                yield from self._named(name, value, apart=bool(prefix) or name in self._roots)

    def _named(self, name: str, value: Any, *, apart: bool) -> Iterable[tuple[str, str]]:
        """Yield one member: an object is taken `apart` if part of it is used, and with --flatten."""
        if isinstance(value, dict) and (self._flatten or apart):
            yield from self._inside(value, name)
        elif isinstance(value, list) and self._flatten:
            yield from self._inside({str(index): item for index, item in enumerate(value)}, name)
        elif isinstance(value, dict | list):
            raise _nested(name)
        else:
            yield name, _text(name, value)

    def _inside(self, values: dict[str, Any], name: str) -> Iterable[tuple[str, str]]:
        """Yield what is in an object; without --flatten there must be nothing left in it."""
        for inner in self._rest(values, f"{name}."):
            if not self._flatten and inner[1]:
                raise _nested(inner[0])
            yield inner


def _nested(name: str) -> _Bad:
    name = name if len(name) <= 60 else name[:60] + "…"
    return _Bad(
        "nested",
        f"{name!r} is nested JSON, which Kissmetrics does not take (D5); "
        f"--flatten sends it, --exclude-property {shlex.quote(name)} leaves it out",
    )


def _check_names(names: tuple[str, ...]) -> None:
    """Refuse a row with a name that can't be sent, or with two that Kissmetrics would make one (D4)."""
    folded: dict[str, str] = {}
    for name in names:
        _check_property(name)
        other = folded.setdefault(fold_name(name), name)
        if other is not name:
            raise _Bad("twice", f"two of its members would be one property: {other!r} and {name!r} (D4)")


def _check_property(name: str) -> None:
    if not name.strip():
        raise _Bad("no-property-name", "a property has an empty name")
    if len(name) > LONGEST_NAME:
        raise _Bad("D4", f"the property name {name[:30]!r}… has {len(name)} characters, over {LONGEST_NAME}")
    if is_reserved(name):
        raise _Bad(
            "reserved",
            f"the property {name!r} is reserved by Kissmetrics; "
            f"--exclude-property {shlex.quote(name)} leaves it out",
        )
