"""CSV and its relatives: a header, then records of as many cells."""

from __future__ import annotations

import csv
import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain

from km_cli.errors import InputError, Unclosed
from km_cli.inputs.base import (
    BOM,
    LONGEST_RECORD,
    MOST_BLANK,
    OTHER_ENDS,
    Item,
    is_last_open,
    not_text,
    piped,
    shown,
    too_long,
)
from km_cli.inputs.lines import Overlong
from km_cli.kissmetrics import LONGEST_NAME
from km_cli.model import Gap, Reject, Row

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}

_NO_HEADER = re.compile(r"#|//|--|sep=", re.IGNORECASE)
"""What begins a comment, or the line by which Excel names the delimiter. A column may be named so too."""

_VALUE = re.compile(
    r"[^@\s]+@[^@\s]+\.[^@\s]+"  # an e-mail address
    r"|[+-]?(?:\d{9,}|\d+\.\d+)(?:[eE]\d+)?"  # seconds since 1970, an amount
    r"|(?:19|20)\d\d(?:\d{4}|-\d\d-\d\d|/\d\d?/\d\d?)(?:[T ,].*)?"  # a date, with a clock or without
    r"|\d\d?([/.-])\d\d?\1(?:\d{4}|\d\d)(?:[T ,].*)?"
    r"|.*\b(?:19|20)\d\d\b.*\b\d\d?:\d\d\b.*",  # a date in words, and a clock
    re.ASCII,
)
"""What stands in rows and is no column's name. Small numbers may be: columns are called 2024, or 404."""

csv.field_size_limit(2 * LONGEST_RECORD)


class _Feed:
    """The lines of one input as text for `csv.reader`, and the bytes behind the record at hand."""

    def __init__(
        self,
        source: str,
        lines: Iterator[bytes],
        line: int,
        delimiter: str,
        normalised: defaultdict[str, int],
    ) -> None:
        self._source = source
        self._lines = lines
        self._delimiter = delimiter
        self._normalised = normalised
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
        """Return the error for a quotation mark of the record at hand that is not closed so far."""
        line = self.line + self._last_opening()
        return kind(
            f"{self._source}, line {line}: a quotation mark is opened here and not closed {where}",
            f"correct line {line} (a quotation mark inside a quoted field is doubled) and run again: "
            "what was sent is not sent twice",
        )

    def _last_opening(self) -> int:
        """Return in which line of the record the field that is still open begins, counted from 0."""
        for number in range(len(self.raw) - 1, 0, -1):
            # Each line but the first begins inside a quoted field; with a second field the first was closed.
            inside = '"' + self.raw[number].decode(errors="replace")
            if len(next(csv.reader([inside], delimiter=self._delimiter))) > 1:
                return number
        return 0


def parse_header(
    source: str, lines: Iterator[bytes], delimiter: str, encoding: str, normalised: defaultdict[str, int]
) -> tuple[tuple[str, ...], bytes, int]:
    """Return the header's columns, its bytes, and the number of the line after it.

    Raises InputError if it can't be read or is a row, two columns are alike, one has no name, or there is
    only one.
    """
    first = next(lines, b"")
    if type(first) is Overlong:
        raise _no_header(source, 1, "is over 1 MiB long")
    # Before a quotation mark the mark would be a character of its own.
    bare = first.removeprefix(BOM)
    preamble = first[: len(first) - len(bare)]
    feed = _Feed(source, chain(filter(None, [bare]), lines), 1, delimiter, normalised)
    try:
        for cells in csv.reader(feed, delimiter=delimiter, strict=True):
            line = feed.line
            preamble += feed.take()
            if any(cell.strip() for cell in cells):
                if feed.fault or b"\0" in preamble:
                    raise _unreadable(source, encoding)
                columns = _columns(source, line, cells, delimiter, preamble[-2:])
                return columns, preamble, feed.line
            normalised["blank-lines"] += 1
    except csv.Error as error:
        if feed.fault == "record-too-long":
            raise _no_header(source, feed.line, "is over 1 MiB long") from None
        if _is_unclosed(error):
            raise feed.unclosed() from None
        raise _no_header(source, feed.line, f"is not CSV: {BAD_QUOTING}") from None
    return (), preamble, feed.line


def _columns(source: str, line: int, cells: list[str], delimiter: str, end: bytes) -> tuple[str, ...]:
    columns = tuple(cell.strip() for cell in cells)
    place = f"{source}, line {line}"
    try:
        if len(columns) > 1 and any(map(_is_value, columns)):
            raise _row_first(source, place, columns, delimiter)
        if len(columns) > 2 and columns[-1] == "" and "" not in columns[:-1]:
            raise _delimiter_last(source, place, delimiter, end)
        _check_header(place, columns, delimiter)
    except InputError:
        if _NO_HEADER.match(columns[0]):
            raise _comment(source, line, columns[0]) from None
        raise
    return columns


def _is_value(cell: str) -> bool:
    return len(cell) <= LONGEST_NAME and bool(_VALUE.fullmatch(cell))


