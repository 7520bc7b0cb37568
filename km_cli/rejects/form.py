"""The rejects file: written for people to correct, and read again as an input like any other."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from km_cli.errors import LedgerFailed
from km_cli.inputs.base import LINE_ENDS, LONGEST_RECORD, Item
from km_cli.inputs.delimited import BAD_QUOTING, DELIMITERS
from km_cli.inputs.jsonl import parse_object
from km_cli.inputs.lines import Overlong
from km_cli.model import Gap, Origin, Reject, Row

MARK = "km_cli_reject"

_NO_REJECT = "bad-reject"

LONGEST_REJECT = 8 * LONGEST_RECORD
"""Bytes of a line: a record's, each perhaps written as an escape of six."""

_UNSEEN = {
    code: f"\\u{code:04x}"
    for code in (
        *range(0x7F, 0xA0),
        *(0xAD, 0x034F, 0xFEFF),
        *range(0x200B, 0x2010),
        *range(0x2028, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFE00, 0xFE10),
    )
}
"""What a terminal obeys, or an editor ends a line at or does not show, as JSON escapes it."""

_IS_REJECT = re.compile(rb'\s*\{.{0,4096}?"km_cli_reject"\s*:\s*1\b')


def is_reject(line: bytes) -> bool:
    """Tell whether this line was written as a reject."""
    return _IS_REJECT.match(line) is not None


def format_reject(reject: Reject, origin: Origin) -> bytes:
    """Return the line for the rejects file: `raw` is to be corrected, the rest says where it was from.

    `origin` is the reading that the row was read in; a corrected reject keeps its own.
    """
    row = reject.row
    origin = row.origin or origin
    line: dict[str, Any] = {
        MARK: 1,
        "source": row.source,
        "line": row.line,
        "reason": reject.reason,
        "code": reject.code,
    }
    if owed := reject.owed or origin.owed:
        line["owed"] = list(owed)
    line["reading"] = origin.reading
    line["columns"] = list(origin.columns) if origin.delimiter else None
    if origin.delimiter not in ("", ","):
        line["delimiter"] = origin.delimiter
    raw = row.raw.lstrip(b"\r\n")
    try:
        line["raw"] = raw.decode()
    except UnicodeDecodeError:
        line["raw_b64"] = base64.b64encode(raw).decode()
    return json.dumps(line, ensure_ascii=False).translate(_UNSEEN).encode() + b"\n"


class RejectsReader:
    """Reads a rejects file: each line becomes the row that it holds, at the place it came from.

    Rows come as objects whatever they were, since one file may hold rejects of several inputs.
    """

    tabular = False
    delimiter = ""
    preamble = b""

    def __init__(self, source: str, lines: Iterator[bytes], columns: tuple[str, ...]) -> None:
        self.source = source
        self.columns = columns
        self._lines = lines
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
                place = Row(self.source, number, bytes(raw[:LONGEST_RECORD]), None)
                yield Reject(place, _NO_REJECT, "not a reject: a line over 8 MiB")
            elif raw.isspace():
                yield Gap(raw)
            else:
                yield self._item(number, raw)

    def is_open(self, last: Item) -> bool:
        """Tell whether the last line read is no whole object and has no end: editors leave that out."""
        is_whole = not isinstance(last, Reject) or last.code != _NO_REJECT
        return not is_whole and not self._last.endswith(LINE_ENDS)

    def _item(self, number: int, raw: bytes) -> Item:
        try:
            row = _row(parse_object(raw))
        except (ValueError, RecursionError) as error:
            return Reject(Row(self.source, number, raw, None), _NO_REJECT, f"not a reject: {error}")
        try:
            return row._replace(values=_values(row))
        except UnicodeDecodeError:
            said = "not valid UTF-8"
        except csv.Error:
            said = f"not CSV: {BAD_QUOTING}"
        except (ValueError, RecursionError) as error:
            said = str(error)
        return Reject(row, "still-bad", said, row.origin.owed if row.origin else ())


