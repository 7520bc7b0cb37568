"""What an input is: which reading it goes on with, and how its rows are mapped."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from km_cli.config import Settings
from km_cli.errors import InputError
from km_cli.inputs import Opened
from km_cli.ledger import Head, Ledger, Reading
from km_cli.mapping import EventsSeen, Mapper, Mapping, recognise
from km_cli.model import Row
from km_cli.tally import Tally

if TYPE_CHECKING:
    from hashlib import _Hash


class Actor(NamedTuple):
    """Who acts: part of what a call is known by, and so the same for a log as long as it is read."""

    tracker: str
    site: str
    persona: str
    column: str
    prefix: str

    @property
    def said(self) -> str:
        """The persona, its column and its prefix, for people."""
        prefix = f" and the prefix {self.prefix!r}" if self.prefix else ""
        return f"{self.persona!r} from {self.column!r}{prefix}"


class Understood(NamedTuple):
    """A reading that an input goes on with (or a new one), its mapping, and the hash of what is behind it."""

    reading: Reading
    mapping: Mapping
    state: _Hash


class Understanding:
    """Knows inputs again, and recognises what is new. `check` may raise what ends the run."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        seen: EventsSeen,
        tally: Tally,
        now: float,
        check: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._seen = seen
        self._tally = tally
        self._now = now
        self._check = check

    def of(self, opened: Opened) -> Understood:
        """Know a file again by the bytes already read under the same mapping, whatever its name (promise 5).

        A rejects file has no reading to go on with: its rows belong to the readings they came from. Raises
        InputError if the columns are not understood, or if a log that was read had another actor.
        """
        asked, source = self._settings.asked, opened.source
        heads: list[tuple[Head, _Hash]] = []
        if source.path is not None and opened.format != "rejects":
            heads = self._heads(opened)
            for head, state in heads:
                if head.asked == asked:
                    reading = self._ledger.reading_of(head.number)
                    with self._ledger.decoding("readings"):
                        mapping = Mapping.from_json(reading.mapping)
                    return Understood(reading._replace(source=source.name), mapping, state)
        mapping = self.mapping(opened)
        actor = self._actor(mapping)
        self._check_actor(opened, actor, [head for head, _ in heads])
        reading = self._ledger.readings.begin(
            asked, mapping.to_json(), source.name, opened.columns, opened.delimiter, json.dumps(actor)
        )
        return Understood(reading, mapping, sha256())

    def _heads(self, opened: Opened) -> list[tuple[Head, _Hash]]:
        """Return the readings that the file begins with, however asked for, the longest first."""
        heads = self._ledger.readings.heads
        known = reversed(opened.source.longest_known(heads.lengths, self._check))
        return [(head, state) for length, state in known for head in heads.of(length, state.digest())]

    def _actor(self, mapping: Mapping) -> Actor:
        first, columns = self._settings.personas[0], mapping.columns.personas[0]
        tracker = self._settings.target.tracker
        return Actor(tracker, first.site, first.name, columns.identity, first.prefix)

    def _check_actor(self, opened: Opened, actor: Actor, heads: list[Head]) -> None:
        """Refuse a log that was read with another actor: all that others did would be sent again."""
        for head in heads:
            with self._ledger.decoding("readings"):
                before = Actor(*json.loads(head.actor)) if head.actor and head.rows else actor
            if before != actor and before[:2] == actor[:2]:
                raise InputError(
                    f"{opened.source.name}: it was read before with {before.said} as the one who acts; with "
                    f"{actor.said} all that others did would be sent again",
                    "let the same persona act, as it was; if all is to be sent again, give this import a "
                    "site or a ledger of its own",
                )

    def mapping(self, opened: Opened) -> Mapping:
        """Recognise the columns; those of a rejects file are known from the readings it came from."""
        if opened.token:
            known = self._ledger.readings.by_token(opened.token)
            if known is not None:
                return self.under(opened, Mapping.from_json(known.mapping))
        settings = self._settings
        columns = recognise(
            settings.wanted,
            settings.personas,
            opened.columns,
            opened.source.name,
            tabular=opened.format == "delimited",
            members=settings.members.personas if settings.members else frozenset(),
        )
        return Mapping(columns, settings.clocking, settings.people.digest)

    def under(self, opened: Opened, known: Mapping) -> Mapping:
        """Lay what is asked for over the mapping of a reading that corrected rejects come from.

        Raises InputError if other personas would do what is owed: it would go to other people or sites.
        """
        settings = self._settings
        if known.people != settings.people.digest:
            raise InputError(
                f"{opened.source.name}: its rejects come from an import with other personas",
                "import it with the --strategy, --site and --config that the log was imported with",
            )
        return known.under(
            settings.wanted, settings.personas, settings.clocking, opened.columns, opened.source.name
        )

    def of_token(self, token: str) -> Reading | None:
        """Return the reading that a reject names."""
        return self._ledger.readings.by_token(token)

    def mapper(self, opened: Opened, mapping: Mapping) -> Mapper:
        """Return what maps an input's rows."""
        settings = self._settings
        return Mapper(
            mapping.columns,
            opened.columns,
            tabular=opened.format == "delimited",
            personas=settings.personas,
            clocking=mapping.clocking,
            allowed=settings.allowed,
            now=self._now,
            note=self._tally.note,
            normalised=self._tally.normalised,
            part=settings.part,
            members=settings.members,
            seen=self._seen,
        )


class Mappers:
    """The mapper of an input, and those of the readings that corrected rejects come from."""

    def __init__(self, understanding: Understanding, opened: Opened, mapping: Mapping) -> None:
        self._understanding = understanding
        self._opened = opened
        self._mapping = mapping
        self._known: dict[str, tuple[Mapper, int]] = {}
        self.own = understanding.mapper(opened, mapping)

    def of(self, row: Row) -> Mapper:
        """Return the mapper for a row; what is asked for goes before what its reading knew."""
        return self._of(row.origin.reading)[0] if row.origin else self.own

    def reading_of(self, row: Row) -> int:
        """Return the reading that a corrected reject belongs to; 0 for rows of this one.

        With other properties than then it is matched like another reading of the same log (promise 5).
        """
        return self._of(row.origin.reading)[1] if row.origin else 0

    def _of(self, token: str) -> tuple[Mapper, int]:
        found = self._known.get(token)
        if found is None:
            found = self._known[token] = self._made(token)
        return found

    def _made(self, token: str) -> tuple[Mapper, int]:
        reading = self._understanding.of_token(token)
        if reading is None:
            return self._understanding.mapper(self._opened, self._mapping), 0
        before = Mapping.from_json(reading.mapping)
        mapping = self._understanding.under(self._opened, before)
        is_same = mapping.columns.carried == before.columns.carried
        return self._understanding.mapper(self._opened, mapping), reading.number if is_same else 0
