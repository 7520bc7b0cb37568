"""The roles of columns, as frozen values: as flags and km.toml give them, and as one input has them."""

from __future__ import annotations

from typing import NamedTuple

from km_cli.mapping.nested import MEMBERS


class Condition(NamedTuple):
    """A condition on a column's text: it is one of `values`, or, unless `is_in`, none of them."""

    column: str
    is_in: bool
    values: tuple[str, ...]


class ColumnOptions(NamedTuple):
    """The columns as flags and km.toml name them; "" and None: recognise them. Persona has its own columns.

    `properties` are the only columns to send as properties; () for none, None for all that are not named
    elsewhere. `event_name` is the event of every row, for logs without an event column. Columns in `ignore`
    are neither sent nor compared. `rename` are pairs of a column and the property that it is sent as,
    `constant` pairs of a property and its value on every record. Only rows that meet all conditions in
    `where` are taken. With `skip_anonymous`, rows that name no persona are skipped, not rejected.

    `without_event` says what a row without an event does: "set" sets its properties, "" rejects it. With
    `leave_out_reserved`, properties that Kissmetrics reserves are left out and counted; without it their row
    is rejected. `export` is the name and the version of the table that the columns come from, if any.
    `withheld_alias` is a column of aliases that --allow-alias would send.

    With `profiles`, no row has an event: each sets its properties. `at` is the time of every row then, for
    files without a time column, as a text that `Times` reads without options. Where the timestamp is empty,
    the first of the `times` that is not empty is the time. An input, or its first rows, may lack the columns
    in `optional`.

    Values of the columns in `hash` and `drop` stay home: the former are sent as digests, the latter are not
    sent (they are in `exclude` too). `hash_key` is the fingerprint of the key.
    """

    event: str = ""
    timestamp: str = ""
    id: str = ""
    properties: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    flatten: bool = False
    event_name: str = ""
    ignore: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    constant: tuple[tuple[str, str], ...] = ()
    where: tuple[Condition, ...] = ()
    skip_anonymous: bool = False
    without_event: str = ""
    leave_out_reserved: bool = False
    export: str = ""
    withheld_alias: str = ""
    profiles: bool = False
    at: str = ""
    times: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    hash_key: str = ""


class PersonaColumns(NamedTuple):
    """The columns of one persona; "" where the input has none.

    `properties` are those that its records carry, None for those that all personas' records carry. Where the
    `identity` column is empty, the first of the `others` that is not empty has the identity. Texts in
    `nobody` count as empty.
    """

    persona: str
    identity: str = ""
    alias: str = ""
    properties: tuple[str, ...] | None = None
    sets: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    nobody: tuple[str, ...] = ()

    @property
    def identities(self) -> tuple[str, ...]:
        """The columns that the identity may be in, in their order."""
        return (self.identity, *self.others) if self.identity else self.others

    @property
    def plain(self) -> tuple[object, ...]:
        """The fields for the ledger. It lacks those that are unused and unknown to older versions."""
        return self if self.others or self.nobody else self[:_OLD_PERSONA_FIELDS]


class Columns(NamedTuple):
    """The columns as they are used; "" where the input has none. `personas` are in the strategy's order.

    `event_name` is the event of every row, for logs without an event column. The fields from `rename`
    on are as in ColumnOptions.
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
    rename: tuple[tuple[str, str], ...] = ()
    constant: tuple[tuple[str, str], ...] = ()
    where: tuple[Condition, ...] = ()
    skip_anonymous: bool = False
    without_event: str = ""
    leave_out_reserved: bool = False
    export: str = ""
    withheld_alias: str = ""
    at: str = ""
    times: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    hash_key: str = ""

    @property
    def plain(self) -> tuple[object, ...]:
        """The fields for the ledger. It lacks those that are unused and unknown to older versions."""
        end = len(self) if self.hash_key else _TIMES + 1 if self.times else _TIMES
        newer = self[_OLD_FIELDS:end]
        old = ([persona.plain for persona in self.personas], *self[1:_OLD_FIELDS])
        return (*old, *newer) if any(newer) else old

    @property
    def is_named_anew(self) -> bool:
        """Whether some properties have another name than their columns, or are in no column."""
        return bool(self.rename or self.constant or self.leave_out_reserved or self.objects)

    def is_ignored(self, name: str) -> bool:
        """Tell whether a column is neither sent nor compared, or lies in an object that is not."""
        return name in self.ignore or any(_is_inside(name, other) for other in self.ignore)

    def is_sent(self, name: str) -> bool:
        """Tell whether calls depend on a column: it has a role, or it is a property of records."""
        if name in self.taken or any(other.startswith(f"{name}.") for other in self.taken):
            return True
        if self.is_ignored(name) or self.is_excluded(name):
            return False
        sent = self.all_properties
        return sent is None or any(
            name == other or _is_inside(name, other) or _is_inside(other, name)
            for other in (one.removesuffix(MEMBERS) for one in sent)
        )

    def is_excluded(self, name: str) -> bool:
        """Tell whether a column is left out of the properties, or lies in an object that is."""
        return name in self.exclude or any(_is_inside(name, other) for other in self.exclude)

    @property
    def taken(self) -> frozenset[str]:
        """The columns that have a role other than property of records."""
        names = [self.event, self.timestamp, self.id, self.withheld_alias, *self.times]
        for persona in self.personas:
            names += [*persona.identities, persona.alias, *persona.sets]
        return frozenset(filter(None, names))

    @property
    def named(self) -> tuple[str, ...]:
        """Every column that is named here, each once."""
        others = (*(name for name, _ in self.rename), *(one.column for one in self.where), *self.hash)
        named = (*sorted(self.taken), *(self.all_properties or ()), *self.exclude, *others)
        return tuple(dict.fromkeys(named))

    @property
    def objects(self) -> tuple[str, ...]:
        """The objects of which some persona's records carry all members (`OBJECT.*`)."""
        named = (name for names in self._asked_properties for name in names or ())
        return tuple(dict.fromkeys(name.removesuffix(MEMBERS) for name in named if name.endswith(MEMBERS)))

    @property
    def all_properties(self) -> tuple[str, ...] | None:
        """The columns that some persona's records carry; None for every column not named elsewhere."""
        asked = self._asked_properties
        named = tuple(dict.fromkeys(name for names in asked for name in names or ()))
        return None if None in asked else named

    @property
    def _asked_properties(self) -> list[tuple[str, ...] | None]:
        return [
            self.properties if persona.properties is None else persona.properties for persona in self.personas
        ]


_OLD_FIELDS = Columns._fields.index("rename")
_TIMES = Columns._fields.index("times")
_OLD_PERSONA_FIELDS = PersonaColumns._fields.index("others")
"""How many fields every ledger has of both; those behind them are kept only if one is used."""


def property_columns(columns: Columns, found: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of a header that some persona's records carry, in the header's order.

    Paths that personas name follow. The text of an object of which one carries all members is no property.
    """
    if columns.all_properties is not None:
        return columns.all_properties
    asked = dict.fromkeys(name for persona in columns.personas for name in persona.properties or ())
    left_out = columns.taken.union(columns.exclude, columns.objects)
    # A table may have a column `plan` and a column `plan.name`: the first one is no object then.
    objects = tuple(f"{name}." for name in set(columns.exclude).difference(found))
    whole = tuple(
        name for name in found if name in asked or not (name in left_out or name.startswith(objects))
    )
    return (*whole, *(name for name in asked if name not in found))


def _is_inside(name: str, other: str) -> bool:
    return name.startswith(f"{other}.")
