"""Logs that are given again: their rows become the calls that they became when they were imported.

The ledger keeps digests of people and events, not their names. A log has the names. It is known by the bytes
that its reading has read, and its rows are mapped as that reading mapped them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing

from km_cli.errors import InputError
from km_cli.inputs import Opened, Source, open_reader
from km_cli.kissmetrics import PLACEHOLDERS
from km_cli.ledger import Ledger, Reading
from km_cli.mapping import Hasher, Mapper, Mapping, Members
from km_cli.model import Event, Row, Sequence
from km_cli.run.interpretation import personas_from_json
from km_cli.strategies import Expansion


class LogsAgain:
    """Reads logs again. `now` is the present.

    `members` complete rows, and `hasher` hashes the columns that stay home, as they did when rows were sent.
    """

    def __init__(
        self, ledger: Ledger, members: Members | None, now: float, hasher: Hasher | None = None
    ) -> None:
        self._ledger = ledger
        self._members = members
        self._hasher = hasher
        self._now = now

    def of_file(self, name: str) -> Iterator[tuple[Reading, Iterator[Sequence]]]:
        """Yield the readings of a log, each with the calls of its rows, in order.

        Raises UsageError if there is no such file, InputError if the log was never imported as it is, or by
        a km-cli that kept no personas.
        """
        source = Source(name)
        source.check()
        with closing(open_reader(source)) as opened:
            found = self._readings(opened)
            readings = [one for one in found if one.personas and one.calls]
            if not readings and (not found or any(one.calls for one in found)):
                raise InputError(
                    f"{name}: the ledger knows no import of this file as it is",
                    "give it as it was imported: renamed, packed and grown files are known, changed ones not",
                )
            for reading in readings:
                yield reading, self._of_reading(opened, reading)

    def identities_of(self, name: str) -> Iterator[str]:
        """Yield the identity of each call of a log. Raises UsageError, InputError as `of_file`."""
        for _, sequences in self.of_file(name):
            for sequence in sequences:
                yield from (call.identity for call in sequence.calls)

    def _readings(self, opened: Opened) -> list[Reading]:
        """Return the readings that have read the beginning of a file, one for each way of reading it."""
        heads = self._ledger.readings.heads
        found: dict[tuple[str, str], Reading] = {}
        for length, state in reversed(opened.source.hashes_at(heads.lengths)):
            for head in heads.matching(length, state.digest()):
                reading = self._ledger.reading_of(head.number)
                found.setdefault((reading.mapping, reading.personas), reading)
        return list(found.values())

    def _of_reading(self, opened: Opened, reading: Reading) -> Iterator[Sequence]:
        with self._ledger.decoding("readings"):
            mapping, personas = Mapping.from_json(reading.mapping), personas_from_json(reading.personas)
        mapper = Mapper(
            mapping.columns,
            opened.columns,
            tabular=opened.format.is_tabular,
            personas=personas,
            time_options=mapping.time_options,
            allowed=PLACEHOLDERS,
            now=self._now,
            normalised=defaultdict(int),
            members=self._members,
            hasher=self._hasher,
        )
        expansion = Expansion(personas)
        with closing(open_reader(opened.source)) as again:
            for item in again.reader().items():
                event = mapper.map(item) if type(item) is Row else None
                sequence = expansion.expand(event) if type(event) is Event else None
                if type(sequence) is Sequence:
                    yield sequence
