"""The event of a row, with a part for each persona."""

from __future__ import annotations

from typing import NamedTuple

from km_cli.model.rows import Finding, Properties, Row


class Persona(NamedTuple):
    """A kind of identity that events are recorded as, and the site that records them.

    `events` are the events that the persona may do, None for all: pairs of an event and its name for this
    persona. With "" as that name, `rename` makes it ({event} stands for the name in the log). If it may do
    all, `excepted` are the events that it does not do all the same. `link` are
    pairs of a property and the persona whose identity it holds. `prefix` stands before every identity.

    `column`, `alias`, `properties` and `sets` name columns: of the identity ("": recognise it), of another
    identity of the same person, of the properties of its records (None: those of all personas), and of the
    properties that are set for each identity, whenever they change. Where the `column` is empty, the first of
    the `others` that is not empty has the identity. Texts in `nobody` mean that a row names none.
    """

    name: str
    site: str
    events: tuple[tuple[str, str], ...] | None = None
    rename: str = "{event}"
    link: tuple[tuple[str, str], ...] = ()
    prefix: str = ""
    column: str = ""
    alias: str = ""
    properties: tuple[str, ...] | None = None
    sets: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    nobody: tuple[str, ...] = ()
    excepted: tuple[str, ...] = ()

    @property
    def plain(self) -> tuple[object, ...]:
        """The fields for the ledger. It lacks those that are unused and unknown to older versions."""
        if self.excepted:
            return self
        return self[:12] if self.others or self.nobody else self[:10]

    @property
    def is_recorded(self) -> bool:
        """Whether calls are sent for it. If not, its identity may still be a property of other personas."""
        return bool(self.events != () or self.sets or self.alias)


class PersonaPart(NamedTuple):
    """The part of an event that belongs to one persona: its identity ("" if the row has none) and its values.

    `properties` go with its record, `sets` are set when they change, `alias` is another identity of the same
    person.
    """

    identity: str
    properties: Properties
    sets: Properties = ()
    alias: str = ""


class Event(NamedTuple):
    """The event of a row.

    `parts` has one entry for each persona, in their order. `name` is "" if the row only sets properties or
    names an alias. `moment` counts nanoseconds since 1970. `id` is
    the log's own id of the event, or "". `properties` are all properties; each part has some of them.
    `cells` are all columns that are neither blank nor ignored, sent or not: by these columns rows are
    compared (promise 5). `is_date` if its time has no time of day. `findings` are those of the mapping.
    """

    row: Row
    parts: tuple[PersonaPart, ...]
    name: str
    moment: int
    properties: Properties
    id: str
    cells: Properties = ()
    is_date: bool = False
    findings: tuple[Finding, ...] = ()
