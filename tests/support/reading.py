"""Reads bytes as an input file, by the real readers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import km_cli.run  # noqa: F401 - registers the rejects' form among the inputs
from km_cli.errors import InputError, KmError, ReadError, UsageError
from km_cli.inputs import FormatOptions, Item, Place, Source, open_reader
from km_cli.model import Gap, Row

HEADERS = {"csv": b"user,event,time\n", "jsonl": b'{"user":"ada"}\n'}
"""A first line with which each format that keeps a cursor is recognised."""

ROWS = {"csv": b"ada,Clicked,1\n", "jsonl": b'{"user":"ada","event":"Clicked","time":1}\n'}

PIECES = {
    "csv": [b"a", b",", b",,", b'"', b'""', b'"x"', b'"a\nb"', b"ada,Clicked,1", b"\xef\xbb\xbf"],
    "jsonl": [
        b'{"user":"ada"}',
        b'{"a":{"b":[1,2]}}',
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\u0000"}',
        b"[]",
        b'"',
        b"{",
        b'{"a":' * 200,
        b'{"a":' * 200 + b"1" + b"}" * 200,
        b"\xef\xbb\xbf",
    ],
}
ENDS = [b"\n", b"\r\n", b"\r", b" ", b"\0", b"\xff", b"\xed\xa0\x80", "é".encode(), b"\x1c", b"\x85"]


def name_of(form: str) -> str:
    return f"log.{form}"


@contextmanager
def written(data: bytes, name: str, format_options: FormatOptions | None = None) -> Iterator[Source]:
    """A file with these bytes, and the options that say how it is written."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield Source(str(path), format_options=format_options or FormatOptions())


def read(source: Source, place: Place | None = None) -> tuple[bytes, list[Item], KmError | None]:
    """Preamble, items and how it ended; any other exception than these two fails the test."""
    items: list[Item] = []
    opened = open_reader(source)
    try:
        reader = opened.reader(place)
        for item in reader.items():
            items.append(item)  # noqa: PERF402 - what came before an error counts
    except (InputError, ReadError) as error:
        return reader.preamble, items, error
    finally:
        opened.close()
    return reader.preamble, items, None


def read_all(source: Source) -> list[Item]:
    """All items of an input that is well as a whole."""
    _, items, error = read(source)
    if error is not None:
        raise error
    return items


def place_behind(behind: bytes) -> Place:
    """The place after these bytes: one line further for each end of a line."""
    return Place(len(behind), len((behind + b"x").splitlines()))


def raw_of(item: Item) -> bytes:
    return item.raw if isinstance(item, Gap) else item.raw if isinstance(item, Row) else item.row.raw


def seen(item: Item) -> tuple[int, Any] | None:
    """Line and values of a row, line and code of a reject."""
    if isinstance(item, Gap):
        return None
    return (item.line, item.values) if isinstance(item, Row) else (item.row.line, item.code)


def without_gaps(items: list[Item]) -> list[Any]:
    return [seen(item) for item in items if not isinstance(item, Gap)]


def opening_fails(data: bytes, name: str, format_options: FormatOptions | None = None) -> UsageError:
    with written(data, name, format_options) as source, pytest.raises(InputError) as raised:
        read_all(source)
    return raised.value
