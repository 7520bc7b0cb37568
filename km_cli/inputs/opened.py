"""An input whose format and columns are known, ready to be read."""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from contextlib import suppress
from itertools import islice
from typing import Any, BinaryIO, NamedTuple, cast

from km_cli.errors import InputError, ReadError
from km_cli.inputs.base import BOM, UTF8, Check, Reader, Text, no_check
from km_cli.inputs.encoding import wide_rejects
from km_cli.inputs.formats import recognise_format
from km_cli.inputs.lines import split_lines
from km_cli.inputs.source import Source, Stream
from km_cli.model import Row

_HEAD = 1 << 20
"""Bytes at the beginning by which an input's format and columns are recognised."""

_LOOKED_AT = 1 << 18
"""Bytes at the beginning whose records show which tool wrote the input."""

_START = 1 << 16
"""Bytes at the beginning whose hash says whether two files may be the same log."""


class Place(NamedTuple):
    """The place at which reading continues: after `length` bytes of content, in this line, counted from 1.

    `digest` is the hash that the content before the place must have, b"" for any.
    """

    length: int = 0
    line: int = 1
    digest: bytes = b""


class _Rejoined(io.RawIOBase):
    """A stream from its start, although its head was read already. `broken` is the error behind the head."""

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

    `empty` if there is nothing in it. `start` is the hash of its first 64 KiB. `columns`, `regular` and
    `token` are those of its layout. `normalised` counts the unusual forms that were read as the usual ones
    (tally.py has the words).
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
            self._unpin()
            raise
        try:
            self._look()
        except BaseException:
            self.close()
            raise

    def _look(self) -> None:
        head = self._read_head(_HEAD)
        if encoding := self._wide_rejects(head):
            head = self._read_anew(encoding)
        self._stream.check_content(head)
        name = self.source.filename
        self.format, self.delimiter = recognise_format(self.source.format_options, name, head)
        longest = self.format.longest_line
        if longest > _HEAD and b"\n" not in head:
            head += self._read_head(longest)
        self.empty = not head.removeprefix(BOM).strip()
        self.start = hashlib.sha256(head[:_START]).digest()
        if self.empty and self._broken:
            raise self._broken
        if head.startswith(BOM):
            self.normalised["byte-order-mark"] = 1
        rejoined = cast(BinaryIO, _Rejoined(head, self._stream, self._broken))
        self._text = Text(
            self.source.name,
            head,
            split_lines(rejoined, longest),
            self.delimiter,
            self._encoding,
            self.normalised,
            self._broken,
        )
        self._layout = self.format.layout(self._text)
        self._beginning = head[len(self._layout.preamble) :][:_LOOKED_AT]
        self._text = self._text._replace(head=b"")
        self.columns, self.regular = self._layout.columns, self._layout.regular
        self.token = self._layout.token

    def _wide_rejects(self, head: bytes) -> str:
        """Return the encoding of a table of rejects that can be read anew in it, "" for any other input."""
        is_free = not self.source.format_options.encoding and self.source.stamp is not None
        return wide_rejects(head) if is_free else ""

    def _read_anew(self, encoding: str) -> bytes:
        """Open the input again in an encoding that its first bytes show; return its head."""
        self.source.format_options = self.source.format_options._replace(encoding=encoding)
        self._encoding = encoding
        self._stream.close()
        self._stream = self.source.open()
        return self._read_head(_HEAD)

    def first_records(self, most: int) -> list[dict[str, Any]]:
        """Return the values of the first records by column, at most so many; those that are bad are left out.

        There are none if the records are rejects: they belong to the readings that they came from.
        """
        if self.format.holds_rejects:
            return []
        # The last line of a longer input may be cut, and looks like a bad record then.
        lines = split_lines(io.BytesIO(self._beginning), self.format.longest_line)
        text = self._text._replace(lines=lines, normalised=defaultdict(int), broken=None)
        records: list[dict[str, Any]] = []
        tabular = self.format.is_tabular
        with suppress(InputError, ReadError):
            rows = (item for item in self.format.reader(text, self._layout).items() if type(item) is Row)
            for row in islice(rows, most):
                values = dict(zip(self.columns, row.values, strict=True)) if tabular else row.values
                records.append(values)  # one by one, so that an error leaves those before it
        return records

    def _read_head(self, size: int) -> bytes:
        """Return the next `size` bytes. An error is kept, and raised when the bytes before it were read."""
        head = b""
        try:
            while len(head) < size and (data := self._stream.read(size - len(head))):
                head += data
        except ReadError as error:
            self._broken = error
        return head

    def reader(self, place: Place | None = None, check: Check = no_check) -> Reader:
        """Return a reader that begins after the preamble, or at `place`. Raises ReadError.

        `check` is called each MiB on the way there, and may raise the error that ends the run.
        """
        if place is not None and place.length:
            self._stream.close()
            # The place may be inside of a line. If that line has grown, its rest is read as a record. If the
            # line is too long for a record, its rest is skipped, and line numbers begin behind it.
            self._stream, is_overlong = self.source.open_behind(place.length, place.digest, check)
            lines = split_lines(cast(BinaryIO, self._stream), overlong=is_overlong)
            self._text = self._text._replace(lines=lines)
            self._layout = self._layout._replace(preamble=b"", line=place.line + is_overlong)
            self.normalised.clear()
        return self.format.reader(self._text, self._layout)

    def bytes_of_file(self, length: int | None) -> int:
        """Return about how many bytes of the file hold the content's first `length` bytes; 0 if unknown.

        None is for all content that was read.
        Rejects count the bytes of the readings that they came from, so of them it is the bytes read so far.
        """
        return self._stream.bytes_of_file(None if self.format.holds_rejects else length)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self._unpin()

    def _unpin(self) -> None:
        if self._has_pinned:
            self.source.unpin()


def open_reader(source: Source) -> Opened:
    """Open an input, and recognise its format and columns.

    Raises UsageError for a file that cannot be opened, InputError for one that cannot be understood.
    """
    return Opened(source)