def _row_first(source: str, place: str, columns: tuple[str, ...], delimiter: str) -> InputError:
    """Return the error for a file that begins with a row: it would be taken for names, and lost."""
    value = next(filter(_is_value, columns))
    names = delimiter.join(("user", "account", "event", "..."))
    tabs = names.replace("\t", "\\t")
    echo = f"printf '{tabs}\\n'" if delimiter == "\t" else f"echo {shlex.quote(names)}"
    return InputError(
        f"{place}: there is no header: its first line looks like a row, with {shown(value)} in it",
        f"add one that names each of the {len(columns)} columns: "
        f"({echo}; {piped(source, 'cat')}) | km-cli import -",
        plain=f"{place}: there is no header: its first line looks like a row",
    )


def _delimiter_last(source: str, place: str, delimiter: str, end: bytes) -> InputError:
    """Return the error for a header that ends with a delimiter; in many exports every row does."""
    cut = "sed $'s/\\t$//'" if delimiter == "\t" else f"sed 's/{delimiter}$//'"
    command = f"{piped(source, 'cat')} | tr -d '\\r' | {cut}" if end == b"\r\n" else piped(source, cut)
    return InputError(
        f"{place}: the header ends with a {DELIMITERS[delimiter]}, so that its last column has no name",
        f"name that column; or if every line ends so, cut it off: {command} | km-cli import -",
    )


def _no_header(source: str, line: int, why: str) -> InputError:
    return InputError(
        f"{source}, line {line}: what should be the header {why}",
        "give a file whose first line names its columns",
    )


def _comment(source: str, line: int, text: str) -> InputError:
    return InputError(
        f"{source}, line {line}: what should be the header looks like a comment: {shown(text)}",
        f"drop it: {piped(source, f'tail -n +{line + 1}')} | km-cli import -",
        plain=f"{source}, line {line}: what should be the header looks like a comment",
    )


def _unreadable(source: str, encoding: str) -> InputError:
    return InputError(
        f"{source}: the header is not text in {encoding}",
        "say what it was written in: --encoding cp1252 (or utf-16, iso8859-2, shift-jis, …)",
    )


def _check_header(place: str, columns: tuple[str, ...], delimiter: str) -> None:
    found = "columns found: " + ", ".join(columns)
    if len(columns) == 1:
        raise InputError(
            f"{place}: only one column was found ({columns[0]!r}), separated by {DELIMITERS[delimiter]}",
            "give a file with a header, its columns separated by comma, semicolon, tab or pipe "
            "(--delimiter says which)",
            plain=f"{place}: only one column was found",
        )
    if "" in columns:
        raise InputError(
            f"{place}: column {columns.index('') + 1} has no name ({found})",
            "name every column in the header",
            plain=f"{place}: column {columns.index('') + 1} has no name",
        )
    seen: dict[str, str] = {}
    for column in columns:
        if (folded := column.casefold()) in seen:
            raise InputError(
                f"{place}: two columns are alike: {seen[folded]!r} and {column!r} ({found})",
                "rename one of them; Kissmetrics does not tell upper from lower case (D4)",
                plain=f"{place}: two columns are alike",
            )
        seen[folded] = column


class DelimitedReader:
    """Reads records of delimited text after the header."""

    tabular = True
    is_open = staticmethod(is_last_open)

    def __init__(
        self,
        source: str,
        lines: Iterator[bytes],
        columns: tuple[str, ...],
        preamble: bytes,
        *,
        line: int,
        delimiter: str,
        encoding: str,
        normalised: defaultdict[str, int],
    ) -> None:
        self.source = source
        self.columns = columns
        self.preamble = preamble
        self.delimiter = delimiter
        self._encoding = encoding
        self._normalised = normalised
        self._lines = lines
        self._line = line

    def items(self) -> Iterator[Item]:
        """Yield a Row for every record with as many cells as the header, a Reject for any other."""
        feed = _Feed(self.source, self._lines, self._line, self.delimiter, self._normalised)
        records = csv.reader(feed, delimiter=self.delimiter, strict=True)
        while True:
            try:
                yield from self._whole(feed, records)
            except csv.Error as error:
                if _is_unclosed(error):
                    raise feed.unclosed() from None
                yield self._reject(feed)
            else:
                return

    def _whole(self, feed: _Feed, records: Iterator[list[str]]) -> Iterator[Item]:
        source, width = self.source, len(self.columns)
        blank, line = b"", feed.line
        try:
            for cells in records:
                if len(feed.raw) == 1 and (
                    not cells or (width > 1 and len(cells) == 1 and not cells[0].strip())
                ):
                    blank += feed.take()
                    self._normalised["blank-lines"] += 1
                    line = feed.line
                    if len(blank) > MOST_BLANK:
                        yield Gap(blank)
                        blank = b""
                    continue
                raw = feed.take()
                if blank:
                    raw, blank = blank + raw, b""
                if len(cells) == width and not feed.fault and b"\0" not in raw:
                    yield Row(source, line, raw, cells)
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
            return Reject(row, *not_text(self._encoding))
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
            return Reject(Row(self.source, line, bytes(raw), None), fault, too_long(raw))
        return Reject(Row(self.source, line, raw, None), "bad-quoting", f"not CSV: {BAD_QUOTING}")


BAD_QUOTING = "text follows a closing quotation mark (inside a quoted field they are doubled)"


def _is_unclosed(error: csv.Error) -> bool:
    return "unexpected end of data" in str(error)
