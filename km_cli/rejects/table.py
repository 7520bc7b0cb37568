"""Rejects as a table, for those who correct them in a spreadsheet.

The columns are `reason` and `line`, then those of the log, then MARK, a JSON object with the row's origin. A
person corrects the log's own columns, and may sort, filter and delete rows.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from km_cli.errors import InputError
from km_cli.formulas import guarded, unguarded
from km_cli.inputs.base import BOM, LONGEST_RECORD
from km_cli.inputs.delimited_header import DELIMITERS
from km_cli.inputs.formats import format_with
from km_cli.inputs.jsonl import parse_object
from km_cli.model import Origin, Reject, Row
from km_cli.rejects.line import UNSEEN, origin_of

REASON, LINE, MARK = "reason", "line", "km_cli_reject"

_BEGINNING = BOM + f"{REASON},{LINE},".encode()
"""How each table begins that km-cli writes."""

_BLANKS = re.compile(rb"^(?:\s|" + BOM + rb")+")


class Header(NamedTuple):
    """The first line of a table: the log's columns, and the delimiter, which a spreadsheet may have changed.

    `places` are the places of reason, line and mark among the cells; `others` are those of the columns.
    """

    columns: tuple[str, ...]
    delimiter: str
    places: tuple[int, int, int]
    others: tuple[int, ...]

    @property
    def is_as_written(self) -> bool:
        """Whether delimiter and order are those that km-cli writes, so that lines can be added."""
        return self.delimiter == "," and self.places == (0, 1, len(self.columns) + 2)


def format_header(columns: Sequence[str]) -> bytes:
    """Return the first line of a table. The byte order mark tells a spreadsheet that it is UTF-8."""
    return BOM + _record((REASON, LINE, *map(guarded, columns), MARK), ",")


def parse_header(beginning: bytes) -> Header | None:
    """Return the header of a table, None if these first bytes of a file are not those of a table.

    Raises InputError for a table that lacks one of its own columns: read as a log, it would be sent again.
    """
    text = without_blanks(beginning)
    if MARK.encode() not in text:
        return None
    lines = text.decode(errors="replace").splitlines(keepends=True)
    for delimiter in DELIMITERS:
        try:
            cells = next(csv.reader(lines, delimiter=delimiter, strict=True), [])
        except csv.Error:
            continue
        if MARK in cells:
            reason, line, mark = places = _places(cells)
            others = tuple(at for at in range(len(cells)) if at not in places)
            columns = tuple(unguarded(cells[at]) for at in others)
            return Header(columns, delimiter, (reason, line, mark), others)
    return None


def is_empty(content: bytes) -> bool:
    """Tell whether a file has nothing in it, or only the beginning of a header, which a crash cut off."""
    if not content.strip() or _BEGINNING.startswith(content):
        return True
    outside = b"".join(content.split(b'"')[::2])  # a name of a column may have line breaks in it
    return content.startswith(_BEGINNING) and not parse_header(content) and b"\n" not in outside


def without_blanks(beginning: bytes) -> bytes:
    """Return the first bytes of a file without the blanks and byte order marks before its header."""
    return _BLANKS.sub(b"", beginning)


def _places(cells: Sequence[str]) -> tuple[int, int, int]:
    """Return the places of reason, line and mark in a header, which a spreadsheet may have moved."""
    mark = len(cells) - 1 - cells[::-1].index(MARK)
    if [cell.casefold() for cell in cells[:2]] == [REASON, LINE]:
        return 0, 1, mark
    found = [[at for at, cell in enumerate(cells) if cell.casefold() == name] for name in (REASON, LINE)]
    if any(len(places) != 1 for places in found):
        raise InputError(
            f"a table of rejects, with the column {MARK!r}, needs one column {REASON!r} and one {LINE!r}",
            f"put {REASON!r} and {LINE!r} back in front of the other columns",
        )
    return found[0][0], found[1][0], mark


def cells_of(reject: Reject, origin: Origin, columns: Sequence[str]) -> list[str] | None:
    """Return the cells of a rejected row by the table's columns; None if the row cannot stand in the table.

    It cannot if it is no record of these columns, holds anything nested, or has characters that a spreadsheet
    does not show or keep.
    """
    written_in = format_with(origin.delimiter)
    if written_in is None or origin.delimiter not in ("", *DELIMITERS):
        return None
    if len(reject.row.raw) >= LONGEST_RECORD or any(map(_is_hidden, columns)):
        return None
    try:
        values = written_in.parse_record(reject.row.raw.lstrip(b"\r\n"), origin.columns, origin.delimiter)
        cells = [_text(values.pop(name, None)) for name in columns]
        b"".join(cell.encode() for cell in cells)
    except (ValueError, RecursionError):
        return None
    has_others = bool(values) or (origin.delimiter and tuple(columns) != origin.columns)
    return None if has_others or any(map(_is_hidden, cells)) else cells


def format_row(reject: Reject, origin: Origin, cells: Sequence[str]) -> bytes:
    """Return the line of a rejected row."""
    row, owed = reject.row, reject.owed or origin.owed
    mark: dict[str, object] = {"source": row.source, "code": reject.code, "reading": origin.reading}
    if owed:
        mark["owed"] = list(owed)
    if origin.delimiter != ",":
        mark["delimiter"] = origin.delimiter
    text = json.dumps(mark)
    reason = reject.reason.translate(UNSEEN)
    return _record((guarded(reason), str(row.line), *map(guarded, cells), text), ",")


def parse_row(cells: Sequence[str], header: Header) -> Row:
    """Return the row that a line holds, its values not read yet. Raises ValueError if the line holds none."""
    _, line, mark = (cells[at] for at in header.places)
    if not (line.isdecimal() and len(line) < 16):
        raise ValueError("its `line` is not the number of a line")
    try:
        known = parse_object(mark.encode())
    except (ValueError, RecursionError):
        raise ValueError(f"its `{MARK}` is not as km-cli wrote it") from None
    delimiter = known.get("delimiter", ",")
    origin = origin_of({**known, "columns": list(header.columns) if delimiter else None})
    origin = origin._replace(columns=header.columns)
    values = [unguarded(cells[at]) for at in header.others]
    raw = _raw(values, header.columns, origin.delimiter)
    if len(raw) > LONGEST_RECORD:
        raise ValueError("a record over 1 MiB")
    return Row(str(known.get("source", "")), int(line), raw, None, origin)


def _raw(values: Sequence[str], columns: Sequence[str], delimiter: str) -> bytes:
    """Return a record of these values, as the log would have it. An object lacks its empty columns."""
    if delimiter:
        return _record(values, delimiter)
    named = {name: value for name, value in zip(columns, values, strict=True) if value}
    return json.dumps(named, ensure_ascii=False).encode() + b"\n"


def _record(cells: Sequence[str], delimiter: str) -> bytes:
    out = io.StringIO(newline="")
    # With this end, a lone carriage return in a cell is quoted, too.
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return out.getvalue().removesuffix("\r\n").encode() + b"\n"


def _text(value: object) -> str:
    """Return a value of a log as the mapping would read it. Raises ValueError for anything nested."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, str):
        return value or ""
    raise ValueError("nested")


def _is_hidden(cell: str) -> bool:
    """Tell whether a cell has characters that a spreadsheet does not show or keep, but for line feeds."""
    return any((letter < " " and letter not in "\n\t") or ord(letter) in UNSEEN for letter in cell)
