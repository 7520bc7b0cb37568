"""The result: how many calls are there, which are not, and which records the ledger does not know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

MOST_LISTED = 1_000
"""Calls and records of each kind that a result lists. `--details` writes all of them."""


class AbsentCall(NamedTuple):
    """A call that was acknowledged, and that the export lacks.

    `second` is the one that it was sent with, in UTC Unix time. `event` is "" if it only sets properties, and
    `identity` is "" if neither the export nor a log that was given names the person. `source` and `line` are
    the row that it was sent from: "" and 0 if the ledger does not know.
    """

    second: int
    event: str
    persona: str
    identity: str
    source: str
    line: int


class OtherPerson(NamedTuple):
    """An absent call, and the record under another person that may be it. `file` and `at` are its place.

    `by_alias` if an alias that the ledger does not know makes one person of the two.
    """

    call: AbsentCall
    other: str
    by_alias: bool
    file: str
    at: int


class UnknownRecord(NamedTuple):
    """A record of the export that no call of the ledger explains, at line `at` of the file."""

    second: int
    event: str
    identity: str
    file: str
    at: int


Detail = AbsentCall | OtherPerson | UnknownRecord


class DayCount(NamedTuple):
    """The calls and records of one event on one UTC day. `day` counts from 1970; `event` is "" for none.

    `unchecked` are calls that the export cannot show.
    """

    day: int
    event: str
    found: int
    absent: int
    other_person: int
    unchecked: int
    pending: int
    unknown: int


class Aliases(NamedTuple):
    """The aliases: in the export and the ledger, in the ledger alone, and in the export alone."""

    found: int
    not_shown: int
    unknown: int


class Verified(NamedTuple):
    """What the export says of one product of the ledger.

    `first` and `last` are the first and the last second of its records, calls that were sent after
    `made` are not in it.
    `outcomes` counts the ledger's calls: `found`, `absent`, `other_person`, and those that cannot be checked
    by the reason. The lists have MOST_LISTED entries at most.
    """

    tracker: str
    site: str
    ledger: Path
    files: int
    records: int
    first: int
    last: int
    made: float
    outcomes: Mapping[str, int]
    unknown: int
    aliases: Aliases
    days: tuple[DayCount, ...]
    absent_calls: tuple[AbsentCall, ...]
    other_people: tuple[OtherPerson, ...]
    unknown_records: tuple[UnknownRecord, ...]

    @property
    def absent(self) -> int:
        """The acknowledged calls that are not in the export."""
        return self.outcomes.get("absent", 0)

    @property
    def other_person(self) -> int:
        """The acknowledged calls that are under another person."""
        return self.outcomes.get("other_person", 0)

    @property
    def found(self) -> int:
        """The calls that are there."""
        return self.outcomes.get("found", 0)

    @property
    def is_complete(self) -> bool:
        """Whether no call is absent or under another person."""
        return not (self.absent or self.other_person)
