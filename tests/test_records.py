"""The records of files, as bad-input.md lists them: normalised, rejected, or the whole input refused."""

from __future__ import annotations

import io
from typing import Any

import pytest

from km_cli.errors import InputError
from km_cli.inputs import Source, open_reader
from km_cli.inputs.base import LONGEST_RECORD
from km_cli.inputs.jsonl import parse_object
from km_cli.inputs.lines import BLOCK
from km_cli.model import Reject, Row
from tests.support.reading import (
    HEADERS,
    ROWS,
    name_of,
    opening_fails,
    raw_of,
    read,
    read_all,
    without_gaps,
    written,
)

# Shape: what becomes of single records

CSV = "user,event,time"
SHAPES: list[tuple[str, str, bytes, list[Any]]] = [
    ("LF", "csv", b"\n1,2,3\n", [(2, ["1", "2", "3"])]),
    ("no end at the end", "csv", b"\n1,2,3", [(2, ["1", "2", "3"])]),
    ("CRLF", "csv", b"\r\n1,2,3\r\n4,5,6\r\n", [(2, ["1", "2", "3"]), (3, ["4", "5", "6"])]),
    ("CR", "csv", b"\r1,2,3\r4,5,6", [(2, ["1", "2", "3"]), (3, ["4", "5", "6"])]),
    ("mixed", "csv", b"\r\n1,2,3\r4,5,6\n", [(2, ["1", "2", "3"]), (3, ["4", "5", "6"])]),
    ("blank lines", "csv", b"\n\n \n1,2,3\n\n", [(4, ["1", "2", "3"])]),
    ("quoted line break", "csv", b'\n1,"a\r\nb\n",3\n4,5,6\n',
     [(2, ["1", "a\r\nb\n", "3"]), (5, ["4", "5", "6"])]),
    ("quoted delimiter", "csv", b'\n"1,","""",3\n', [(2, ["1,", '"', "3"])]),
    ("quote inside", "csv", b'\n1,5" disk,3\n', [(2, ["1", '5" disk', "3"])]),
    ("too few", "csv", b"\n1,2\n4,5,6\n", [(2, "ragged-row"), (3, ["4", "5", "6"])]),
    ("too many", "csv", b"\n1,2,3,\n4,5,6\n", [(2, "ragged-row"), (3, ["4", "5", "6"])]),
    ("NUL", "csv", b"\n1,2\0,3\n4,5,6\n", [(2, "nul"), (3, ["4", "5", "6"])]),
    ("no UTF-8", "csv", b"\n1,\xe9,3\n4,5,6\n", [(2, "invalid-utf8"), (3, ["4", "5", "6"])]),
    ("surrogate", "csv", b"\n1,\xed\xa0\x80,3\n", [(2, "invalid-utf8")]),
    ("text after a quote", "csv", b'\n1,"a"b,3\n4,5,6\n', [(2, "bad-quoting"), (3, ["4", "5", "6"])]),
    ("CRLF", "jsonl", b'{"a":1}\r\n{"a":"b"}\r\n', [(1, {"a": "1"}), (2, {"a": "b"})]),
    ("CR", "jsonl", b'{"a":1}\r{"a":"b"}', [(1, {"a": "1"}), (2, {"a": "b"})]),
    ("blank lines", "jsonl", b'\n{"a":1}\n \t\n{"a":2}\n\n', [(2, {"a": "1"}), (4, {"a": "2"})]),
    ("byte order mark", "jsonl", b'\xef\xbb\xbf{"a":1}\n', [(1, {"a": "1"})]),
    ("numbers as written", "jsonl", b'{"a":1.50,"b":1e3,"c":-0,"d":10000000000000000000000}\n',
     [(1, {"a": "1.50", "b": "1e3", "c": "-0", "d": "10000000000000000000000"})]),
    ("duplicate keys", "jsonl", b'{"a":1}\n{"a":1,"b":2,"a":1}\n', [(1, {"a": "1"}), (2, "bad-json")]),
    ("duplicate keys inside", "jsonl", b'{"a":1}\n{"b":{"c":1,"c":2}}\n', [(1, {"a": "1"}), (2, "bad-json")]),
    ("NaN", "jsonl", b'{"a":1}\n{"a":NaN}\n', [(1, {"a": "1"}), (2, "bad-json")]),
    ("Infinity", "jsonl", b'{"a":1}\n{"a":-Infinity}\n', [(1, {"a": "1"}), (2, "bad-json")]),
    ("no object", "jsonl", b'{"a":1}\n[1]\n"x"\nnull\n7\n',
     [(1, {"a": "1"}), *((line, "bad-json") for line in range(2, 6))]),
    ("no JSON", "jsonl", b'{"a":1}\n{"a":\n{"a":1} {"a":2}\n',
     [(1, {"a": "1"}), (2, "bad-json"), (3, "bad-json")]),
    ("lone surrogate", "jsonl", b'{"a":1}\n{"a":"\\ud83d"}\n{"a":"\\ud83d\\ude00"}\n',
     [(1, {"a": "1"}), (2, "bad-json"), (3, {"a": "\U0001f600"})]),
    ("lone surrogate in a key", "jsonl", b'{"a":1}\n{"\\udc00":1}\n', [(1, {"a": "1"}), (2, "bad-json")]),
    ("NUL", "jsonl", b'{"a":1}\n{"a":"\\u0000"}\n{"a":"\0"}\n',
     [(1, {"a": "1"}), (2, "bad-json"), (3, "bad-json")]),
    ("what looks like NUL", "jsonl", b'{"a":"\\\\u0000"}\n', [(1, {"a": "\\u0000"})]),
    ("no UTF-8", "jsonl", b'{"a":1}\n{"a":"\xe9"}\n', [(1, {"a": "1"}), (2, "invalid-utf8")]),
    ("99 levels", "jsonl", b'{"a":' * 99 + b"1" + b"}" * 99 + b'\n{"a":1}', [(1, None), (2, {"a": "1"})]),
    ("101 levels", "jsonl", b'{"a":1}\n' + b'{"a":' * 101 + b"1" + b"}" * 101,
     [(1, {"a": "1"}), (2, "too-deep")]),
    ("101 lists", "jsonl", b'{"a":1}\n{"a":' + b"[" * 101 + b"]" * 101 + b"}",
     [(1, {"a": "1"}), (2, "too-deep")]),
    ("wide is not deep", "jsonl", b'{"a":[' + b"[]," * 500 + b"[]]}\n", [(1, {"a": [[]] * 501})]),
    ("100,000 levels", "jsonl", b'{"a":1}\n' + b'{"a":' * 100_000, [(1, {"a": "1"}), (2, "too-deep")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "data", "expected"),
    [pytest.param(*shape[1:], id=f"{shape[1]}-{shape[0]}") for shape in SHAPES],
)
def test_what_becomes_of_records(form: str, data: bytes, expected: list[Any]) -> None:
    """A bad record is rejected under its line with all its bytes, and the next one is read."""
    data = CSV.encode() + data if form == "csv" else data
    with written(data, name_of(form)) as source:
        preamble, items, error = read(source)
    found = without_gaps(items)
    assert [line for line, _ in found] == [line for line, _ in expected]
    assert all(is_ for is_ in map(_same, found, expected)), found
    assert preamble + b"".join(map(raw_of, items)) == data
    assert error is None
    assert all(item.reason for item in items if isinstance(item, Reject))


def _same(found: tuple[int, Any], expected: tuple[int, Any]) -> bool:
    return found == expected or (expected[1] is None and isinstance(found[1], dict))


def test_json_messages_are_for_people() -> None:
    """They name the column in the line, not a line in the line."""
    with written(b'{"a":1}\n{"a":tru}\n', "x.jsonl") as source:
        (_, reject) = read_all(source)
    assert isinstance(reject, Reject)
    assert reject.reason == "not JSON: expecting value, column 6"


# Shape: records too long, marks that are never closed


@pytest.mark.parametrize("form", HEADERS)
@pytest.mark.parametrize("before", [0, 1, BLOCK - 40, BLOCK, 3 * BLOCK + 5])
@pytest.mark.parametrize("over", [0, 1])
def test_a_record_of_a_mebibyte_and_one_byte(form: str, before: int, over: int) -> None:
    """One byte decides, not where the record lies."""
    pad = b"" if before < 2 else (b"%d,b," if form == "csv" else b'{"user":"%d"}') % before
    pad = pad.ljust(before - 1) + b"\n" if before else b""
    record = b"ada,b," if form == "csv" else b'{"user":"ada"}'
    record = record.ljust(LONGEST_RECORD + over - 1, b"x" if form == "csv" else b" ") + b"\n"
    data = HEADERS[form] + pad + record + ROWS[form]
    with written(data, name_of(form)) as source:
        preamble, items, _ = read(source)
    found = without_gaps(items)
    assert (found[-2][1] == "record-too-long") == bool(over)
    assert found[-1][0] == found[-2][0] + 1 == len(data.splitlines())
    assert preamble + b"".join(map(raw_of, items)) == data


@pytest.mark.parametrize("form", HEADERS)
@pytest.mark.parametrize("filler", [b"x", b" ", b'"'])
def test_a_record_over_1_mib_is_rejected_at_constant_memory(form: str, filler: bytes) -> None:
    """However long it is, pieces of it pass through; its neighbours are read."""
    start = b"a,b," if form == "csv" else b'{"a":"'
    data = HEADERS[form] + ROWS[form] + start + filler * (9 << 20) + b"\r\n" + ROWS[form]
    with written(data, name_of(form)) as source:
        preamble, items, _ = read(source)
    found = [one for one in without_gaps(items) if form == "csv" or one[0] > 1]
    assert [line for line, _ in found] == [2, 3, 4]
    assert found[1][1] == "record-too-long"
    assert max(len(raw_of(item)) for item in items) <= LONGEST_RECORD + BLOCK
    assert preamble + b"".join(map(raw_of, items)) == data


@pytest.mark.parametrize(
    "tail",
    [b"", b"4,5,6\n" * 20, b"4,5,6\n" * 400_000, pytest.param(b"\n" * 1_100_000, marks=pytest.mark.slow)],
)
def test_an_unclosed_quotation_mark_stops_where_it_opened(tail: bytes) -> None:
    """The rows before it stand. Many short lines behind it cost no more memory than their bytes."""
    with written(b'user,event,time\n1,2,3\n\n4,"5,6\n' + tail, "x.csv") as source:
        _, items, error = read(source)
    assert without_gaps(items) == [(2, ["1", "2", "3"])]
    assert isinstance(error, InputError)
    assert "line 4" in str(error)
    assert "line 4" in error.hint


def test_an_unclosed_quotation_mark_in_a_record_that_is_no_utf8() -> None:
    """Two faults at once: the graver one."""
    with written(b'user,event,time\n\xff,"2,3\n', "x.csv") as source:
        _, items, error = read(source)
    assert not items
    assert isinstance(error, InputError)


# Shape: inputs that are not understood

NOT_UNDERSTOOD: list[tuple[str, bytes, str, tuple[str, ...]]] = [
    ("UTF-16", "user,event,time\n".encode("utf-16"), "x.csv", ("UTF-16", "--encoding utf-16")),
    ("UTF-16 little", "user,event,time\n".encode("utf-16-le"), "x.csv", ("UTF-16LE", "--encoding utf-16le")),
    ("UTF-16 big", '{"user":1}\n'.encode("utf-16-be"), "x.jsonl", ("UTF-16BE", "--encoding utf-16be")),
    ("UTF-32", "user,event,time\n".encode("utf-32"), "x.csv", ("UTF-32",)),
    ("header not UTF-8", "usér,event\n".encode("latin-1"), "x.csv", ("header", "UTF-8", "--encoding cp1252")),
    ("header with NUL", b"us\0er,event,time,one,two\n", "x.csv", ("header", "UTF-8")),
    ("one column", b"user:event:time\na:b:c\n", "x.csv",
     ("only one column", "'user:event:time'", "semicolon")),
    ("two alike", b"user,event,User\n", "x.csv", ("two columns are alike", "'user'", "'User'", "line 1")),
    ("two of one letter", b"a,b,a\n", "x.csv", ("two columns are alike", "'a'")),
    ("no name", b"\n\nuser,,event\n", "x.csv", ("line 3", "column 2 has no name", "user, , event")),
    ("unclosed header", b'user,"event\n1,2\n', "x.csv", ("line 1", "quotation mark")),
    ("bad header", b'user,"event"s\n1,2\n', "x.csv", ("line 1", "quotation mark", "header")),
    ("long header", b"user," + b"x" * (2 << 20) + b"\n", "x.csv", ("line 1", "1 MiB")),
    ("long second line of header", b'user,"\n' + b"x" * (2 << 20) + b'"\n', "x.csv", ("line 1", "1 MiB")),
    ("JSON array", b'[\n{"a":1},\n{"a":2}\n]\n', "x.jsonl", ("JSON array", "jq -c '.[]' ", "x.jsonl")),
    ("JSON array on one line", b' [{"a":1}]', "x.json", ("JSON array", "jq -c '.[]' ")),
    ("JSON array below a blank line", b'\n[\n{"a":1},\n{"a":2}\n]\n', "x.jsonl", ("JSON array",)),
    ("JSON array with a mark", b'\xef\xbb\xbf[{"a":1}]\n', "x.jsonl", ("JSON array",)),
    ("rows in an object", b'{"Records":[{"a":1},{"a":2}]}', "x.json",
     ("'Records'", "jq -c '.Records[]' ", " > lines.jsonl")),
    ("rows in an object on lines", b'{\n "object": "list",\n "data": [\n  {"a": 1}\n ]\n}\n', "x.json",
     ("'data'", "jq -c '.data[]' ", "x.json")),
    ("rows in an object of odd name", b'{"the rows":[{"a":1}],"paging":{"next":"2"}}\n', "x.json",
     ("""jq -c '.["the rows"][]' """,)),
    ("rows in a long object", b'{"Records":[' + b'{"a":1},' * 200_000 + b'{"a":2}]}\n', "x.json",
     ("jq -c '.Records[]' ",)),
    ("indented JSON", b'{\n  "a": 1\n}\n', "x.json",
     ("none of its first lines is a JSON object", "jq -c . ")),
    ("no JSON at all", b"user,event\n", "x.jsonl", ("none of its first lines is a JSON object",)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "name", "said"), [pytest.param(*case[1:], id=case[0]) for case in NOT_UNDERSTOOD]
)
def test_inputs_that_are_not_understood(data: bytes, name: str, said: tuple[str, ...]) -> None:
    """They are refused before a row is read. The error names the place and says what to do."""
    error = opening_fails(data, name)
    whole = f"{error} {error.hint}"
    assert name in str(error)
    assert [part for part in said if part not in whole] == []


@pytest.mark.parametrize(
    "line",
    [
        b'{"user": "ada", "event": "Paid", "items": [{"sku": "a"}]}',
        b'{"items": [{"sku": "a"}], "user": "ada"}',
        b'{"type": "list", "data": ["a"]}',
        b'{"type": "list", "data": []}',
    ],
)
def test_a_row_with_a_list_is_a_row(line: bytes) -> None:
    """It has members of its own, or its list holds no rows."""
    with written(line + b"\n", "x.jsonl") as source:
        (row,) = read_all(source)
    assert isinstance(row, Row)


def test_names_in_commands_can_be_copied() -> None:
    """A name with blanks is quoted in the command that is offered; standard input has none."""
    assert "'.[]' '" in opening_fails(b"[{}]", "a b.jsonl").hint
    with pytest.raises(InputError) as raised:
        open_reader(Source("-", io.BufferedReader(io.BytesIO(b"[{}]"))))  # type: ignore[arg-type]
    assert "'.[]' FILE" in raised.value.hint


@pytest.mark.parametrize("data", [b"", b"\n", b"\xef\xbb\xbf", b" \r\n\t\n"])
@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x"])
def test_nothing_in_it_is_fine(data: bytes, name: str) -> None:
    """An empty file is not an error."""
    with written(data, name) as source:
        opened = open_reader(source)
        opened.close()
    assert opened.empty


@pytest.mark.parametrize("data", [b"user,event", b"user,event\n", b"\xef\xbb\xbfuser,event\r\n\r\n"])
def test_a_header_alone_has_no_rows(data: bytes) -> None:
    """Nothing to send."""
    with written(data, "x.csv") as source:
        assert without_gaps(read_all(source)) == []


OCTAL = [
    (rb'{"_p":"ada","plan":"caf\303\251"}', "café"),
    (rb'{"_p":"ada","plan":"\342\202\254 \342\202\254"}', "€ €"),
    (rb'{"_p":"ada","plan":"caf\303\251 \u00e9 \\303"}', "café é \\303"),
    (rb'{"_p":"ada","plan":"a\042b\011c\134"}', 'a"b\tc\\'),
]


@pytest.mark.parametrize(("raw", "plan"), OCTAL)
def test_octal_escapes_are_read_as_utf8_and_counted(raw: bytes, plan: str) -> None:
    """Old data exports of Kissmetrics have them."""
    counted: dict[str, int] = {}
    assert parse_object(raw, counted) == {"_p": "ada", "plan": plan}
    assert counted == {"octal-escapes": 1}


@pytest.mark.parametrize(
    "raw",
    [
        *(rb'{"_p":"ada","plan":"\303"}', rb'{"_p":"ada","plan":"\400"}'),
        *(rb'{"_p":"ada","plan":"\18"}', rb'{"_p":"ada","plan":"\000"}'),
        rb'{"plan":"C:\101dir"}',
    ],
)
def test_octal_escapes_that_are_no_text_or_in_another_log_are_rejected(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"not JSON|NUL"):
        parse_object(raw)


def test_a_pair_of_backslashes_before_digits_is_no_octal_escape() -> None:
    counted: dict[str, int] = {}
    assert parse_object(rb'{"path":"C:\\303\\251"}', counted) == {"path": r"C:\303\251"}
    assert not counted
