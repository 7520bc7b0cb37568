"""The readings of a receipts table: as JSON for its manifest, and as planning asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from km_cli.config.settings import Settings
from km_cli.ledger import NO_HORIZON, Ledger, Reading
from km_cli.model import KnownRow, Overlap, Properties
from km_cli.run.overlaps import Ahead, Overlaps, Span


def reading_to_json(reading: Reading) -> dict[str, Any]:
    """Return a reading for the manifest."""
    values = reading._asdict()
    values.update(
        digest=reading.digest.hex(),
        start=reading.start.hex(),
        overlap=reading.overlap.value,
        calls=dict(reading.calls),
    )
    return values


def reading_from_json(values: dict[str, Any]) -> Reading:
    """Return a reading of the manifest. Raises KeyError, TypeError and ValueError if it is damaged."""
    known = Reading(**values)
    return known._replace(
        digest=bytes.fromhex(values["digest"]),
        start=bytes.fromhex(values["start"]),
        overlap=Overlap(values["overlap"]),
        calls=tuple(values["calls"].items()),
        columns=tuple(known.columns),
        regular=tuple(known.regular),
        as_new=tuple(known.as_new),
    )


def fits(reading: Reading, mapping: str, settings: Settings) -> bool:
    """Tell whether an input may continue a reading: as on one machine, it is read in the same way."""
    return (
        reading.asked == settings.asked
        and reading.mapping == mapping
        and settings.overlap in (Overlap.ASK, reading.overlap)
    )


class _Heads:
    """Stands for the ledger's heads: a receipts table knows no file by its bytes."""

    def matching(self, _length: int, _digest: bytes) -> Sequence[Any]:
        return ()


class _Horizon:
    second = NO_HORIZON
    is_set = False


class Book:
    """The readings that planning may ask for, in the place of a ledger's."""

    secret = b""
    """No row is read again, so that no digest of it is compared."""

    horizon = _Horizon()
    """Receipts are never pruned."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = {one.number: one for one in readings}
        self.heads = _Heads()

    @property
    def readings(self) -> Book:
        """The readings, as a ledger has them."""
        return self

    def by_number(self, number: int) -> Reading | None:
        """Return the reading with this number."""
        return self._readings.get(number)

    def by_token(self, _token: str) -> None:
        """Return None: a reject cannot be corrected on Spark."""

    def meanings(self) -> Sequence[Any]:
        """Return nothing: the columns of an export are found in its own rows."""
        return ()

    @contextmanager
    def decoding(self, _what: str) -> Iterator[None]:
        """Do nothing: the manifest was checked when it was read."""
        yield


class _Overlaps(Overlaps):
    """As on one machine, but that no file is read again to show a row: it may lie on another machine."""

    def cells(self, known: KnownRow) -> Properties:  # noqa: ARG002 - see the class
        return ()


def overlaps_of(
    book: Book, reading: Reading, all_rows: Span, asked: Overlap, same: Iterable[Reading] = ()
) -> Overlaps:
    """Return the comparison of a reading, whose rows have all been mapped, with the others.

    `all_rows` is the span of all its rows that have a time, rejected ones too. `same` is as for Overlaps.
    """
    overlaps = _Overlaps(cast(Ledger, book), reading, asked, same)
    overlaps.look_ahead(Ahead(all_rows, is_all=True), ())
    return overlaps
