"""Every reader keeps every byte, for any bytes from any kind of input."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from km_cli.errors import InputError, ReadError, UsageError
from km_cli.inputs import Source, lines, open_reader
from km_cli.inputs.lines import BLOCK, Overlong, split_lines
from tests.support.command import Command
from tests.support.drawing import examples
from tests.support.reading import (
    ENDS,
    HEADERS,
    PIECES,
    ROWS,
    name_of,
    place_behind,
    raw_of,
    read,
    read_all,
    without_gaps,
    written,
)


def logs(form: str) -> st.SearchStrategy[bytes]:
    """Likely contents of a file of this format, and any other bytes."""
    likely = st.lists(st.sampled_from(PIECES[form] + ENDS), max_size=30).map(b"".join)
    return (likely | st.binary(max_size=200)).map(HEADERS[form].__add__)


# Lines


@settings(max_examples=examples(300))
@given(
    data=st.lists(st.sampled_from([b"a", b"bcd", b"\n", b"\r", b"\r\n", b"x" * 30]), max_size=40).map(
        b"".join
    ),
    block=st.integers(1, 40),
    longest=st.integers(1, 40),
)
@example(data=b"a" * 9 + b"\r\nb", block=10, longest=4)
def test_lines_and_pieces_are_the_bytes(data: bytes, block: int, longest: int) -> None:
    """Blocks may end anywhere: in a line, in CR LF, in a line too long to hold."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        found = list(split_lines(io.BytesIO(data), longest))
    joined: list[bytes] = []
    for line in found:
        if isinstance(line, Overlong) and not line.first:
            joined[-1] += line
        else:
            joined.append(bytes(line))
        assert isinstance(line, Overlong) or len(line) <= longest
    assert joined == data.splitlines(keepends=True)
    assert all(isinstance(line, Overlong) for line in found if len(line) > longest)


# The conformance suite


@pytest.mark.parametrize("form", HEADERS)
@pytest.mark.parametrize("block", [1, 7, BLOCK])
def test_raws_joined_are_the_input(form: str, block: int) -> None:
    """Nothing is lost, or read twice, up to where an error ends it."""

    @settings(max_examples=examples(150))
    @given(logs(form))
    def check(data: bytes) -> None:
        with pytest.MonkeyPatch.context() as patch, written(data, name_of(form)) as source:
            patch.setattr(lines, "BLOCK", block)
            preamble, items, error = read(source)
        joined = preamble + b"".join(map(raw_of, items))
        assert data.startswith(joined) if error else joined == data

    check()


@pytest.mark.parametrize("form", HEADERS)
def test_reading_goes_on_at_any_boundary(form: str) -> None:
    """From a place on come the same items, under the same line numbers, as in one go."""

    @settings(max_examples=examples(60))
    @given(logs(form))
    def check(data: bytes) -> None:
        with written(data, name_of(form)) as source:
            preamble, items, error = read(source)
            behind = preamble
            for number, item in enumerate(items, 1):
                behind += raw_of(item)
                if not behind.endswith(b"\r"):  # its LF may be next
                    _, rest, then = read(source, place_behind(behind))
                    assert rest == items[number:]
                    assert str(then) == str(error)

    check()


@pytest.mark.parametrize("form", HEADERS)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b""])
def test_reading_goes_on_within_a_record_that_is_too_long(form: str, end: bytes) -> None:
    """Its rest is no record of its own, though it looks like one."""
    long = b"x" * (2 << 20) + ROWS[form].strip()
    data = HEADERS[form] + ROWS[form] + long + end + (ROWS[form] if end else b"")
    with written(data, name_of(form)) as source:
        preamble, items, _ = read(source)
        assert len(items) > 4
        behind = preamble
        for number, item in enumerate(items, 1):
            behind += raw_of(item)
            _, rest, _ = read(source, place_behind(behind))
            assert without_gaps(rest) == without_gaps(items[number:])
            assert behind + b"".join(map(raw_of, rest)) == data


@pytest.mark.parametrize("form", HEADERS)
def test_a_last_line_that_got_its_end_is_no_row_again(form: str) -> None:
    """It was read without its end; the lines behind it keep their numbers."""
    data = HEADERS[form] + ROWS[form].strip()
    with written(data + b"\n" + ROWS[form], name_of(form)) as source:
        _, items, _ = read(source, place_behind(data))
    assert [line for line, _ in without_gaps(items)] == [3]


