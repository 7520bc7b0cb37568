"""The roles of columns, as frozen values: as flags and km.toml give them, and as one input has them."""

from __future__ import annotations

from typing import NamedTuple


class ColumnOptions(NamedTuple):
    """The columns as flags and km.toml name them; "" and None: recognise them. Persona has its own columns.

    `properties` are the only columns to send as properties; () for none, None for all that are not named
    elsewhere. `event_name` is the event of every row, for logs without an event column. Columns in `ignore`
    are neither sent nor compared.
    """

    event: str = ""
    timestamp: str = ""
    id: str = ""
    properties: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    flatten: bool = False
    event_name: str = ""
    ignore: tuple[str, ...] = ()


class PersonaColumns(NamedTuple):
    """The columns of one persona; "" where the input has none.

    `properties` are those that its records carry, None for those that all personas' records carry.
    """

    persona: str
    identity: str = ""
    alias: str = ""
    properties: tuple[str, ...] | None = None
    sets: tuple[str, ...] = ()


class Columns(NamedTuple):
    """The columns as they are used; "" where the input has none. `personas` are in the strategy's order.

    `event_name` is the event of every row, for logs without an event column.
    """

    personas: tuple[PersonaColumns, ...]
    event: str
    timestamp: str
    id: str
    properties: tuple[str, ...] | None
    exclude: tuple[str, ...]
    flatten: bool
    event_name: str = ""
    ignore: tuple[str, ...] = ()

    def is_ignored(self, name: str) -> bool:
        """Tell whether a column is neither sent nor compared, or lies in an object that is not."""
        return name in self.ignore or any(name.startswith(f"{other}.") for other in self.ignore)

    def is_sent(self, name: str) -> bool:
        """Tell whether calls depend on a column: it has a role, or it is a property of records."""
        if name in self.taken:
            return True
        if self.is_ignored(name) or name in self.exclude:
            return False
        sent = self.all_properties
        return sent is None or name in sent or any(name.startswith(f"{other}.") for other in sent)

    @property
    def taken(self) -> frozenset[str]:
        """The columns that have a role other than property of records."""
        names = [self.event, self.timestamp, self.id]
        for persona in self.personas:
            names += [persona.identity, persona.alias, *persona.sets]
        return frozenset(filter(None, names))

    @property
    def named(self) -> tuple[str, ...]:
        """Every column that is named here, each once."""
        return tuple(dict.fromkeys((*sorted(self.taken), *(self.all_properties or ()), *self.exclude)))

    @property
    def all_properties(self) -> tuple[str, ...] | None:
        """The columns that some persona's records carry; None for every column not named elsewhere."""
        asked = [
            self.properties if persona.properties is None else persona.properties for persona in self.personas
        ]
        named = tuple(dict.fromkeys(name for names in asked for name in names or ()))
        return None if None in asked else named


def property_columns(columns: Columns, found: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of a header that some persona's records carry, in the header's order."""
    if columns.all_properties is not None:
        return columns.all_properties
    left_out = columns.taken.union(columns.exclude)
    asked = {name for persona in columns.personas for name in persona.properties or ()}
    return tuple(name for name in found if name not in left_out or name in asked)
