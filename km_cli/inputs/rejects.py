"""The rejects file: written for people to correct, and read again as an input like any other."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from km_cli.errors import LedgerFailed
from km_cli.inputs.base import Item
from km_cli.inputs.jsonl import parse_object
from km_cli.model import Gap, Origin, Reject, Row

MARK = "km_cli_reject"


def is_reject(line: bytes) -> bool:
    """Tell whether this line was written as a reject."""
    return f'"{MARK}"'.encode() in line[:64]


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
    if reject.owed:
        line["owed"] = list(reject.owed)
    line["reading"] = origin.reading
    line["columns"] = list(origin.columns) if origin.delimiter else None
    if origin.delimiter not in ("", ","):
        line["delimiter"] = origin.delimiter
    raw = row.raw.lstrip(b"\r\n")
    try:
        line["raw"] = raw.decode()
    except UnicodeDecodeError:
        line["raw_b64"] = base64.b64encode(raw).decode()
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


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

    def items(self) -> Iterator[Item]:
        """Yield a Row for each line whose `raw` is a record of its columns, a Reject for any other."""
        for number, raw in enumerate(self._lines, 1):
            if raw.isspace():
                yield Gap(raw)
                continue
            yield self._item(number, raw)

    def _item(self, number: int, raw: bytes) -> Item:
        try:
            line = parse_object(raw)
            record = _record(line)
            row = Row(
                str(line.get("source", self.source)),
                int(line.get("line", number)),
                record,
                None,
                _origin(line),
            )
        except (ValueError, RecursionError, TypeError, binascii.Error) as error:
            return Reject(Row(self.source, number, raw, None), "bad-reject", f"not a reject: {error}")
        try:
            return row._replace(values=_values(row))
        except (ValueError, RecursionError, csv.Error) as error:
            return Reject(row, "still-bad", str(error), row.origin.owed if row.origin else ())


def sample_columns(raw: bytes) -> tuple[str, ...]:
    """Return the columns of the row that a line of a rejects file holds; raises ValueError."""
    line = parse_object(raw)
    return _origin(line).columns or tuple(parse_object(_record(line)))


def first_token(head: bytes) -> str:
    """Return the token of the reading that the first reject comes from, "" if it does not say."""
    try:
        return _origin(parse_object(head.partition(b"\n")[0])).reading
    except (ValueError, RecursionError):
        return ""


def _origin(line: dict[str, Any]) -> Origin:
    columns = line.get("columns")
    return Origin(
        str(line.get("reading", "")),
        tuple(line.get("owed", ())),
        tuple(columns or ()),
        "" if columns is None else str(line.get("delimiter", ",")),
    )


def _record(line: dict[str, Any]) -> bytes:
    if "raw" in line:
        return str(line["raw"]).encode()
    if "raw_b64" in line:
        return base64.b64decode(line["raw_b64"], validate=True)
    raise ValueError("it has neither `raw` nor `raw_b64`")


def _values(row: Row) -> dict[str, Any]:
    assert row.origin is not None
    columns, delimiter = row.origin.columns, row.origin.delimiter
    if not delimiter:
        return parse_object(row.raw)
    if b"\0" in row.raw:
        raise ValueError("it has a NUL byte")
    text = io.StringIO(row.raw.decode(), newline="")
    rows = [cells for cells in csv.reader(text, delimiter=delimiter, strict=True) if cells]
    if len(rows) != 1 or len(rows[0]) != len(columns):
        found = f"{len(rows[0])} fields" if len(rows) == 1 else f"{len(rows)} records"
        raise ValueError(f"`raw` must be one record of {len(columns)} fields, it has {found}")
    return dict(zip(columns, rows[0], strict=True))


class RejectsFile:
    """Where a run's rejects go: made with the first of them, synced before the ledger commits.

    An existing file is added to. Raises LedgerFailed if it can't be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._file: BinaryIO | None = None

    def write(self, lines: Sequence[bytes]) -> None:
        """Append lines and wait until they are on the disk."""
        if not lines:
            return
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("ab")
            self._file.write(b"".join(lines))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise LedgerFailed(
                f"the rejects file {self.path} cannot be written: {error.strerror}",
                "make room or give another place with --rejects PATH, then run the same command again",
            ) from None
        self.count += len(lines)

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()
