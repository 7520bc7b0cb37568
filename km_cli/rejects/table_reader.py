"""A table of rejects as an input format: each record becomes the row that it holds."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from typing import Any

from km_cli.errors import InputError
from km_cli.inputs.base import BOM, LONGEST_RECORD, UTF8, Format, Item, Layout, Text
from km_cli.inputs.delimited import DelimitedReader
from km_cli.inputs.formats import format_with
from km_cli.model import Gap, Reject, Row
from km_cli.rejects.line import parse_reject
from km_cli.rejects.table import Header, parse_header, parse_row, without_blanks

_NOT_A_REJECT = "bad-reject"


class RejectsTableFormat(Format):
    """A table of rejected rows. They may come from several inputs, so each row is an object."""

    name = "rejects-table"
    delimiters = ()
    holds_rejects = True
    is_saved_elsewhere = True
    longest_line = 8 * LONGEST_RECORD

    def recognises(self, beginning: bytes) -> bool:
        """Tell whether the first line is the header of such a table."""
        return parse_header(beginning) is not None

    def layout(self, text: Text) -> Layout:
        """Return the columns of the log, and the token of the first row's reading. Raises InputError."""
        _check_text(text)
        token = _first_token(text)
        header, preamble, line = _take_header(text)
        return Layout(header.columns, header.columns, preamble, line, token)

    def reader(self, text: Text, layout: Layout) -> RejectsTableReader:
        """Return the reader of one reject a record."""
        header = parse_header(layout.preamble)
        assert header is not None
        return RejectsTableReader(text, layout, header)

    def parse_record(self, raw: bytes, columns: tuple[str, ...], delimiter: str) -> dict[str, Any]:  # noqa: ARG002
        """Return the values of the row that a line of JSON holds: rejects of rejects are JSON lines."""
        return _values(parse_reject(raw))


class RejectsTableReader:
    """Reads one reject a record."""

    preamble = b""

    def __init__(self, text: Text, layout: Layout, header: Header) -> None:
        self.columns = layout.columns
        self._header = header
        width = len(header.columns) + 3
        every = layout._replace(columns=tuple(map(str, range(width))))
        self._reader = DelimitedReader(text._replace(delimiter=header.delimiter), every)

    def items(self) -> Iterator[Item]:
        """Yield a Row for each record that is one of its columns, a Reject for any other."""
        for item in self._reader.items():
            if isinstance(item, Row) and not any(map(str.strip, item.values)):
                yield Gap(item.raw)  # a row that was emptied rather than deleted
            elif isinstance(item, Row):
                yield self._item(item)
            elif isinstance(item, Gap):
                yield item
            else:
                reason = f"not a reject: {item.reason}"
                yield Reject(item.row._replace(values=None), _NOT_A_REJECT, reason)

    def is_open(self, last: Item) -> bool:
        """Tell whether the last record may still grow: only if it is not whole."""
        return isinstance(last, Reject) and last.code == _NOT_A_REJECT and self._reader.is_open(last)

    def _item(self, found: Row) -> Item:
        try:
            row = parse_row(found.values, self._header)
        except ValueError as error:
            return Reject(found._replace(values=None), _NOT_A_REJECT, f"not a reject: {error}")
        try:
            return row._replace(values=_values(row))
        except (ValueError, RecursionError) as error:
            return Reject(row, "still-bad", str(error), row.origin.owed if row.origin else ())


def _values(row: Row) -> dict[str, Any]:
    """Return the values in a row's raw, read by the format of its log. Raises ValueError."""
    assert row.origin is not None
    written_in = format_with(row.origin.delimiter)
    assert written_in is not None
    return written_in.parse_record(row.raw, row.origin.columns, row.origin.delimiter)


def _check_text(text: Text) -> None:
    """Raise InputError for a table that is not in UTF-8, as no --encoding says: a spreadsheet saved it so.

    Behind a byte order mark, bytes that are not UTF-8 are the fault of one row.
    """
    if text.encoding != UTF8 or text.head.startswith(BOM):
        return
    try:
        codecs.getincrementaldecoder("utf-8")().decode(text.head)
    except UnicodeDecodeError as error:
        line = text.head[: error.start].count(b"\n") + 1
        raise InputError(
            f"{text.source}, line {line}: this table of rejects is not in UTF-8: a spreadsheet has saved it "
            "in another encoding",
            "name the encoding: --encoding cp1252 (Excel on Windows) or --encoding mac-roman (Excel on a "
            'Mac); or save the table as "CSV UTF-8"',
        ) from None


def _take_header(text: Text) -> tuple[Header, bytes, int]:
    """Take the header off the lines; return it with its bytes, and the number of the line behind it."""
    header = parse_header(text.head)
    assert header is not None, "the format was recognised by its header"
    taken: list[bytes] = []

    def lines() -> Iterator[str]:
        is_before = True
        for line in text.lines:
            taken.append(line)
            rest = without_blanks(line) if is_before else line
            is_before = is_before and not rest
            yield rest.decode(errors="replace")

    next(cells for cells in csv.reader(lines(), delimiter=header.delimiter) if cells)
    return header, b"".join(taken), len(taken) + 1


def _first_token(text: Text) -> str:
    """Return the token of the reading that the first reject comes from, "" if it does not say."""
    again = text._replace(lines=iter(text.head.splitlines(keepends=True)))
    try:
        header, preamble, line = _take_header(again)
        reader = RejectsTableReader(again, Layout((), (), preamble, line), header)
        row = next((one for one in reader.items() if isinstance(one, Row)), None)
    except InputError:
        return ""
    return row.origin.reading if row and row.origin else ""


REJECTS_TABLE = RejectsTableFormat()
