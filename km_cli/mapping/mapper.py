"""The mapping itself, compiled once for an input's columns and then applied to every row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from km_cli.errors import InputError
from km_cli.kissmetrics import LONGEST_NAME, LONGEST_VALUE, fold_identity, fold_name
from km_cli.mapping.columns import Columns
from km_cli.mapping.identities import BadIdentity, Identities
from km_cli.mapping.members import Members
from km_cli.mapping.properties import Bad, check_size, readers, selection, whole
from km_cli.mapping.selection import EventsSeen, LeftOut, Selection
from km_cli.mapping.times import BadTime, Clocking, Times, Unclear
from km_cli.model import NANOSECONDS, Event, Finding, Persona, PersonaPart, Properties, Reject, Row

_WHOLE = Selection()


class Mapper:
    """Maps the rows of one input. Findings about single rows go to `note`.

    `members` say whose account a user is where a row does not. `normalised` counts what was made of rows that
    became events, without a finding (tally.py has the words).
    """

    def __init__(
        self,
        columns: Columns,
        found: tuple[str, ...],
        *,
        tabular: bool,
        personas: Sequence[Persona],
        clocking: Clocking,
        allowed: Iterable[str],
        now: float,
        note: Callable[[Finding], None],
        normalised: defaultdict[str, int],
        selection: Selection = _WHOLE,
        seen: EventsSeen | None = None,
        members: Members | None = None,
    ) -> None:
        self._selection = selection
        self._seen = seen or EventsSeen(selection)
        self._looks = selection != _WHOLE or self._seen.has_lists
        self._personas = tuple(persona.name for persona in personas)
        self._note = note
        self._normalised = normalised
        self._trimmed: list[str] = []
        self._is_expected = tuple(bool(who.identity or members) for who in columns.personas)
        self._times = Times(clocking, now)
        self._members = members
        cell, self._properties = readers(columns, found, tabular=tabular)
        self._whole = whole(columns, found, tabular=tabular)
        allowed = tuple(allowed)
        self._who = tuple(
            (cell(who.identity), Identities(allowed, persona.prefix, self._trimmed).clean)
            for who, persona in zip(columns.personas, personas, strict=True)
        )
        self._event, self._timestamp, self._id = (
            cell(name) for name in (columns.event, columns.timestamp, columns.id)
        )
        if columns.event_name:
            self._event = lambda _: columns.event_name
        self._together = _together(personas)
        self._parts = _Parts(
            columns, personas, cell, Identities(allowed, trimmed=self._trimmed), tabular=tabular
        )

    def map(self, row: Row) -> Event | Reject | LeftOut:
        """Return the event that `row` is, or why it can't be sent; LeftOut if it is not to be sent.

        Raises InputError if the times of the input can't be understood without a flag.
        """
        values = row.values
        try:
            if self._looks and self._is_outside(values):
                return LeftOut(row)
            self._trimmed.clear()
            identities = [clean(cell(values)) for cell, clean in self._who]
            is_part = "" in identities
            if is_part and self._members is None:
                self._check_any(identities)
            name = self._event(values)
            _check_event(name)
            time = self._timestamp(values)
            moment = self._times.parse(time)
            if is_part and self._members is not None:
                identities = self._completed(values, identities, moment)
                self._check_any(identities)
                is_part = "" in identities
            self._check_apart(identities)
            properties = self._properties.read(values)
            if len(row.raw) > LONGEST_VALUE // 4:
                check_size(properties)
            parts = self._parts.of(values, identities, properties)
            event_id = self._id(values).strip()
        except (Bad, BadIdentity) as error:
            return Reject(row, error.code, str(error))
        except BadTime as error:
            return Reject(row, "time", str(error))
        except Unclear as error:
            place = f"{row.source}, line {row.line}"
            raise InputError(
                f"{place}: {error}", error.cure, plain=f"{place}: its time is not clear"
            ) from None
        if is_part or self._times.leap_second:
            self._note_on(row, identities)
        self._count(moment, self._properties.width - len(properties))
        cells, is_date = self._whole(values), self._times.is_date(time)
        return Event(row, parts, name, moment, properties, event_id, cells, is_date)

    def _is_outside(self, values: Any) -> bool:
        """Tell whether a row is outside of the part. What is wrong with one that is does not matter."""
        try:
            name = self._event(values)
            self._seen.see(name)
            if not self._selection.has_event(name):
                return True
            return self._selection.has_times and not self._selection.has_moment(
                self._times.moment(self._timestamp(values))
            )
        except (Bad, BadTime):
            return False  # Without a name or a time nobody can tell; it will be rejected.

    @property
    def unit(self) -> str:
        """The unit of numeric times, as recognised so far by their magnitude; "" for none."""
        return self._times.unit

    def _check_any(self, identities: list[str]) -> None:
        if not any(identities):
            raise Bad("no-identity", f"it names no {' and no '.join(self._personas)}")

    def _check_apart(self, identities: list[str]) -> None:
        """Refuse a row in which two personas of one site are the same person (I2)."""
        for places in self._together:
            named = [fold_identity(identities[place]) for place in places if identities[place]]
            if len(set(named)) < len(named):
                who = [place for place in places if named.count(fold_identity(identities[place])) > 1]
                raise Bad(
                    "I2",
                    f"{identities[who[0]]!r} is {' and '.join(self._personas[place] for place in who)} at "
                    "once: one person for good; a prefix in km.toml keeps them apart",
                )

    def _completed(self, values: Any, identities: list[str], moment: int) -> list[str]:
        """Return the identities with what the members' file knows of the one who acts."""
        assert self._members is not None
        cell, _ = self._who[0]
        known = self._members.of(cell(values).strip(), moment)
        return [
            identity or clean(other)
            for identity, other, (_, clean) in zip(identities, known, self._who, strict=True)
        ]

    def _count(self, moment: int, empty: int) -> None:
        """Count what was normalised in a row that is sent."""
        if empty:
            self._normalised["empty-values"] += empty
        if moment % NANOSECONDS:
            self._normalised["fractions-floored"] += 1
        if self._trimmed:
            self._normalised["blanks-around-ids"] += len(self._trimmed)

    def _note_on(self, row: Row, identities: list[str]) -> None:
        """Note what was made of a row that is sent."""
        for persona, is_expected, identity in zip(self._personas, self._is_expected, identities, strict=True):
            if not identity:
                if is_expected:
                    self._normalised["parts-without-id"] += 1
                said = f"a row without {persona}: that part is left out"
                self._note(Finding(f"no-{persona}", said, row.source, row.line))
        if self._times.leap_second:
            self._note(Finding("leap-second", "the second :60 is read as :59", row.source, row.line))


