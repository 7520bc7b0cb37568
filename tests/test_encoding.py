"""Files in other encodings are read as those in UTF-8 are; bytes that are no text are rejected."""

from __future__ import annotations

import codecs
import json
import random
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km_cli.errors import InputError, UsageError
from km_cli.inputs import FormatOptions, open_reader
from km_cli.inputs.encoding import encoding_named
from km_cli.model import Reject
from tests.make_foreign import FOREIGN
from tests.support.command import Command
from tests.support.logs import HEADER, ROW, said
from tests.support.logs import written as log
from tests.support.packing import PACKS
from tests.support.reading import opening_fails, place_behind, raw_of, read, read_all, seen, written
from tests.support.tracker import Tracker

TEXT = "user,event,time\nzoë,Clicked,1\nžofie,Bought,2\n日本,見た,3\n"

WHOLE = [
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "utf-32-le",
    "utf-32-be",
    "gb18030",
    "utf-7",
    "utf-8-sig",
]
"""Encodings of all characters."""


@pytest.mark.parametrize("encoding", WHOLE)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\ufeff")), size=st.integers(1, 99))
def test_what_was_written_is_read(encoding: str, text: str, size: int) -> None:
    """In every encoding that can hold it; pieces are never larger than was asked for."""
    with written(text.encode(encoding), "x", FormatOptions(encoding=encoding)) as source:
        stream = source.open()
        pieces = list(iter(lambda: stream.read(size), b""))
        stream.close()
    assert b"".join(pieces).removeprefix(codecs.BOM_UTF8) == text.encode()
    assert max(map(len, pieces), default=0) <= size


@pytest.mark.parametrize("encoding", WHOLE)
@pytest.mark.parametrize("ending", PACKS)
def test_a_packed_file_in_an_encoding(encoding: str, ending: str) -> None:
    """It is unpacked first. A byte order mark is no part of the first column's name."""
    packed = PACKS[ending](TEXT.encode(encoding))
    with written(packed, f"x.csv.{ending}", FormatOptions(encoding=encoding)) as source:
        opened = open_reader(source)
        opened.close()
        assert opened.columns == ("user", "event", "time")
        assert [raw_of(item).decode() for item in read_all(source)] == TEXT.splitlines(keepends=True)[1:]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("cp1252", "zoë €"), ("iso8859-2", "žofie"), ("shift_jis", "日本"), ("koi8-r", "мир"), ("cp037", "é")],
)
def test_older_encodings(encoding: str, text: str) -> None:
    """As spreadsheets and mainframes write them."""
    with written(
        f"user,event\n{text},a\n".encode(encoding), "x.csv", FormatOptions(encoding=encoding)
    ) as source:
        assert [seen(item) for item in read_all(source)] == [(2, [text, "a"])]


@pytest.mark.parametrize(
    ("encoding", "bad"),
    [
        ("cp1252", b"\x81"),
        ("ascii", "é".encode()),
        ("shift_jis", b"\xff\xfe"),
        ("utf-16-le", b"\x00\xd8"),
        ("utf-16-be", b"\xdc\x00"),
        ("utf-32-le", b"\x00\x00\x11\x00"),
        ("utf-16-le", "\0".encode("utf-16-le")),
    ],
)
def test_bytes_that_are_no_text(encoding: str, bad: bytes) -> None:
    """Their row is rejected, also if they would be text in UTF-8; its neighbours are read."""
    parts = [part.encode(encoding) for part in ("user,event\n1,2\n3,", "x\n5,6\n")]
    with written(parts[0] + bad + parts[1], "x.csv", FormatOptions(encoding=encoding)) as source:
        (first, reject, last) = read_all(source)
    assert [seen(item) for item in (first, last)] == [(2, ["1", "2"]), (4, ["5", "6"])]
    assert isinstance(reject, Reject)
    assert reject.row.line == 3
    if "\0".encode(encoding) != bad:
        assert (reject.code, reject.reason) == ("invalid-text", f"not valid {encoding}")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-32-le", "shift_jis"])
