"""Rejects come back as the rows they were; corrected in the wrong way they are rejected again."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km_cli.inputs import Item
from km_cli.model import Gap, Origin, Reject, Row
from km_cli.rejects import format_reject
from tests.support.command import Command
from tests.support.reading import (
    ENDS,
    PIECES,
    raw_of,
    read_all,
    without_gaps,
    written,
)

TOKEN = "0123456789abcdef"
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def rejected(item: Item, columns: tuple[str, ...], delimiter: str, **more: Any) -> bytes:
    """The line of the rejects file for a row."""
    row = item if isinstance(item, Row) else item.row  # type: ignore[union-attr]
    return format_reject(Reject(row, "code", "reason", **more), Origin(TOKEN, (), columns, delimiter))


def read_rejects(data: bytes) -> list[Item]:
    with written(data, "rejects") as source:
        return read_all(source)


@given(
    records=st.lists(st.lists(TEXT, min_size=3, max_size=3), min_size=1, max_size=5),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_rejected_csv_comes_back_the_same(records: list[list[str]], delimiter: str, end: str) -> None:
    """With any delimiter and any quoted value, with or without blank lines before the row."""
    columns = ("user", "event name", "at")
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    out.write(f" {end}{end}")
    writer.writerows(records)
    with written(out.getvalue().encode(), "x.csv") as source:
        rows = [item for item in read_all(source) if isinstance(item, Row)]
    assert [row.values for row in rows] == records
    back = read_rejects(b"".join(rejected(row, columns, delimiter) for row in rows))
    for row, again in zip(rows, back, strict=True):
        assert isinstance(again, Row), again
        assert (again.source, again.line) == (row.source, row.line)
        assert again.values == dict(zip(columns, row.values, strict=True))
        assert row.raw.endswith(again.raw)
        assert again.origin == Origin(TOKEN, (), columns, delimiter)


@given(st.lists(st.dictionaries(TEXT, TEXT | st.none() | st.booleans(), min_size=1), min_size=1, max_size=5))
def test_rejected_json_comes_back_the_same(objects: list[dict[str, Any]]) -> None:
    """A JSON row is read as JSON again."""
    data = b"\n".join(json.dumps(one).encode() for one in objects)
    with written(data, "x.jsonl") as source:
        rows = [item for item in read_all(source) if isinstance(item, Row)]
    back = read_rejects(b"".join(rejected(row, ("a",), "") for row in rows))
    assert [(item.line, item.raw, item.values) for item in rows] == [
        (item.line, item.raw, item.values) for item in back if isinstance(item, Row)
    ]
    assert all(isinstance(item, Row) and item.origin == Origin(TOKEN, (), (), "") for item in back)


def test_bytes_that_are_no_text_come_back_the_same() -> None:
    """As base64; corrected in either form they are a row."""
    with written(b"user,event\n\xff,2\n", "x.csv") as source:
        (item,) = read_all(source)
    line = rejected(item, ("user", "event"), ",")
    assert json.loads(line)["raw_b64"] == base64.b64encode(b"\xff,2\n").decode()
    (again,) = read_rejects(line)
    assert isinstance(again, Reject)
    assert (again.code, again.reason, again.row.raw, again.row.line) == (
        "still-bad",
        "not valid UTF-8",
        b"\xff,2\n",
        2,
    )
    assert again.row.origin == Origin(TOKEN, (), ("user", "event"), ",")
    for better in ({"raw_b64": base64.b64encode("é,2".encode()).decode()}, {"raw": "é,2", "raw_b64": "/w=="}):
        corrected = json.dumps({**json.loads(line), **better}).encode()
        assert [item.values for item in read_rejects(corrected) if isinstance(item, Row)] == [
            {"user": "é", "event": "2"}
        ]


def test_what_a_terminal_obeys_is_escaped_in_the_file() -> None:
    """One line a reject for every editor, and the same bytes when it comes back."""
    raw = "a\x9b2J\x85,\u2028\u202e\x7f\ufe0f\ufeff\u2060\n".encode()
    line = rejected(Row("log.csv", 2, raw, []), ("user", "event"), ",")
    assert line.decode().rstrip("\n").isprintable()
    assert b"\\ufe0f\\ufeff\\u2060" in line
    (again,) = read_rejects(line)
    assert isinstance(again, Row)
    assert again.raw == raw


def test_a_reject_that_is_still_bad_is_written_as_it_was() -> None:
    """It keeps its place, its reading, its delimiter and the parts that it owes."""
    row = Row("log.csv", 7, b"1|2|3\r\n", ["1", "2", "3"])
    line = rejected(row, ("user", "event"), "|", owed=("account",))
    (again,) = read_rejects(line)
    assert isinstance(again, Reject)
    assert "one record of 2 fields, it has 3 fields" in again.reason
    once_more = json.loads(format_reject(again, Origin("other", (), ("x",), ",")))
    assert once_more == {**json.loads(line), "code": again.code, "reason": again.reason}


GOOD = {"km_cli_reject": 1, "source": "a", "line": 1, "columns": ["user", "event"], "raw": "1,2"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"raw": "1,2,3"}, "still-bad"),
        ({"raw": "1,2\n3,4"}, "still-bad"),
        ({"raw": '1,"2'}, "still-bad"),
        ({"raw": '1,"2"x'}, "still-bad"),
        ({"raw": "1,\0"}, "bad-reject"),
        ({"raw": "", "columns": None}, "still-bad"),
        ({"raw": '{"a":NaN}', "columns": None}, "still-bad"),
        ({"raw": None}, "bad-reject"),
        ({"raw": None, "raw_b64": "%"}, "bad-reject"),
        ({"raw": None, "raw_b64": base64.b64encode(b"1,\0").decode()}, "still-bad"),
        ({"line": "x"}, "bad-reject"),
        ({"line": 10**30}, "bad-reject"),
        ({"line": -1}, "bad-reject"),
        ({"columns": "user"}, "bad-reject"),
        ({"columns": [["user"], "event"]}, "bad-reject"),
        ({"owed": "account"}, "bad-reject"),
        ({"delimiter": "::"}, "bad-reject"),
        ({"delimiter": 1}, "bad-reject"),
    ],
)
def test_rejects_corrected_the_wrong_way(change: dict[str, Any], code: str) -> None:
    """They are rejected again, and the good one behind them is read."""
    data = b"".join(json.dumps(line).encode() + b"\n" for line in ({**GOOD, **change}, GOOD))
    (bad, good) = read_rejects(data)
    assert isinstance(bad, Reject)
    assert bad.code == code
    assert bad.reason
    assert good[3] == {"user": "1", "event": "2"}


@given(
    st.lists(st.sampled_from([*PIECES["jsonl"], json.dumps(GOOD).encode(), *ENDS]), max_size=12).map(b"".join)
)
def test_whatever_was_made_of_a_rejects_file(data: bytes) -> None:
    """No line of it is lost without a word."""
    data = json.dumps(GOOD).encode() + b"\n" + data
    items = read_rejects(data)
    assert len(items) == len(data.splitlines())


def test_rejects_of_records_that_were_too_long() -> None:
    """Their lines are longer than a record may be, even the first; their neighbours are read."""
    data = b"user,event\n1," + b'"\\' * (2 << 20) + b"\n1,2\n"
    with written(data, "x.csv") as source:
        found = [item for item in read_all(source) if not isinstance(item, Gap)]
    assert without_gaps(found) == [(2, "record-too-long"), (3, ["1", "2"])]
    back = read_rejects(b"".join(rejected(item, ("user", "event"), ",") for item in found))
    assert without_gaps(back) == [(2, "still-bad"), (3, {"user": "1", "event": "2"})]


def test_a_line_no_reject_can_have() -> None:
    """Over 8 MiB: rejected at constant memory."""
    line = json.dumps({**GOOD, "raw": "x" * (20 << 20)}).encode()
    good = json.dumps(GOOD).encode() + b"\n"
    items = read_rejects(good + line + b"\n" + good)
    values = {"user": "1", "event": "2"}
    assert without_gaps(items) == [(1, values), (2, "bad-reject"), (1, values)]
    assert max(map(len, map(raw_of, items))) < (10 << 20)


def test_rejects_with_codes_of_older_versions_are_imported(km: Command, tmp_path: Path) -> None:
    """The code is for people: a row is judged anew, and is rejected under the present code."""
    log, place = tmp_path / "log.csv", tmp_path / "rejects.jsonl"
    log.write_text("timestamp,user,account,event\n2008-01-01T00:00:00Z,ada,7,In\n0000-00-00,bo,7,In\n")
    flags = ("--to", "local", "--rejects", place)
    km("import", log, *flags).ended(65)
    assert place.read_text().count('"code": "D6"') == 2
    place.write_text(place.read_text().replace('"D6"', '"time"').replace("2008-01-01", "2024-01-01"))
    again = tmp_path / "again.jsonl"
    assert km("import", place, "--to", "local", "--rejects", again).ended(65)
    assert [json.loads(line)["code"] for line in again.read_text().splitlines()] == ["D6"]
    assert "ada" in km("show", "ada", "--to", "local").ended(0).out