def _together(personas: Sequence[Persona]) -> tuple[tuple[int, ...], ...]:
    """Return the places of personas that share a site, of those that are recorded at all."""
    by_site: dict[str, list[int]] = {}
    for place, persona in enumerate(personas):
        if persona.is_recorded:
            by_site.setdefault(persona.site, []).append(place)
    return tuple(tuple(places) for places in by_site.values() if len(places) > 1)


def _check_event(name: str) -> None:
    if not name or name.isspace():
        raise Bad("no-event", "it has no event name")
    if len(name) > LONGEST_NAME:
        raise Bad("D4", f"the event name {name[:30]!r}… has {len(name)} characters, over 254")


class _Parts:
    """Deals an event out to the personas."""

    def __init__(
        self,
        columns: Columns,
        personas: Sequence[Persona],
        cell: Callable[[str], Callable[[Any], str]],
        others: Identities,
        *,
        tabular: bool,
    ) -> None:
        place = {persona.name: index for index, persona in enumerate(personas)}
        self._names = tuple(persona.name for persona in personas)
        self._together = _together(personas)
        self._selections = tuple(selection(columns, who) for who in columns.personas)
        self._links = tuple(
            tuple((name, place[other]) for name, other in persona.link) for persona in personas
        )
        self._sets = tuple(tuple((name, cell(name)) for name in who.sets) for who in columns.personas)
        self._aliases = tuple(cell(who.alias) if who.alias else None for who in columns.personas)
        self._others = others
        self._tabular = tabular
        # All carry the same and nothing else: nearly every log.
        self._plain = not any((*self._selections, *self._links, *self._sets, *self._aliases))

    def of(self, values: Any, identities: Sequence[str], properties: Properties) -> tuple[PersonaPart, ...]:
        """Return each persona's part."""
        if self._plain:
            return tuple([PersonaPart(identity, properties) for identity in identities])
        return tuple(
            PersonaPart(
                identity,
                self._carried(place, identities, properties),
                self._set(place, values),
                self._alias(place, values, identities),
            )
            if identity
            else PersonaPart("", ())
            for place, identity in enumerate(identities)
        )

    def _carried(self, place: int, identities: Sequence[str], properties: Properties) -> Properties:
        """Return what a persona's record carries: its properties, and others' identities."""
        select = self._selections[place]
        carried = select(properties) if select else properties
        links = tuple((name, identities[other]) for name, other in self._links[place] if identities[other])
        if links and not self._tabular:
            _check_links(links, carried)
        return carried + links

    def _set(self, place: int, values: Any) -> Properties:
        pairs = tuple((name, text) for name, cell in self._sets[place] if (text := cell(values)))
        check_size(pairs)
        return pairs

    def _alias(self, place: int, values: Any, identities: Sequence[str]) -> str:
        """Return the other identity that a row has for the same person, if it is another.

        One that the row has for another persona of the site would make one person of both (I2).
        """
        cell = self._aliases[place]
        other = self._others.clean(cell(values)) if cell else ""
        folded = fold_identity(other)
        if not other or folded == fold_identity(identities[place]):
            return ""
        for places in self._together:
            for at in places if place in places else ():
                if fold_identity(identities[at]) == folded:
                    raise Bad(
                        "I2",
                        f"{other!r} is the {self._names[at]} and an alias of the {self._names[place]}: "
                        "one person for good",
                    )
        return other


def _check_links(links: Properties, carried: Properties) -> None:
    """Refuse an object one of whose members would be one property with another's identity (D4)."""
    taken = {fold_name(name): name for name, _ in links}
    for name, _ in carried:
        if fold_name(name) in taken:
            raise Bad(
                "twice",
                f"the member {name!r} and the link {taken[fold_name(name)]!r} would be one property (D4); "
                "--exclude-property leaves the member out",
            )