def sample_columns(raw: bytes) -> tuple[str, ...]:
    """Return the columns of the row that a line of a rejects file holds; raises ValueError."""
    row = _row(parse_object(raw))
    assert row.origin is not None
    return row.origin.columns or tuple(parse_object(row.raw))


def first_token(head: bytes) -> str:
    """Return the token of the reading that the first reject comes from, "" if it does not say."""
    try:
        return _origin(parse_object(head.lstrip().partition(b"\n")[0])).reading
    except (ValueError, RecursionError):
        return ""


def _row(line: dict[str, Any]) -> Row:
    """Return what a reject holds; raises ValueError if it is none."""
    if line.get(MARK) != "1":
        raise ValueError(f"it has no {MARK!r}")
    number = str(line.get("line", ""))
    if not (number.isdecimal() and len(number) < 16):
        raise ValueError("its `line` is no number of a line")
    return Row(str(line.get("source", "")), int(number), _record(line), None, _origin(line))


def _origin(line: dict[str, Any]) -> Origin:
    delimiter = "" if line.get("columns") is None else line.get("delimiter", ",")
    if delimiter and delimiter not in DELIMITERS:
        raise ValueError(f"its `delimiter` is none of {', '.join(DELIMITERS.values())}")
    columns = _names(line, "columns")
    return Origin(str(line.get("reading", "")), _names(line, "owed"), columns, str(delimiter))


def _names(line: dict[str, Any], key: str) -> tuple[str, ...]:
    names = line.get(key)
    if names is None:
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"its `{key}` is no list of names")
    return tuple(names)


def _record(line: dict[str, Any]) -> bytes:
    if isinstance(raw := line.get("raw"), str):
        return raw.encode()
    if isinstance(packed := line.get("raw_b64"), str):
        try:
            return base64.b64decode(packed, validate=True)
        except binascii.Error:
            raise ValueError("its `raw_b64` is not base64") from None
    raise ValueError("it has neither `raw` nor `raw_b64`")


def _values(row: Row) -> dict[str, Any]:
    assert row.origin is not None
    if len(row.raw) > LONGEST_RECORD:
        raise ValueError("a record over 1 MiB")
    columns, delimiter = row.origin.columns, row.origin.delimiter
    if not delimiter:
        return parse_object(row.raw)
    if b"\0" in row.raw:
        raise ValueError("it has a NUL byte")
    text = io.StringIO(row.raw.decode(), newline="")
    records = csv.reader(text, delimiter=delimiter, strict=True)
    rows = [cells for cells in records if len(cells) > 1 or "".join(cells).strip()]
    if len(rows) != 1 or len(rows[0]) != len(columns):
        found = f"{len(rows[0])} fields" if len(rows) == 1 else f"{len(rows)} records"
        raise ValueError(f"`raw` must be one record of {len(columns)} fields, it has {found}")
    return dict(zip(columns, rows[0], strict=True))


class RejectsFile:
    """Where a run's rejects go: made with the first of them, synced before the ledger commits.

    An existing file is added to. Raises LedgerFailed if it can't be written. `name` is
    its whole path, as text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = os.fsencode(path.absolute()).decode(errors="backslashreplace")
        self.count = 0
        self._file = -1

    def write(self, lines: Sequence[bytes]) -> None:
        """Append lines and wait until they are on the disk; what is not whole is taken back."""
        if not lines:
            return
        size = -1
        try:
            if self._file < 0:
                self._file = self._open()
            size = os.lseek(self._file, 0, os.SEEK_END)
            data = b"".join(lines)
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)
        except OSError as error:
            if size >= 0:
                with suppress(OSError):  # what is no file on a disk keeps nothing
                    os.ftruncate(self._file, size)
            raise LedgerFailed(
                f"the rejects file {self.path} cannot be written: {error.strerror}",
                "make room or give another place with --rejects PATH, then run the same command again",
            ) from None
        self.count += len(lines)

    def _open(self) -> int:
        """Make the file, for its owner alone; what a crash tore off in an old one ends its own line."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if size := os.lseek(file, 0, os.SEEK_END):
            if os.pread(file, 1, size - 1) != b"\n":
                os.write(file, b"\n")
            return file
        folder = os.open(self.path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        return file

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