def test_a_character_cut_in_two_at_the_end(encoding: str) -> None:
    """The last row is rejected, no other."""
    data = "user,event\n1,2\n3,日".encode(encoding)[:-1]
    with written(data, "x.csv", FormatOptions(encoding=encoding)) as source:
        (row, reject) = read_all(source)
    assert seen(row) == (2, ["1", "2"])
    assert isinstance(reject, Reject)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_no_byte_order_mark(encoding: str) -> None:
    """Which order it is in shows by its zeros; without any the message names both."""
    for order in ("le", "be"):
        error = opening_fails(TEXT.encode(f"{encoding}-{order}"), "x.csv", FormatOptions(encoding=encoding))
        assert f"is encoded in {encoding.upper()}{order.upper()}, not {encoding}" in str(error)
        assert error.hint == f"name the encoding: --encoding {encoding}{order}"
    error = opening_fails(b"\x65\xe5\x67\x2c\x89\x8b" * 9, "x.csv", FormatOptions(encoding=encoding))
    assert "after 0 bytes" in str(error)
    assert f"--encoding {encoding}-le or {encoding}-be" in error.hint


WIDE = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize("said", ["", "cp1252", "utf-16", "utf-32", *WIDE])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["no mark", "mark"])
@pytest.mark.parametrize("encoding", WIDE)
def test_wide_text_is_read_as_it_is_said_or_named(encoding: str, mark: str, said: str) -> None:
    """Every pair of an encoding and one that was said: the same are read, others named rightly."""
    data = (mark + TEXT).encode(encoding)
    if said == encoding or (mark and said == encoding[:6]):
        with written(data, "x.csv", FormatOptions(encoding=said)) as source:
            assert [seen(item) for item in read_all(source)] == [
                (number, line.split(",")) for number, line in enumerate(TEXT.splitlines(), 1) if number > 1
            ]
        return
    error = opening_fails(data, "x.csv", FormatOptions(encoding=said))
    named = encoding[:6] if mark else encoding.replace("-le", "le").replace("-be", "be")
    assert f"is encoded in {named.upper()}, not {said or 'UTF-8'}" in str(error)
    assert error.hint == f"name the encoding: --encoding {named}"
    assert encoding_named(named) in (encoding, encoding[:6])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", *WIDE])
def test_plain_text_is_not_taken_for_wide(encoding: str) -> None:
    error = opening_fails(TEXT.encode(), "x.csv", FormatOptions(encoding=encoding))
    assert f"is not encoded in {encoding}" in str(error)
    assert "leave --encoding out" in error.hint


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl"])
@pytest.mark.parametrize("zeros", [1, 2, 3, 4, 7, 33, 63, 64, 5000, 1 << 20])
@pytest.mark.parametrize("encoding", ["", "cp1252"])
def test_zeros_before_a_log(zeros: int, name: str, encoding: str) -> None:
    """However many: a log truncated under its writer is no UTF-16, and none of its rows is bad."""
    text = '{"user":"zo\u00eb","event":"In","time":1}\n' if name.endswith("l") else TEXT[:20]
    error = opening_fails(
        b"\0" * zeros + text.encode(encoding or "utf-8"), name, FormatOptions(encoding=encoding)
    )
    assert "begins with zero bytes" in str(error)
    assert f"{name} | tr -d '\\000' | km-cli import -" in error.hint


def test_zeros_before_a_wide_log() -> None:
    """They are taken out once it is UTF-8: before, half of its own bytes are zeros."""
    error = opening_fails(bytes(400) + TEXT.encode("utf-16-le"), "x.csv", FormatOptions(encoding="utf-16-le"))
    assert "begins with zero bytes" in str(error)
    assert " | iconv -f utf-16-le -t utf-8 | tr -d '\\000' | " in error.hint


def test_an_encoding_that_it_is_not() -> None:
    """UTF-16 read as something of one byte is full of NULs; a header that is no text says so."""
    error = opening_fails(TEXT.encode("utf-16-le"), "x.csv", FormatOptions(encoding="iso8859-1"))
    assert "is encoded in UTF-16LE, not iso8859-1" in str(error)
    error = opening_fails("usér,event\n".encode(), "x.csv", FormatOptions(encoding="ascii"))
    assert "header is not text in ascii" in str(error)


def test_reading_goes_on_within_an_encoded_file() -> None:
    """Places count bytes of UTF-8, from which on the same items come."""
    with written(TEXT.encode("utf-16"), "x.csv", FormatOptions(encoding="utf-16")) as source:
        preamble, items, _ = read(source)
        behind = preamble
        for number, item in enumerate(items, 1):
            behind += raw_of(item)
            assert read(source, place_behind(behind))[1] == items[number:]


def test_constant_memory() -> None:
    """However long a file is, and a line in it."""
    data = ("€" * (8 << 20)).encode("utf-16")
    with written(data, "x.csv", FormatOptions(encoding="utf-16")) as source:
        del data
        stream = source.open()
        tracemalloc.start()
        try:
            assert sum(map(len, iter(stream.read, b""))) == 3 * (8 << 20)
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
        finally:
            tracemalloc.stop()
            stream.close()


