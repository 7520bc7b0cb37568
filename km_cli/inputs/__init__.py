"""Files → Rows. A format is a Reader (base.py); `open_reader` finds the one that fits."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import PurePath
from typing import BinaryIO, NamedTuple, cast

from km_cli.errors import InputError
from km_cli.inputs.base import Item, Reader
from km_cli.inputs.delimited import DELIMITERS, DelimitedReader, parse_header
from km_cli.inputs.jsonl import JsonLinesReader, parse_object
from km_cli.inputs.lines import split_lines
from km_cli.inputs.rejects import (
    RejectsFile,
    RejectsReader,
    first_token,
    format_reject,
    is_reject,
    sample_columns,
)
from km_cli.inputs.source import Source, Stream, check_encoding

__all__ = ["Item", "Opened", "Place", "Reader", "RejectsFile", "Source", "format_reject", "open_reader"]

_HEAD = 1 << 20
_SAMPLE = 1000

_ENDINGS = {".csv": "delimited", ".tsv": "delimited", ".jsonl": "jsonl", ".ndjson": "jsonl"}


class Place(NamedTuple):
    """Where reading goes on: this many bytes of content are behind it, this line is next."""

    length: int = 0
    line: int = 0


class _Rejoined(io.RawIOBase):
    """A stream from its start, though its beginning was looked at already."""

    def __init__(self, head: bytes, rest: Stream) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
        return self._rest.read(size)

    def close(self) -> None:
        self._rest.close()
        super().close()


class Opened:
    """An input whose format and columns are known, ready to be read from its start or from a place.

    `empty` if there is nothing in it, `token` names the reading that the rejects in it come from.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._stream = source.open()
        head = self._read_head()
        check_encoding(source.name, head)
        self.format = _recognise(source, head)
        self._lines = split_lines(cast(BinaryIO, _Rejoined(head, self._stream)))
        self.delimiter = ""
        self.token = ""
        self._preamble, self._line = b"", 1
        if self.format == "delimited":
            self.delimiter = _delimiter(head)
            self.columns, self._preamble, self._line = parse_header(source.name, self._lines, self.delimiter)
        else:
            self.columns = _keys(source.name, head, sample_columns if self.format == "rejects" else _paths)
        if self.format == "rejects":
            self.token = first_token(head)
        self.empty = not head.removeprefix(b"\xef\xbb\xbf").strip()

    def _read_head(self) -> bytes:
        head = b""
        while len(head) < _HEAD and (data := self._stream.read(_HEAD - len(head))):
            head += data
        return head

    def reader(self, place: Place | None = None) -> Reader:
        """Return a reader that begins after the preamble, or at `place`."""
        if place is not None and place.length:
            self._stream.close()
            self._stream = self.source.open()
            self._stream.skip(place.length)
            self._lines = split_lines(cast(BinaryIO, self._stream))
            self._preamble, self._line = b"", place.line
        if self.format == "delimited":
            return DelimitedReader(
                self.source.name,
                self._lines,
                self.columns,
                self._preamble,
                line=self._line,
                delimiter=self.delimiter,
            )
        if self.format == "rejects":
            return RejectsReader(self.source.name, self._lines, self.columns)
        return JsonLinesReader(self.source.name, self._lines, self.columns, self._preamble, line=self._line)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def open_reader(source: Source) -> Opened:
    """Open an input and find out what it is.

    Raises UsageError for what cannot be opened, InputError for what cannot be understood.
    """
    return Opened(source)


def _recognise(source: Source, head: bytes) -> str:
    """Name the format: what km-cli itself wrote, else by the file's name, else by its content."""
    beginning = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    first = beginning.partition(b"\n")[0]
    if is_reject(first):
        return "rejects"
    if source.path is not None:
        for ending in PurePath(source.path.name).suffixes:
            if ending.lower() in _ENDINGS:
                return _ENDINGS[ending.lower()]
    return "jsonl" if beginning[:1] in (b"{", b"[") else "delimited"


def _delimiter(head: bytes) -> str:
    """Return the delimiter that occurs most often in the first line, outside of quotation marks."""
    line = head.lstrip(b"\r\n").splitlines()[0].decode(errors="replace") if head.strip() else ""
    bare = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=bare.count)


def _keys(name: str, head: bytes, columns_of: Callable[[bytes], Iterable[str]]) -> tuple[str, ...]:
    """Return the keys of the first objects, nested ones dotted, in order of appearance."""
    found: dict[str, None] = {}
    lines = split_lines(io.BytesIO(head))
    for raw in islice(lines, _SAMPLE):
        try:
            found.update(dict.fromkeys(columns_of(raw)))
        except (ValueError, RecursionError):
            continue
    if not found and head.lstrip().startswith(b"["):
        raise InputError(
            f"{name} is one JSON array, not one object a line",
            f"turn it into JSON lines: jq -c '.[]' {name} > lines.jsonl",
        )
    return tuple(found)


def _paths(raw: bytes) -> list[str]:
    return list(_dotted(parse_object(raw)))


def _dotted(values: dict[str, object], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key
