"""Reads the export into the workspace, and the names of people from logs that are given again."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import inf

from km_cli.memory import Remembered
from km_cli.planning.fingerprints import Fingerprints
from km_cli.planning.keyed import fingerprints_for
from km_cli.verify.export.expected import Product
from km_cli.verify.export.files import ExportError, ExportFiles
from km_cli.verify.export.judging import Reach
from km_cli.verify.export.records import ExportRecord, RecordReader
from km_cli.verify.export.workspace import Workspace

_MOST_REMEMBERED = 100_000
_MOST_NAMES = 200_000
"""Names of events that are kept. Kissmetrics has room for 65,535 (D8)."""

_ADD_HELD = "INSERT INTO held VALUES (?, ?, ?, ?, ?, ?, ?)"
_ADD_PERSON = "INSERT OR IGNORE INTO people VALUES (?, ?, ?)"
_ADD_ALIAS = """
INSERT INTO aliases VALUES (?, ?, 0) ON CONFLICT (one, other) DO UPDATE SET
    is_ours = CASE is_ours WHEN 0 THEN 0 ELSE 2 END
"""
"""Aliases of the ledger have 1 in `is_ours`, those of both sides 2."""


class People:
    """Notes the names of people, by the digests that each product of a ledger has for them.

    A person of another product has to be known too, so that its calls are not taken for absent ones.
    """

    def __init__(
        self, workspace: Workspace, product: Product, products: Collection[Product], secret: bytes
    ) -> None:
        """`secret` is that of the ledger."""
        self._workspace = workspace
        self._digests = [
            (fingerprints_for(tracker, secret).digest_person, site, int((tracker, site) == product))
            for tracker, site in sorted(products)
        ]
        self._noted: Remembered[str, None] = Remembered(_MOST_REMEMBERED)

    def note(self, identity: str) -> None:
        """Note the name of a person."""
        if identity not in self._noted:
            self._noted.remember(identity, None)
            for digest, site, is_ours in self._digests:
                self._workspace.add(_ADD_PERSON, (digest(site, identity)[0], identity, is_ours))

    def note_all(self, identities: Iterable[str]) -> None:
        """Note the names of people in a log."""
        for identity in identities:
            self.note(identity)
        self._workspace.flush()


class ExportSide:
    """Reads an export of one product. `names` has the names of events by their digests."""

    def __init__(
        self,
        files: ExportFiles,
        product: Product,
        workspace: Workspace,
        people: People,
        fingerprints: Fingerprints,
    ) -> None:
        self._files = files
        self._site = product[1]
        self._workspace = workspace
        self._people = people
        self._fingerprints = fingerprints
        self._reader = RecordReader(self._fingerprints)
        self.names: dict[bytes, str] = {}
        self.records = 0
        self._first, self._last, self._first_file_ends = inf, -inf, -inf
        self._has_sets = False

    def load(self, made: float | None) -> Reach:
        """Put all records into the workspace; return what the export can have.

        `made` is when it was made, None if only its files know. Raises ExportError.
        """
        for number, name in enumerate(self._files.names):
            for record in self._reader.records(name):
                self._take(number, record)
            if not number:
                self._first_file_ends = self._last
        self._workspace.flush()
        if not self.records:
            raise ExportError(
                f"{self._files.names[0]}: the export has no records",
                "Kissmetrics exports a day after it has ended; try a later export",
            )
        return Reach(
            int(self._first) if self._first < inf else 0,
            int(self._last) if self._last > -inf else 0,
            self._first_file_ends if self._files.begins_late else -inf,
            self._files.made if made is None else made,
            self._has_sets,
        )

    def _take(self, file: int, record: ExportRecord) -> None:
        line, second, identity, event, other, pairs, loose = record
        self.records += 1
        self._people.note(identity)
        person = self._fingerprints.digest_person(self._site, identity)[0]
        if other:
            self._take_alias(person, other)
        if not (event or pairs):
            return
        digest = self._reader.event_of(record)
        if event and len(self.names) < _MOST_NAMES:
            self.names.setdefault(digest, event)
        self._has_sets = self._has_sets or not event
        self._first, self._last = min(self._first, second), max(self._last, second)
        self._workspace.add(_ADD_HELD, (second, person, digest, pairs, loose, file, line))

    def _take_alias(self, person: bytes, other: str) -> None:
        self._people.note(other)
        led = self._fingerprints.digest_person(self._site, other)[0]
        if led != person:
            self._workspace.add(_ADD_ALIAS, (person, led))
            self._workspace.add(_ADD_ALIAS, (led, person))