def test_any_bytes_in_any_encoding() -> None:
    """For any encoding and any bytes, only our own errors are raised."""
    import encodings.aliases

    chance = random.Random(0)
    for name in sorted(set(encodings.aliases.aliases.values()) | {"idna", "punycode", "undefined"}):
        try:
            format_options = FormatOptions(encoding=encoding_named(name))
        except UsageError:
            continue
        for size in (0, 1, 2, 50, 3000):
            data = b"user,event\n1,2\n" + chance.randbytes(size)
            with written(data, "x", format_options) as source, suppress(InputError):
                read(source)


@pytest.mark.parametrize(
    ("name", "python", "near"),
    [
        ("UTF-8", "", ""),
        ("utf8", "", ""),
        ("UTF-8-SIG", "", ""),
        ("Latin-1", "iso8859-1", ""),
        ("windows-1252", "cp1252", ""),
        ("UTF16", "utf-16", ""),
        ("latn1", None, "latin1"),
        ("utf-61", None, "utf-16"),
        ("windows-125", None, "windows-125"),
        *((name, None, "for example") for name in ("idna", "punycode", "unicode_escape", "undefined")),
        ("raw-unicode-escape", None, ""),
        ("unicodeescape", None, ""),
        ("UTF-16BE", "utf-16-be", ""),
        ("utf_32_le", "utf-32-le", ""),
        ("hex", None, ""),
        ("rot13", None, ""),
        ("nonsense", None, "for example"),
        ("a\0b", None, "for example"),
        ("../x", None, "for example"),
    ],
)
def test_names_of_encodings(name: str, python: str | None, near: str) -> None:
    """Those of Python; the nearest is named, never one that is no text."""
    if python is not None:
        assert encoding_named(name) == python
        return
    with pytest.raises(UsageError) as raised:
        encoding_named(name)
    assert near in raised.value.hint
    assert raised.value.hint != f"did you mean {name}?"


# The command


def test_encodings_end_to_end(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """UTF-16 as a spreadsheet writes it, and a cell of cp1252; the same log in UTF-8 sends nothing again."""
    text = HEADER + ROW.replace("ada", "zoë")
    path = log(tmp_path, text.encode("utf-16"), header="")
    said(importer("import", path).ended(2), "UTF-16", "--encoding utf-16")
    importer("import", path, "--encoding", "utf-16").ended(0)
    assert {call["_p"] for call in tracker.calls()} == {"zoë", "Acme"}
    log(tmp_path, text.encode("cp1252"), header="")
    importer("import", path, "--encoding", "windows-1252").ended(0)
    log(tmp_path, text)
    assert len(tracker.seen) == 2


def test_rejects_of_an_encoded_file_come_back(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """They are in UTF-8 for a log in any encoding, and read as UTF-8 with any flags."""
    text = HEADER + ROW.replace("ada", "zoë") + ROW.replace("ada", "guest").replace("Acme", "Bärbel")
    path = log(tmp_path, text.encode("cp1252"), header="")
    rejects = tmp_path / "rejects.jsonl"
    importer("import", path, "--encoding", "cp1252", "--rejects", rejects).ended(65)
    line = json.loads(rejects.read_text(encoding="utf-8"))
    assert "Bärbel" in line["raw"]
    corrected = tmp_path / "corrected.jsonl"
    line["raw"] = line["raw"].replace("guest", "grace")
    corrected.write_text(json.dumps(line, ensure_ascii=False) + "\n", encoding="utf-8")
    importer("import", corrected, "--encoding", "cp1252", "--format", "csv", "--delimiter", ";").ended(0)
    assert {call["_p"] for call in tracker.calls()} == {"zoë", "Acme", "grace", "Bärbel"}


def test_an_encoding_that_is_not_known(importer: Command, tmp_path: Path) -> None:
    """Said before anything is read."""
    said(importer("import", log(tmp_path, ROW), "--encoding", "latn1").ended(2), "'latn1'", "latin1?")


@pytest.mark.parametrize("encoding", ["utf-16-le", "cp1252", "cp037"])
@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_text_in_any_encoding(name: str, encoding: str) -> None:
    """It is recognised with any flags."""
    content, what, cure = FOREIGN[name]
    error = opening_fails(content, name, FormatOptions(encoding=encoding))
    assert what in str(error)
    assert cure in error.hint