@given(st.binary(max_size=300))
def test_any_bytes_open_or_say_why(data: bytes) -> None:
    """With any bytes in the pipe, only our own errors are raised."""
    with suppress(InputError, ReadError):
        read(Source("-", io.BufferedReader(io.BytesIO(data))))  # type: ignore[arg-type]


@pytest.mark.parametrize("form", HEADERS)
def test_many_blank_lines_are_not_held(form: str) -> None:
    """A sea of blank lines passes at constant memory and moves no line number."""
    with written(HEADERS[form] + b"\n" * 50_000 + ROWS[form], name_of(form)) as source:
        preamble, items, _ = read(source)
    assert max(len(raw_of(item)) for item in items) < 10_000
    assert items[-1][1] == 50_002
    assert len(preamble + b"".join(map(raw_of, items))) == len(HEADERS[form]) + 50_000 + len(ROWS[form])


# What an input is


@pytest.mark.parametrize(
    ("name", "data", "form", "delimiter"),
    [
        ("x.csv", b"user,event\n", "delimited", ","),
        ("x.csv", b"user;event;a,b\n", "delimited", ";"),
        ("x.tsv", b"user\tevent\n", "delimited", "\t"),
        ("x.csv", b"user|event\n", "delimited", "|"),
        ("x.csv", b' \n"a,b,c";event\n', "delimited", ";"),
        ("x.CSV.gz", b"user,event\n", "delimited", ","),
        ("app.jsonl.1", b'{"a":1}\n', "jsonl", ""),
        ("app.ndjson", b'{"a":1}\n', "jsonl", ""),
        ("app.log", b'\xef\xbb\xbf \n{"a":1}\n', "jsonl", ""),
        ("app.log", b"user,event\n", "delimited", ","),
        ("x.csv", b'{"km_cli_reject": 1, "line": 1, "raw": "", "columns": null}\n', "rejects", ""),
        ("x", b'\n{"code":"x","columns":null,"km_cli_reject":1,"line":1,"raw":""}\n', "rejects", ""),
        ("x.jsonl", b'{"note":"not a \\"km_cli_reject\\": 1"}\n', "jsonl", ""),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_format_is_recognised(
    name: str, data: bytes, form: str, delimiter: str, pack: Callable[[bytes], bytes]
) -> None:
    """km-cli's own files first, then by an ending in the name, then by the content; gzip by content."""
    with written(pack(data), name) as source:
        opened = open_reader(source)
        opened.close()
    assert (opened.format.name, opened.delimiter) == (form, delimiter)


@pytest.mark.parametrize(
    "header",
    [
        b"user,event",
        b"\xef\xbb\xbfuser,event",
        b'\xef\xbb\xbf"user","event"',
        b" user , event ",
        b"\n\nuser,event",
    ],
)
def test_columns_of_a_header(header: bytes) -> None:
    """Neither a byte order mark, quotation marks nor blanks belong to a name; the preamble keeps them."""
    with written(header + b"\n1,2\n", "x.csv") as source:
        opened = open_reader(source)
        opened.close()
        assert opened.columns == ("user", "event")
        assert opened.reader().preamble == header + b"\n"


def test_columns_of_objects_are_dotted() -> None:
    """Those of the first objects, in order of appearance; bad lines among them are left to the reader."""
    data = b'{"b":{"c":{"d":1},"e":[]}}\nnonsense\n{"a":1,"b":null}\n'
    with written(data, "x.jsonl") as source:
        opened = open_reader(source)
        opened.close()
    assert opened.columns == ("b.c.d", "b.e", "a", "b")


# Where an input comes from


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input(pack: Callable[[bytes], bytes]) -> None:
    """It is read once, packed or not."""
    stdin = io.BufferedReader(io.BytesIO(pack(b"user,event\n1,2\n")))  # type: ignore[arg-type]
    assert [raw_of(item) for item in read_all(Source("-", stdin))] == [b"1,2\n"]


def test_several_gzip_members_are_one_input() -> None:
    """As `cat a.gz b.gz` makes them."""
    packed = gzip.compress(b"user,event\n1,") + gzip.compress(b"2\n3,4\n")
    with written(packed, "x.csv") as source:
        assert [raw_of(item) for item in read_all(source)] == [b"1,2\n", b"3,4\n"]


@pytest.mark.parametrize("rows", [20, 80_000], ids=["within the head", "behind the head"])
def test_of_a_cut_gzip_what_was_whole_is_read(rows: int) -> None:
    """The last line, cut in two, is no row. The error says how far it got."""
    data = b"user,event,time\n" + b"".join(b"%d,%d,%d\n" % (n, n * 7919, n * 104729) for n in range(rows))
    packed = gzip.compress(data)
    with written(packed[: len(packed) // 2], "x.csv.gz") as source:
        preamble, items, error = read(source)
    joined = preamble + b"".join(map(raw_of, items))
    assert data.startswith(joined)
    assert joined.endswith(b"\n")
    assert len(items) > rows // 4
    assert isinstance(error, ReadError)
    assert "cut short, after " in str(error)


@pytest.mark.parametrize("kept", [0, 1, 5, 12])
def test_of_a_gzip_cut_before_its_first_line_nothing_is_read(kept: int) -> None:
    """Not an empty file: an error."""
    with written(gzip.compress(b"user,event,time\n" * 9)[: 10 + kept], "x.gz") as source:
        source.check()
        with pytest.raises(ReadError):
            read(source)


def test_a_damaged_gzip_is_an_error() -> None:
    """Its check sum is looked at."""
    packed = bytearray(gzip.compress(b"user,event\n1,2\n"))
    packed[-6] ^= 1
    with written(bytes(packed), "x.gz") as source:
        assert isinstance(read(source)[2], ReadError)


def test_known_beginnings_of_a_cut_gzip() -> None:
    """As far as it can be read; the error is left to who reads on."""
    with written(gzip.compress(os.urandom(5000))[:4000], "x.gz") as source:
        source.pin()
        assert [length for length, _ in source.hashes_at([10, 100, 4990])] == [10, 100]
        source.unpin()


def test_looking_through_a_large_file_can_be_ended() -> None:
    """It takes minutes for one of gigabytes: who asks for the end should not wait for them."""

    class Asked(Exception):
        pass

    def check() -> None:
        raise Asked

    with written(gzip.compress(os.urandom(3 << 20)), "x.gz") as source:
        source.pin()
        with pytest.raises(Asked):
            source.verify(check)
        with pytest.raises(Asked):
            source.hashes_at([3 << 20], check)
        source.unpin()


def test_a_pipe_by_name_is_read_only_once() -> None:
    """`km-cli import <(…)`: looking at its beginning again would take it away from who reads it."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"user,event\n1,2\n")
        source = Source(f"/dev/fd/{reading}")
        source.pin()
        assert source.hashes_at([5]) == []
        assert os.read(reading, 100) == b"user,event\n1,2\n"
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize(
    ("name", "said"),
    [("nowhere.csv", "no such file"), ("", "folder"), ("x" * 300, "File name too long"), ("a\0b", "null")],
)
def test_files_that_are_none(tmp_path: Path, name: str, said: str) -> None:
    """Found out before anything is read."""
    with pytest.raises(UsageError, match=said) as raised:
        Source(str(tmp_path / name)).check()
    assert raised.value.hint


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    """It is opened by its bytes and named by something that can be printed and kept."""
    path = os.fsdecode(bytes(tmp_path) + b"/\xff.csv")
    Path(path).write_bytes(b"user,event\n1,2\n")
    source = Source(path)
    source.check()
    assert source.name == f"{tmp_path}/\\xff.csv"
    assert len(read_all(source)) == 1


@pytest.mark.parametrize("command", ["import", "dry-run", "init"])
def test_a_file_without_a_name(km: Command, command: str) -> None:
    """As a variable leaves it that is not set; it is not this folder."""
    result = km(command, "").ended(2)
    assert result.err.startswith("km-cli: a FILE has an empty name\n  next: name the file")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that fails when it is read")
@pytest.mark.parametrize("words", [(), ("--encoding", "utf-16")])
def test_what_fails_when_it_is_read_is_named(importer: Command, words: tuple[str, ...]) -> None:
    """The system's own error does not say which file it was."""
    result = importer("import", "/proc/self/mem", *words).ended(74)
    assert result.err.startswith("km-cli: /proc/self/mem: cannot be read after 0 bytes: Input/output error")


def test_a_link_that_leads_nowhere_is_named_as_one(importer: Command, tmp_path: Path) -> None:
    (tmp_path / "log.csv").symlink_to("gone.csv")
    result = importer("import", tmp_path / "log.csv").ended(2)
    assert f"log.csv is a link to {tmp_path / 'gone.csv'}, which does not exist" in result.err
