"""How rows are read under one mapping: the records that they become, without their properties."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

from km_cli.config.settings import Settings
from km_cli.errors import InputError
from km_cli.inputs import Opened
from km_cli.mapping import Columns, Mapper, Mapping
from km_cli.model import Event, Persona, Record, Row
from km_cli.model import Sequence as Calls
from km_cli.strategies import Expansion

_PROFILE, _SOME_TIME = "profile", "2020-01-01T00:00:00+00:00"
"""Stand for the event of profiles and for the time of `--at` where readings are compared."""

Part = tuple[str, str]
"""The site and the persona of a record."""


class Interpretation:
    """The records that rows become under some mapping and personas, without their properties.

    Two interpretations with the same `key` give every record the same deed.
    """

    def __init__(
        self,
        settings: Settings,
        opened: Opened,
        mapping: Mapping,
        personas: Sequence[Persona],
        now: float,
    ) -> None:
        columns = bare(mapping.columns)
        plain = [(one.name, one.site, one.events, one.rename, one.prefix, *one.excepted) for one in personas]
        deeds = columns._replace(where=(), skip_anonymous=False)  # they only decide which rows are taken
        self.key = json.dumps([deeds, mapping.time_options, plain])
        self._width = len(opened.columns) if opened.format.is_tabular else 0
        self._expansion = Expansion(personas)
        self._mapper = Mapper(
            columns,
            opened.columns,
            tabular=opened.format.is_tabular,
            personas=personas,
            time_options=mapping.time_options,
            allowed=settings.allowed,
            now=now,
            normalised=defaultdict(int),
            members=settings.members,
            hasher=settings.hasher,
        )

    def records(self, row: Row) -> dict[Part, Record]:
        """Return the record of each persona in each site; a row that would be rejected has none."""
        if self._width and (row.values is None or len(row.values) != self._width):
            return {}  # The reader rejected it: it has too many cells, or too few.
        try:
            event = self._mapper.map(row)
        except InputError:
            return {}
        sequence = self._expansion.expand(event) if type(event) is Event else None
        if type(sequence) is not Calls:
            return {}
        return {(call.site, call.persona): call for call in sequence.calls if type(call) is Record}


def bare(columns: Columns) -> Columns:
    """Return columns without those that are no part of a deed: properties, sets, aliases, ids."""
    people = tuple(who._replace(alias="", properties=(), sets=()) for who in columns.personas)
    left = columns._replace(personas=people, id="", properties=(), exclude=(), flatten=False, ignore=())
    left = _with_hashed_identities(left)
    left = left._replace(rename=(), constant=(), leave_out_reserved=False, export="", withheld_alias="")
    if columns.event or columns.event_name:
        return left
    # Profiles have no event. They are compared as if all had the same one, and `--at` is not their own time.
    at = _SOME_TIME if columns.at else ""
    return left._replace(event_name=_PROFILE, without_event="", at=at)


def _with_hashed_identities(columns: Columns) -> Columns:
    """Return columns in which only identities are hashed."""
    identities = {name for one in columns.personas for name in one.identities}
    hashed = tuple(name for name in columns.hash if name in identities)
    return columns._replace(hash=hashed, drop=(), hash_key=columns.hash_key if hashed else "")


def personas_to_json(personas: Sequence[Persona]) -> str:
    """Return personas as text for the ledger."""
    return json.dumps([persona.plain for persona in personas])


def personas_from_json(text: str) -> tuple[Persona, ...]:
    """Return the personas that `personas_to_json` wrote, as far as they are part of a deed."""
    return tuple(
        Persona(
            name,
            site,
            None if events is None else tuple((event, called) for event, called in events),
            rename,
            (),
            prefix,
            excepted=tuple(rest[6]) if len(rest) > 6 else (),
        )
        for name, site, events, rename, _link, prefix, *rest in json.loads(text)
    )
