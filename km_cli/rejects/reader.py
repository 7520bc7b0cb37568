"""The rejects file as an input format: each line becomes the row that it holds, at the place it came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from km_cli.inputs.base import LINE_ENDS, LONGEST_RECORD, Format, Item, Layout, Text
from km_cli.inputs.formats import format_with
from km_cli.inputs.jsonl import parse_object
from km_cli.inputs.keys import keys_of
from km_cli.inputs.lines import Overlong
from km_cli.model import Gap, Reject, Row
from km_cli.rejects.line import is_reject, parse_origin, parse_reject

_NOT_A_REJECT = "bad-reject"


class RejectsFormat(Format):
    """A file that holds rejected rows. They may come from several inputs, so each row is an object."""

    name = "rejects"
    delimiters = ()
    holds_rejects = True
    longest_line = 8 * LONGEST_RECORD
    """Bytes: a record, each byte of which may be written as an escape of six characters."""

    def recognises(self, beginning: bytes) -> bool:
        """Tell whether the first line is a reject."""
        return is_reject(beginning)

    def layout(self, text: Text) -> Layout:
        """Return the columns of the first rows, and the token of the first one's reading."""
        columns, regular = keys_of(text.head, _columns_in, self.longest_line)
        return Layout(columns, regular, token=_first_token(text.head))

    def reader(self, text: Text, layout: Layout) -> RejectsReader:
        """Return the reader of one reject a line."""
        return RejectsReader(text, layout)

    def parse_record(self, raw: bytes, columns: tuple[str, ...], delimiter: str) -> dict[str, Any]:  # noqa: ARG002
        """Return the values of the row that a line holds."""
        return _values(parse_reject(raw))


class RejectsReader:
    """Reads one reject a line."""

    preamble = b""

    def __init__(self, text: Text, layout: Layout) -> None:
        self.columns = layout.columns
        self._source = text.source
        self._lines = text.lines
        self._last = b"\n"

    def items(self) -> Iterator[Item]:
        """Yield a Row for each line whose `raw` is a record of its columns, a Reject for any other."""
        number = 0
        for raw in self._lines:
            self._last = raw
            if type(raw) is Overlong and not raw.first:
                yield Gap(bytes(raw))
                continue
            number += 1
            if type(raw) is Overlong:
                place = Row(self._source, number, bytes(raw[:LONGEST_RECORD]), None)
                yield Reject(place, _NOT_A_REJECT, "not a reject: a line over 8 MiB")
            elif raw.isspace():
                yield Gap(raw)
            else:
                yield self._item(number, raw)

    def is_open(self, last: Item) -> bool:
        """Tell whether the last line may still grow: it is not a whole object, and has no line end.

        A whole object without a line end counts as complete, because editors leave out the last line end.
        """
        is_whole = not isinstance(last, Reject) or last.code != _NOT_A_REJECT
        return not is_whole and not self._last.endswith(LINE_ENDS)

    def _item(self, number: int, raw: bytes) -> Item:
        try:
            row = parse_reject(raw)
        except (ValueError, RecursionError) as error:
            return Reject(Row(self._source, number, raw, None), _NOT_A_REJECT, f"not a reject: {error}")
        try:
            return row._replace(values=_values(row))
        except UnicodeDecodeError:
            reason = "not valid UTF-8"
        except (ValueError, RecursionError) as error:
            reason = str(error)
        return Reject(row, "still-bad", reason, row.origin.owed if row.origin else ())


def _values(row: Row) -> dict[str, Any]:
    """Return the values in a row's raw, read by the format that it was in. Raises ValueError."""
    if len(row.raw) > LONGEST_RECORD:
        raise ValueError("a record over 1 MiB")
    assert row.origin is not None
    written_in = format_with(row.origin.delimiter)
    assert written_in is not None
    return written_in.parse_record(row.raw, row.origin.columns, row.origin.delimiter)


def _columns_in(raw: bytes) -> tuple[str, ...]:
    """Return the columns of the row that a line holds. Raises ValueError."""
    row = parse_reject(raw)
    assert row.origin is not None
    return row.origin.columns or tuple(parse_object(row.raw))


def _first_token(head: bytes) -> str:
    """Return the token of the reading that the first reject comes from, "" if it does not say."""
    try:
        return parse_origin(head.lstrip().partition(b"\n")[0]).reading
    except (ValueError, RecursionError):
        return ""


REJECTS = RejectsFormat()
