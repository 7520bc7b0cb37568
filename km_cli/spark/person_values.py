"""The values of a person's properties, while its rows are planned."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from km_cli.model import NANOSECONDS, KnownValue
from km_cli.planning.plain_slots import PlainValues
from km_cli.spark.spilling import MOST, Form, Spilling, TemporaryDatabase

_VALUE = Struct(">qqqqq")
_AT = Struct(">qq")

_At = tuple[bytes, int, int]

_TABLE = """
CREATE TABLE IF NOT EXISTS known_values (
    key BLOB, moment INTEGER, place INTEGER, value BLOB, PRIMARY KEY (key, moment, place)) WITHOUT ROWID
"""


def pack_value(value: KnownValue) -> bytes:
    """Return a value as bytes."""
    return _VALUE.pack(*value[:-1]) + value.value


def unpack_value(packed: bytes) -> KnownValue:
    """Return the value that `pack_value` wrote. Raises struct.error if it is damaged."""
    moment, place, first, last, taken = _VALUE.unpack_from(packed)
    return KnownValue(moment, place, first, last, taken, packed[_VALUE.size :])


def _pack_at(at: _At) -> bytes:
    key, moment, place = at
    return key + _AT.pack(moment, place)


def _unpack_at(packed: bytes) -> _At:
    moment, place = _AT.unpack(packed[-_AT.size :])
    return packed[: -_AT.size], moment, place


_CHANGED: Form[_At, KnownValue] = Form(
    _pack_at, _unpack_at, lambda _, value: pack_value(value), lambda _, packed: unpack_value(packed)
)


class PersonValues(PlainValues):
    """The values of a person's properties. `changed` are those that are not in the receipts.

    When there are more than `most`, all of them go to a table of the temporary database.
    """

    def __init__(self, file: TemporaryDatabase, most: int = MOST) -> None:
        super().__init__()
        self._file = file
        self._most = most
        self._count = 0
        self._is_far = False
        self.changed: Spilling[_At, KnownValue] = Spilling(file, "changed_values", _CHANGED, most)

    @property
    def is_empty(self) -> bool:
        """Whether no value was ever sent because it changed."""
        return not self._count

    def put(self, key: bytes, value: KnownValue) -> None:
        """Keep a value, in place of the one with the same moment and place."""
        self._count += 1
        if self._is_far:
            self._write(key, value)
        else:
            super().put(key, value)
            if self._count > self._most:
                self._spill()
        self.changed[key, value.moment, value.place] = value

    def until(self, key: bytes, moment: int) -> Iterator[KnownValue]:
        """Yield the values of this moment and before it, the latest first."""
        if not self._is_far:
            return super().until(key, moment)
        return self._select("key = ? AND moment <= ? ORDER BY moment DESC, place DESC", key, moment)

    def after(self, key: bytes, moment: int) -> KnownValue | None:
        """Return the earliest value of a later moment."""
        if not self._is_far:
            return super().after(key, moment)
        query = "key = ? AND moment > ? ORDER BY moment, place LIMIT 1"
        return next(self._select(query, key, moment), None)

    def forget(self, key: bytes, second: int, taken: int, value: bytes) -> None:
        """Forget the value of this second that was sent with `taken`."""
        if not self._is_far:
            super().forget(key, second, taken, value)
            return
        ends = (second * NANOSECONDS, (second + 1) * NANOSECONDS)
        for one in list(self._select("key = ? AND moment >= ? AND moment < ?", key, *ends)):
            if one.taken == taken and one.value[:4] == value:
                self._file.open().execute(
                    "DELETE FROM known_values WHERE key = ? AND moment = ? AND place = ?", (key, *one[:2])
                )

    def begin(self) -> None:
        """Begin with a person of whom nothing is known."""
        self.clear()
        self.changed.clear()
        self._count = 0
        if self._is_far:
            self._file.open().execute("DELETE FROM known_values")
            self._is_far = False

    def _spill(self) -> None:
        """Write all values to the table."""
        self._is_far = True
        self._file.open().execute(_TABLE)
        for key, known in self.items():
            for value in known.values():
                self._write(key, value)
        self.clear()

    def _write(self, key: bytes, value: KnownValue) -> None:
        row = (key, value.moment, value.place, pack_value(value))
        self._file.open().execute("INSERT OR REPLACE INTO known_values VALUES (?, ?, ?, ?)", row)

    def _select(self, where: str, *values: object) -> Iterator[KnownValue]:
        query = f"SELECT value FROM known_values WHERE {where}"
        for (packed,) in self._file.open().execute(query, values):
            yield unpack_value(bytes(packed))
