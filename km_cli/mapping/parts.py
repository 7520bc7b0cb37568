"""Event → its parts: one for each persona, with its properties, its links, its `set` and its alias."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from km_cli.kissmetrics import fold_identity, fold_name
from km_cli.mapping.columns import Columns
from km_cli.mapping.identities import Identities
from km_cli.mapping.naming import Naming
from km_cli.mapping.nested import BadRow
from km_cli.mapping.properties import check_size, property_filter
from km_cli.model import Persona, PersonaPart, Properties
from km_cli.model.making import maker

_persona_part = maker(PersonaPart)


def sharing_a_site(personas: Sequence[Persona]) -> tuple[tuple[int, ...], ...]:
    """Return, for each site that several personas are recorded in, their places among the personas."""
    by_site: dict[str, list[int]] = {}
    for place, persona in enumerate(personas):
        if persona.is_recorded:
            by_site.setdefault(persona.site, []).append(place)
    return tuple(tuple(places) for places in by_site.values() if len(places) > 1)


class Parts:
    """Makes each persona's part of an event."""

    def __init__(
        self,
        columns: Columns,
        personas: Sequence[Persona],
        cell: Callable[[str], Callable[[Any], str]],
        others: Identities,
        naming: Naming | None,
        *,
        tabular: bool,
    ) -> None:
        place = {persona.name: index for index, persona in enumerate(personas)}
        self._names = tuple(persona.name for persona in personas)
        self._sharing_a_site = sharing_a_site(personas)
        self._filters = tuple(property_filter(columns, used) for used in columns.personas)
        self._links = tuple(
            tuple((name, place[other]) for name, other in persona.link) for persona in personas
        )
        self._naming = naming
        self._sets = tuple(
            tuple((naming.name(name) if naming else name, cell(name)) for name in used.sets)
            for used in columns.personas
        )
        self._aliases = tuple(cell(used.alias) if used.alias else None for used in columns.personas)
        self._others = others
        # The names of a table's properties are known beforehand, and were compared with the links.
        self._checks_links = not tabular or naming is not None
        # In nearly every log all personas carry the same properties and nothing else.
        self._plain = not any((*self._filters, *self._links, *self._sets, *self._aliases))

    def deal(
        self, values: Any, identities: Sequence[str], properties: Properties, named: Properties
    ) -> tuple[PersonaPart, ...]:
        """Return the parts, one for each persona. `named` are the properties as they are sent."""
        if self._plain:
            return tuple([_persona_part((identity, named, (), "")) for identity in identities])
        return tuple(
            PersonaPart(
                identity,
                self._carried(place, identities, properties, named),
                self._set(place, values),
                self._alias(place, values, identities),
            )
            if identity
            else PersonaPart("", ())
            for place, identity in enumerate(identities)
        )

    def _carried(
        self, place: int, identities: Sequence[str], properties: Properties, named: Properties
    ) -> Properties:
        """Return the properties of a persona's record, with the identities that it is linked to."""
        carried = named
        if pick := self._filters[place]:
            carried = pick(properties)
            carried = self._naming.named(carried) if self._naming else carried
        links = tuple((name, identities[other]) for name, other in self._links[place] if identities[other])
        if links and self._checks_links:
            _check_links(links, carried)
        return carried + links

    def _set(self, place: int, values: Any) -> Properties:
        pairs = tuple((name, text) for name, cell in self._sets[place] if (text := cell(values)))
        check_size(pairs)
        return pairs

    def _alias(self, place: int, values: Any, identities: Sequence[str]) -> str:
        """Return the alias that a row has for a persona, "" if it is the identity itself.

        Refuse an alias that is another persona's identity in the same site: both would be one person (I2).
        """
        cell = self._aliases[place]
        other = self._others.clean(cell(values)) if cell else ""
        folded = fold_identity(other)
        if not other or folded == fold_identity(identities[place]):
            return ""
        for places in self._sharing_a_site:
            for at in places if place in places else ():
                if fold_identity(identities[at]) == folded:
                    raise BadRow(
                        "I2",
                        f"{other!r} is the {self._names[at]} and an alias of the {self._names[place]}: "
                        "one person for good",
                    )
        return other


def _check_links(links: Properties, carried: Properties) -> None:
    """Refuse an object with a member that has the name of a link: both would become one property (D4)."""
    taken = {fold_name(name): name for name, _ in links}
    for name, _ in carried:
        if fold_name(name) in taken:
            raise BadRow(
                "twice",
                f"the member {name!r} and the link {taken[fold_name(name)]!r} would become one property "
                "(D4); --exclude-property leaves the member out",
            )
