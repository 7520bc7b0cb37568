"""CSV and its relatives: a header, then records with one cell for each column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, ClassVar

from km_cli.errors import InputError, Unclosed, Where
from km_cli.inputs.base import (
    BOM,
    LONGEST_RECORD,
    MOST_BLANK,
    OTHER_ENDS,
    Format,
    Item,
    Layout,
    Text,
    is_last_open,
    not_text,
    too_long,
)
from km_cli.inputs.delimited_header import DELIMITERS, header_columns, no_header, unreadable_header
from km_cli.inputs.lines import Overlong
from km_cli.model import Gap, Reject, Row
from km_cli.model.making import maker

BAD_QUOTING = "text follows a closing quotation mark (a quotation mark inside a quoted field is doubled)"

_SHOWN = 1 << 10
"""Bytes of a line that an error keeps, to show them."""

_row = maker(Row)

csv.field_size_limit(2 * LONGEST_RECORD)


class Delimited(Format):
    """Text with a header, separated by one of DELIMITERS."""

    name = "delimited"
    words: ClassVar[Mapping[str, str]] = {"csv": "", "tsv": "\t"}
    delimiters = tuple(DELIMITERS)
    is_tabular = True

    def recognises(self, beginning: bytes) -> bool:  # noqa: ARG002 - it is the last resort
        """Return True for any text. If it is not delimited, the error is about its header."""
        return True

    def delimiter_of(self, asked: str, likely: str, head: bytes) -> str:
        """Return the delimiter that is asked for, or the most frequent one in the first line.

        Delimiters inside of quotation marks do not count. The `likely` one need occur only once.
        """
        first = next((line for line in head.splitlines() if not line.isspace()), b"")
        bare = "".join(first.decode(errors="replace").split('"')[::2])
        return asked or (likely if likely and likely in bare else max(DELIMITERS, key=bare.count))

    def layout(self, text: Text) -> Layout:
        """Read the header. Raises InputError if it is none."""
        return _read_header(text)

    def reader(self, text: Text, layout: Layout) -> DelimitedReader:
        """Return the reader of the records behind the header."""
        return DelimitedReader(text, layout)

    def parse_record(self, raw: bytes, columns: tuple[str, ...], delimiter: str) -> dict[str, Any]:
        """Return the cells of one record by column. Raises ValueError if there are more records, or none."""
        if b"\0" in raw:
            raise ValueError("it has a NUL byte")
        text = io.StringIO(raw.decode(), newline="")
        records = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            rows = [cells for cells in records if len(cells) > 1 or "".join(cells).strip()]
        except csv.Error:
            raise ValueError(f"not CSV: {BAD_QUOTING}") from None
        if len(rows) != 1 or len(rows[0]) != len(columns):
            found = f"{len(rows[0])} fields" if len(rows) == 1 else f"{len(rows)} records"
            raise ValueError(f"`raw` must be one record of {len(columns)} fields, it has {found}")
        return dict(zip(columns, rows[0], strict=True))

    def write_record(self, values: Any, columns: tuple[str, ...], delimiter: str) -> bytes:
        """Return the record, which `parse_record` reads as the same cells."""
        cells = [values.get(name, "") for name in columns] if isinstance(values, dict) else values
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=delimiter, lineterminator="\n").writerow(cells)
        return text.getvalue().encode()


def _read_header(text: Text) -> Layout:
    """Return the columns, and the bytes and the lines that the header takes.

    Raises InputError if the header cannot be read, or its cells are not names of columns.
    """
    source, delimiter = text.source, text.delimiter
    first = next(text.lines, b"")
    if type(first) is Overlong:
        raise no_header(source, 1, "it is over 1 MiB long")
    # The csv module would take a byte order mark before a quotation mark for the value's first character.
    bare = first.removeprefix(BOM)
    preamble = first[: len(first) - len(bare)]
    feed = _Feed(text, chain(filter(None, [bare]), text.lines), 1)
    try:
        for cells in csv.reader(feed, delimiter=delimiter, strict=True):
            line = feed.line
            preamble += feed.take()
            if any(cell.strip() for cell in cells):
                if feed.fault or b"\0" in preamble:
                    raise unreadable_header(source, text.encoding)
                columns = header_columns(source, line, cells, delimiter, preamble[-2:])
                return Layout(columns, columns, preamble, feed.line)
            text.normalised["blank-lines"] += 1
    except csv.Error as error:
        if feed.fault == "record-too-long":
            raise no_header(source, feed.line, "it is over 1 MiB long") from None
        if _is_unclosed(error):
            raise feed.unclosed() from None
        raise no_header(source, feed.line, f"it is not CSV: {BAD_QUOTING}") from None
    return Layout((), (), preamble, feed.line)


class _Feed:
    """The lines of one input as text for `csv.reader`.

    `raw` are the bytes of the record that is being read, `line` is the number of its first line. `fault` is
    the fault of the record, or "". It is kept here because the csv module reads on over bytes that are no
    text.
    """

    def __init__(self, text: Text, lines: Iterator[bytes], line: int) -> None:
        self._source = text.source
        self._lines = lines
        self._delimiter = text.delimiter
        self._normalised = text.normalised
        self._size = 0
        self.line = line
        self.raw: list[bytes] = []
        self.fault = ""

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.raw.append(line)
        if type(line) is Overlong:
            self.fault = "record-too-long"
            raise csv.Error
        if len(self.raw) > 1:
            self._size = (self._size or len(self.raw[0])) + len(line)
            if self._size > LONGEST_RECORD:
                raise self.unclosed("before its record has 1 MiB", InputError)
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.fault = "not-text"
            return line.decode(errors="surrogateescape")

    def take(self) -> bytes:
        """Return the bytes of the record that was just read, and begin the next."""
        raw = self.raw[0] if len(self.raw) == 1 else b"".join(self.raw)
        if raw.endswith(OTHER_ENDS):
            self._normalised["line-ends"] = 1
        self.line += len(self.raw)
        self.raw = []
        self._size = 0
        return raw

    def unclosed(
        self, where: str = "by the end of the file", kind: type[InputError] = Unclosed
    ) -> InputError:
        """Return the error for a quotation mark in the record that is not closed so far."""
        number = self._last_opening()
        line = self.line + number
        return kind(
            f"{self._source}, line {line}: a quotation mark is opened here and not closed {where}",
            f"correct line {line} (a quotation mark inside a quoted field is doubled) and run again: "
            "rows that were sent are not sent twice",
            where=Where(self._source, line, self.raw[number][:_SHOWN]) if self.raw else None,
        )

    def _last_opening(self) -> int:
        """Return the number of the record's line, from 0, in which the field that is still open begins."""
        for number in range(len(self.raw) - 1, 0, -1):
            # Each line but the first begins inside a quoted field. If it has a second field, that one was
            # closed.
            inside = '"' + self.raw[number].decode(errors="replace")
            if len(next(csv.reader([inside], delimiter=self._delimiter))) > 1:
                return number
        return 0


