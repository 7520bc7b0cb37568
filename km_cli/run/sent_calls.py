"""Who did what when in the calls of one run: read again from the logs that they came from.

The ledger keeps digests of people and events, not their names. A log that is given again has the names: its
rows are mapped as its reading mapped them, and the ledger tells which of the calls were sent, and with which
second. How many calls each run sent is counted by site, persona, event and day (`ledger.sent`). So a call
belongs to a run for certain if no other run sent calls of its kind; else it belongs to one of several runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from km_cli.ledger import Ledger, Sent
from km_cli.ledger.sent import kind_of
from km_cli.model import KnownCall, Record, Row
from km_cli.model import Sequence as Calls
from km_cli.planning.keyed import fingerprints_for
from km_cli.run.logs_again import LogsAgain


class SentCall(NamedTuple):
    """A call that was sent, or is pending: who did what, the second that it was sent with, and its row.

    `runs` are the runs that it may belong to: one if that is certain. 0 stands for runs that are not noted.
    """

    site: str
    persona: str
    identity: str
    event: str
    second: int
    source: str
    line: int
    runs: tuple[int, ...]


class SentCalls:
    """Finds the calls of one run to a tracker, in logs that are given again."""

    def __init__(self, ledger: Ledger, tracker: str, run: int, logs: LogsAgain) -> None:
        self._ledger = ledger
        self._run = run
        self._logs = logs
        self._fingerprints = fingerprints_for(tracker, ledger.secret)
        self._runs = ledger.sent.runs_by_kind(tracker)
        self._given: list[int] = []

    def of_file(self, name: str) -> Iterator[SentCall]:
        """Yield the calls of a log, in its order, each once even if several logs have its event.

        Raises UsageError if there is no such file, InputError if the log was never imported as it is, or by
        a km-cli that kept no personas.
        """
        for reading, sequences in self._logs.of_file(name):
            self._given.append(reading.number)
            for sequence in sequences:
                yield from self._of_row(sequence.row, _records(sequence), reading.number)

    def _of_row(self, row: Row, records: Iterable[Record], reading: int) -> Iterator[SentCall]:
        for record in records:
            known_call = self._known(record, reading, row.line)
            if known_call is None:
                continue
            runs = self._runs.get(kind_of(record, known_call.taken), ())
            if self._run in runs:
                site, persona, identity, _, event, *_ = record
                yield SentCall(site, persona, identity, event, known_call.taken, row.source, row.line, runs)

    def _known(self, record: Record, reading: int, line: int) -> KnownCall | None:
        """Return the call that was sent for this line of a reading, unless an earlier log had it already."""
        fingerprint = self._fingerprints.fingerprint_call(record)
        for known_call in self._ledger.slots.slot(fingerprint.person, fingerprint.second).known:
            claims = {claim.reading: claim.line for claim in known_call.claims}
            first = next((number for number in self._given if number in claims), 0)
            if known_call.deed == fingerprint.deed and first == reading and claims[reading] == line:
                return known_call
        return None


def _records(sequence: Calls) -> Sequence[Record]:
    return [call for call in sequence.calls if type(call) is Record]


def listed(sent: dict[Sent, int]) -> int:
    """Return how many calls of a run record an event: only these can be found in a log."""
    return sum(calls for kind, calls in sent.items() if kind.event)
