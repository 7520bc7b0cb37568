"""One person's one second: the calls that the ledger expects in it, and the records that the export has."""

from __future__ import annotations

from typing import NamedTuple

Key = tuple[int, bytes]
"""A second in UTC Unix time, and the 8 bytes by which the ledger knows a person of a site."""


class Standing(NamedTuple):
    """A call that was sent with this second. `event` and `pairs` are the digests of a `KnownCall`.

    `reading` and `line` are where the call comes from, both 0 if it was moved here from an earlier second.
    """

    event: bytes
    pairs: bytes
    reading: int = 0
    line: int = 0


class ExpectedSecond(NamedTuple):
    """The calls that the ledger has for a person in a second. `persona` is "" if that is not known."""

    second: int
    person: bytes
    persona: str
    calls: tuple[Standing, ...]


class HeldRecord(NamedTuple):
    """A record of the export, at `line` of the file with the number `file`. `event` is NO_EVENT for none.

    `pairs` are the digests of its properties. `loose` has the digests of the names, 4 bytes each, of those
    whose values Kissmetrics may have written in another form: numbers (D5), and texts that it may have cut.
    """

    event: bytes
    pairs: bytes
    loose: bytes
    file: int
    line: int


class HeldSecond(NamedTuple):
    """The records that the export has for a person in a second."""

    second: int
    person: bytes
    records: tuple[HeldRecord, ...]


class Compared(NamedTuple):
    """One person's second, compared: calls that the export has, calls that it lacks, and other records."""

    second: int
    person: bytes
    persona: str
    found: tuple[Standing, ...]
    absent: tuple[Standing, ...]
    unknown: tuple[HeldRecord, ...]