class DelimitedReader:
    """Reads records of delimited text after the header."""

    is_open = staticmethod(is_last_open)

    def __init__(self, text: Text, layout: Layout) -> None:
        self.columns = layout.columns
        self.preamble = layout.preamble
        self._text = text
        self._line = layout.line

    def items(self) -> Iterator[Item]:
        """Yield a Row for every record with as many cells as the header, a Reject for any other."""
        feed = _Feed(self._text, self._text.lines, self._line)
        records = csv.reader(feed, delimiter=self._text.delimiter, strict=True)
        while True:
            try:
                yield from self._until_fault(feed, records)
            except csv.Error as error:
                if _is_unclosed(error):
                    raise feed.unclosed() from None
                yield self._reject(feed)
            else:
                return

    def _until_fault(self, feed: _Feed, records: Iterator[list[str]]) -> Iterator[Item]:
        """Yield items up to a record that the csv module cannot read; then raise csv.Error."""
        source, width = self._text.source, len(self.columns)
        blank, line = b"", feed.line
        try:
            for cells in records:
                if len(feed.raw) == 1 and (
                    not cells or (width > 1 and len(cells) == 1 and not cells[0].strip())
                ):
                    blank += feed.take()
                    self._text.normalised["blank-lines"] += 1
                    line = feed.line
                    if len(blank) > MOST_BLANK:
                        yield Gap(blank)
                        blank = b""
                    continue
                raw = feed.take()
                if blank:
                    raw, blank = blank + raw, b""
                if len(cells) == width and not feed.fault and b"\0" not in raw:
                    yield _row((source, line, raw, cells, None))
                else:
                    yield self._misfit(Row(source, line, raw, cells), feed)
                line = feed.line
        except csv.Error:
            if blank:
                yield Gap(blank)
            raise
        if blank:
            yield Gap(blank)

    def _misfit(self, row: Row, feed: _Feed) -> Item:
        fault, feed.fault = feed.fault, ""
        if fault == "not-text":
            return Reject(row, *not_text(self._text.encoding))
        if b"\0" in row.raw:
            return Reject(row, "nul", "it has a NUL byte")
        few = "few" if len(row.values) < len(self.columns) else "many"
        reason = f"too {few} fields: {len(row.values)}, the header has {len(self.columns)}"
        return Reject(row, "ragged-row", reason)

    def _reject(self, feed: _Feed) -> Item:
        line, last = feed.line, feed.raw[-1]
        raw = feed.take()
        fault, feed.fault = feed.fault, ""
        if fault == "record-too-long":
            if isinstance(last, Overlong) and not last.first:
                feed.line = line
                return Gap(bytes(raw))
            return Reject(Row(self._text.source, line, bytes(raw), None), fault, too_long(raw))
        return Reject(Row(self._text.source, line, raw, None), "bad-quoting", f"not CSV: {BAD_QUOTING}")


def _is_unclosed(error: csv.Error) -> bool:
    return "unexpected end of data" in str(error)


DELIMITED = Delimited()
