"""Parquet files as JSON lines: each row is an object, and a rejected row is written as that object.

So everything that is promised of JSON lines holds for Parquet: a file is known by its rows, read on where a
run stopped, and its nested columns are reached by paths. The text of a value depends on its type alone, not
on the library's version: a ledger knows rows by it for years.
"""

from __future__ import annotations

import base64
import io
import json
import math
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from km_cli.errors import InputError
from km_cli.inputs.messages import shell_word
from km_cli.inputs.unpacking import Bytes, Damaged
from km_cli.install_hint import install_command

_MAGIC = re.compile(rb"PAR1[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\xff]")
"""The first bytes of a file (Apache Parquet, "File Format"), and one that no text has."""

_ROWS = 1000
"""Rows that are decoded at a time."""

_UNITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
"""Digits behind the second that a unit of times has."""


def is_parquet(head: bytes) -> bool:
    """Tell whether a file that begins like this is a Parquet file."""
    return _MAGIC.match(head) is not None


def read_parquet(name: str, raw: io.BufferedReader) -> Bytes:
    """Return the rows of a Parquet file as JSON lines.

    A stream that can be read only once is written to a temporary file first: the description of the columns
    is at the end of a file. Raises InputError without the library, Damaged for a file that cannot be read.
    """
    try:
        import pyarrow
    except ImportError:
        file = "FILE" if name == "<stdin>" else name
        query = "FROM '{}'".format(file.replace("'", "''"))
        raise InputError(
            f"{name} is a Parquet file, which takes a library that is not installed",
            f"{install_command('parquet')}, or turn it into CSV: duckdb -csv -c {shell_word(query)} | "
            "km-cli import -",
        ) from None
    return _Rows(raw if raw.seekable() else _spooled(raw), (pyarrow.ArrowException, OSError))


def _spooled(raw: io.BufferedReader) -> Any:
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed with the rows
    with raw:
        shutil.copyfileobj(raw, spool)
    spool.seek(0)
    return spool


class _Rows:
    """The rows as bytes."""

    def __init__(self, raw: Any, errors: tuple[type[Exception], ...]) -> None:
        """`errors` are those that the library raises for files that it cannot read."""
        self._raw = raw
        self._errors = errors
        self._lines = _lines(raw)
        self._ready = memoryview(b"")

    def read1(self, size: int) -> bytes:
        """Return up to `size` bytes. Raises Damaged."""
        while not self._ready:
            try:
                lines = next(self._lines, None)
            except self._errors as error:
                why = (str(error).splitlines() or [type(error).__name__])[0]
                raise Damaged(f"the Parquet data cannot be read ({why})") from None
            if lines is None:
                return b""
            self._ready = memoryview(lines)
        data, self._ready = bytes(self._ready[:size]), self._ready[size:]
        return data

    def close(self) -> None:
        """Close the file."""
        self._raw.close()


def _lines(raw: Any) -> Iterator[bytes]:
    """Yield the rows of a file, a thousand at a time, as JSON lines."""
    from pyarrow.parquet import ParquetFile

    file = ParquetFile(raw, pre_buffer=False)
    schema = file.schema_arrow
    names = list(schema.names)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Damaged(f"two of its columns are called {twice!r}")
    for batch in file.iter_batches(batch_size=_ROWS, use_threads=False):
        yield b"".join(json_lines(batch))


def json_lines(batch: Any) -> Iterator[bytes]:
    """Yield each row of an Arrow record batch as a JSON line."""
    names = list(batch.schema.names)
    texts = [_text_of(field.type) for field in batch.schema]
    columns = [map(text, _values(column)) for text, column in zip(texts, batch.columns, strict=True)]
    for row in zip(*columns, strict=True):
        yield json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False).encode() + b"\n"


def _values(column: Any) -> list[Any]:
    """Return the values of a column. Times become numbers: Python's own have no nanoseconds."""
    plain = _plain(column.type)
    return (column if plain == column.type else column.cast(plain)).to_pylist()  # type: ignore[no-any-return]


def _plain(kind: Any) -> Any:
    """Return a type with 64-bit numbers in the place of timestamps and durations, also within others."""
    import pyarrow
    from pyarrow import types

    if types.is_timestamp(kind) or types.is_duration(kind):
        return pyarrow.int64()
    if types.is_dictionary(kind):
        return _plain(kind.value_type)
    if types.is_struct(kind):
        return pyarrow.struct([field.with_type(_plain(field.type)) for field in kind])
    if types.is_map(kind):
        return pyarrow.map_(_plain(kind.key_type), _plain(kind.item_type))
    if types.is_large_list(kind):
        return pyarrow.large_list(_plain(kind.value_type))
    if types.is_fixed_size_list(kind) or types.is_list(kind):
        return pyarrow.list_(_plain(kind.value_type))
    return kind


Text = Callable[[Any], Any]
"""Returns a value as JSON has it; None stays None."""


def _text_of(kind: Any) -> Text:
    """Return the function that turns values of a type into those of JSON."""
    inside = _inside(kind)
    return lambda value: None if value is None else inside(value)


def _inside(kind: Any) -> Text:
    from pyarrow import types

    if types.is_timestamp(kind):
        digits, zone = _UNITS[kind.unit], "Z" if kind.tz else ""
        return lambda number: _moment(number, digits) + zone
    if types.is_dictionary(kind):
        return _inside(kind.value_type)
    if types.is_struct(kind):
        fields = [(field.name, _text_of(field.type)) for field in kind]
        return lambda value: {name: text(value[name]) for name, text in fields}
    if types.is_map(kind):
        key, item = _text_of(kind.key_type), _text_of(kind.item_type)
        return lambda pairs: {str(key(one)): item(other) for one, other in pairs}
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        text = _text_of(kind.value_type)
        return lambda items: [text(item) for item in items]
    return _single


def _single(value: Any) -> Any:
    """Return a single value: text and numbers as they are, all other kinds as text."""
    if isinstance(value, float):
        # A missing number is NaN in many tables.
        return None if math.isnan(value) else value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return _decoded(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | time):
        return value.isoformat()
    return value if isinstance(value, str | int | bool) else str(value)


def _decoded(value: bytes) -> str:
    """Return bytes as text: older programs write text as bytes. Other bytes are written as base64."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def _moment(number: int, digits: int) -> str:
    """Return a time as ISO 8601, without zeros at its end. `number` counts 10^-digits seconds from 1970."""
    seconds, rest = divmod(number, 10**digits)
    fraction = f".{rest:0{digits}}".rstrip("0").rstrip(".") if rest else ""
    try:
        return (_EPOCH + timedelta(seconds=seconds)).isoformat() + fraction
    except OverflowError:
        return str(number)  # no date: the row is rejected when its turn comes
