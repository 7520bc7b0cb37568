"""Files → Rows. A format is a Reader (base.py); `open_reader` finds the one that fits."""

from __future__ import annotations

import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import BinaryIO, NamedTuple, cast

from km_cli.errors import InputError, ReadError
from km_cli.inputs.base import BOM, LONGEST_RECORD, UTF8, Item, Reader, piped
from km_cli.inputs.delimited import DelimitedReader, parse_header
from km_cli.inputs.formats import FORMATS, FormatOptions, make_format_options, recognise
from km_cli.inputs.globs import expand
from km_cli.inputs.jsonl import JsonLinesReader, array_error, parse_object
from km_cli.inputs.lines import split_lines
from km_cli.inputs.source import Source, Stamp, Stream
from km_cli.rejects.form import (
    LONGEST_REJECT,
    RejectsFile,
    RejectsReader,
    first_token,
    format_reject,
    sample_columns,
)

__all__ = [
    "FORMATS",
    "FormatOptions",
    "Item",
    "Opened",
    "Place",
    "Reader",
    "RejectsFile",
    "Source",
    "Stamp",
    "expand",
    "format_reject",
    "make_format_options",
    "open_reader",
]

_HEAD = 1 << 20
_START = 1 << 16
_FEWEST_REGULAR = 20
"""Objects; that fewer have a key says little of those that follow."""
_SAMPLE = 1000


class Place(NamedTuple):
    """Where reading goes on: this many bytes of content are behind it; `line` it is in, counted from 1.

    `digest` is the hash of what is behind it, if that is to be as it was.
    """

    length: int = 0
    line: int = 1
    digest: bytes = b""


class _Rejoined(io.RawIOBase):
    """A stream from its start, though its beginning was looked at already."""

    def __init__(self, head: bytes, rest: Stream, broken: ReadError | None) -> None:
        self._head = head
        self._rest = rest
        self._broken = broken

    def read(self, size: int = -1) -> bytes:
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
        if self._broken:
            raise self._broken
        return self._rest.read(size)


class Opened:
    """An input whose format and columns are known, ready to be read from its start or from a place.

    `empty` if there is nothing in it, `token` names the reading that the rejects in it come from,
    `start` is the hash of its first 64 KiB, `regular` are the columns that each of the first rows has,
    `normalised` counts what was read as if it had been written in the usual way (tally.py has the words).
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.normalised: defaultdict[str, int] = defaultdict(int)
        self._encoding = source.format_options.encoding or UTF8
        self._broken: ReadError | None = None
        self._has_pinned = source.stamp is None
        source.pin()
        try:
            self._stream = source.open()
        except BaseException:
            self._let_go()
            raise
        try:
            self._look()
        except BaseException:
            self.close()
            raise

    def _look(self) -> None:
        name = self.source.name
        head = self._read_head(_HEAD)
        self._stream.check_content(head)
        filename = self.source.path.name if self.source.path else ""
        self.format, self.delimiter = recognise(self.source.format_options, filename, head)
        longest = LONGEST_RECORD
        if self.format == "rejects":
            longest = LONGEST_REJECT
            if b"\n" not in head:
                head += self._read_head(LONGEST_REJECT)
        self.empty = not head.removeprefix(BOM).strip()
        self.start = hashlib.sha256(head[:_START]).digest()
        if self.empty and self._broken:
            raise self._broken
        self._lines = split_lines(cast(BinaryIO, _Rejoined(head, self._stream, self._broken)), longest)
        self.token = first_token(head) if self.format == "rejects" else ""
        self._preamble, self._line = b"", 1
        if head.startswith(BOM):
            self.normalised["byte-order-mark"] = 1
        if self.format == "delimited":
            self.columns, self._preamble, self._line = parse_header(
                name, self._lines, self.delimiter, self._encoding, self.normalised
            )
            self.regular = self.columns
        elif self.format == "rejects":
            self.columns, self.regular = _keys(head, sample_columns, longest)
        else:
            self.columns, self.regular = _keys(head, _paths, longest)
            if not self.columns and not self.empty:
                raise self._broken or _no_objects(name, head)

    def _read_head(self, size: int) -> bytes:
        """Return the next `size` bytes; what breaks the reading is kept until its turn comes."""
        head = b""
        try:
            while len(head) < size and (data := self._stream.read(size - len(head))):
                head += data
        except ReadError as error:
            self._broken = error
        return head

    def reader(self, place: Place | None = None, check: Callable[[], None] = lambda: None) -> Reader:
        """Return a reader that begins after the preamble, or at `place`. Raises ReadError.

        `check` is called each MiB on the way there, and may raise what ends the run.
        """
        if place is not None and place.length:
            self._stream.close()
            self._stream = self.source.open()
            # A line's rest is a record if it grew, but not if the line is too long for one.
            within = self._stream.skip(place.length, place.digest, check) > LONGEST_RECORD
            self._lines = split_lines(cast(BinaryIO, self._stream), overlong=within)
            self._preamble, self._line = b"", place.line + within
            self.normalised.clear()
        if self.format == "delimited":
            return DelimitedReader(
                self.source.name,
                self._lines,
                self.columns,
                self._preamble,
                line=self._line,
                delimiter=self.delimiter,
                encoding=self._encoding,
                normalised=self.normalised,
            )
        if self.format == "rejects":
            return RejectsReader(self.source.name, self._lines, self.columns)
        return JsonLinesReader(
            self.source.name,
            self._lines,
            self.columns,
            self._preamble,
            line=self._line,
            encoding=self._encoding,
            normalised=self.normalised,
        )

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self._let_go()

    def _let_go(self) -> None:
        if self._has_pinned:
            self.source.unpin()


def open_reader(source: Source) -> Opened:
    """Open an input and find out what it is.

    Raises UsageError for what cannot be opened, InputError for what cannot be understood.
    """
    return Opened(source)


def _keys(
    head: bytes, columns_of: Callable[[bytes], Iterable[str]], longest: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the keys of the first objects, nested ones dotted, in order of appearance; and those of all."""
    found: Counter[str] = Counter()
    objects = 0
    for raw in islice(split_lines(io.BytesIO(head), longest), _SAMPLE):
        try:
            found.update(dict.fromkeys(columns_of(raw), 1))
        except (ValueError, RecursionError):
            continue
        objects += 1
    regular = tuple(name for name, count in found.items() if count == objects)
    return tuple(found), regular if objects >= _FEWEST_REGULAR else ()


def _no_objects(name: str, head: bytes) -> InputError:
    if head.removeprefix(BOM).lstrip().startswith(b"["):
        return array_error(name)
    return InputError(
        f"{name}: none of its first lines is a JSON object with a key",
        f"JSON lines have one whole object a line: {piped(name, 'jq -c .')} > lines.jsonl",
    )


def _paths(raw: bytes) -> list[str]:
    return list(_dotted(parse_object(raw)))


def _dotted(values: dict[str, object], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key
