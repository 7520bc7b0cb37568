"""Packed files: known by their content, read as far as they are whole, at constant memory."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import struct
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km_cli.errors import InputError, ReadError
from km_cli.inputs import Source, open_reader
from tests.support.command import Command
from tests.support.logs import said
from tests.support.packing import PACKS
from tests.support.reading import raw_of, read, read_all, written
from tests.support.tracker import Tracker

HEADER = b"user,event,timestamp,n\n"


def log(rows: int) -> bytes:
    lines = (f"u{n},In,{1_704_067_200 + n},{n * 7919 % 104729}\n" for n in range(rows))
    return HEADER + "".join(lines).encode()


def whole(source: Source) -> bytes:
    stream = source.open()
    try:
        return b"".join(iter(stream.read, b""))
    finally:
        stream.close()


@given(data=st.binary(max_size=400), size=st.integers(1, 500))
@pytest.mark.parametrize("ending", PACKS)
def test_what_was_packed_is_read(ending: str, data: bytes, size: int) -> None:
    """Any content, in pieces of any size, and never more bytes than were asked for."""
    with written(PACKS[ending](data), "x") as source:
        stream = source.open()
        pieces = list(iter(lambda: stream.read(size), b""))
        stream.close()
    assert b"".join(pieces) == data
    assert max(map(len, pieces), default=0) <= size


@pytest.mark.parametrize("ending", PACKS)
@pytest.mark.parametrize("name", ["log.csv", "log.csv.{}", "log", "log.csv.gz", "log.csv.2.{}"])
def test_the_name_does_not_matter(ending: str, name: str) -> None:
    """The content tells the program that packed it."""
    with written(PACKS[ending](log(3)), name.format(ending)) as source:
        opened = open_reader(source)
        opened.close()
        assert opened.columns == ("user", "event", "timestamp", "n")
        assert len(read_all(source)) == 3


@pytest.mark.parametrize("data", [b"BZh9 is,no bzip2\n1,2\n", b"\x5f*", b"\x28\xb5", b"\xfd7z", b""])
def test_what_only_looks_packed_is_not_unpacked(data: bytes) -> None:
    """A few letters alike are not enough."""
    with written(data, "x.csv") as source:
        assert whole(source) == data


@pytest.mark.parametrize("ending", PACKS)
def test_several_members_are_one_input(ending: str) -> None:
    """As `cat a.xz b.xz` makes them; an empty one between them is nothing."""
    pack = PACKS[ending]
    data = log(40_000)
    packed = pack(data[:100_001]) + pack(b"") + pack(data[100_001:])
    with written(packed, "x.csv") as source:
        assert whole(source) == data


def test_zeros_fill_xz_up() -> None:
    """Between its streams and at the end, as tapes have them."""
    padding = b"\0" * 20_000
    with written(PACKS["xz"](b"a\n") + padding + PACKS["xz"](b"b\n") + padding, "x") as source:
        assert whole(source) == b"a\nb\n"


def test_zst_may_begin_with_a_frame_to_skip() -> None:
    """As pzstd writes it."""
    with written(b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + PACKS["zst"](b"a\n"), "x") as source:
        assert whole(source) == b"a\n"


@pytest.mark.parametrize("ending", PACKS)
def test_standard_input_may_come_in_drops(ending: str) -> None:
    """The program that packed it is recognised before all bytes have arrived."""
    reading, writing = os.pipe()
    packed = PACKS[ending](b"user,event\n1,2\n")
    os.write(writing, packed[:1])
    with os.fdopen(reading, "rb") as stdin:
        stdin.peek(1)
        os.write(writing, packed[1:])
        os.close(writing)
        assert [raw_of(item) for item in read_all(Source("-", stdin))] == [b"1,2\n"]


# Cut, damaged, hostile


@pytest.mark.parametrize("ending", PACKS)
@pytest.mark.parametrize("rows", [20, 80_000], ids=["within the head", "behind the head"])
def test_of_a_cut_file_what_was_whole_is_read(ending: str, rows: int) -> None:
    """The last line, cut in two, is no row; the error says how far it got. Blocks are whole or not at all."""
    data = log(rows)
    packed = PACKS[ending](data)
    with written(packed[: len(packed) * 2 // 3], "x.csv") as source:
        preamble, items, error = b"", [], None
        try:
            preamble, items, error = read(source)
        except ReadError as at_once:
            assert rows == 20
            error = at_once
    joined = preamble + b"".join(map(raw_of, items))
    assert data.startswith(joined)
    assert joined.endswith(b"\n") or not joined
    assert len(items) > rows // 4 or rows == 20
    assert isinstance(error, ReadError)
    assert "the compressed data is cut short, after " in str(error)


@pytest.mark.parametrize("ending", PACKS)
def test_a_cut_anywhere_is_an_error(ending: str) -> None:
    """Behind the bytes that tell how it is packed."""
    packed = PACKS[ending](log(20))
    for kept in range(10, len(packed), 7):
        with written(packed[:kept], "x.csv") as source, pytest.raises(ReadError):
            whole(source)


@pytest.mark.parametrize("ending", PACKS)
def test_damage_is_an_error(ending: str) -> None:
    """Check sums are looked at, in every byte that they cover."""
    packed = PACKS[ending](log(200))
    for at in (len(packed) // 2, len(packed) // 2 + 9):
        spoilt = packed[:at] + bytes([packed[at] ^ 0x10]) + packed[at + 1 :]
        with written(spoilt, "x.csv") as source, pytest.raises(ReadError) as raised:
            whole(source)
        assert "after " in str(raised.value)
        assert "run again" in raised.value.hint


@pytest.mark.parametrize("ending", PACKS)
def test_what_stands_behind_is_an_error(ending: str) -> None:
    """Nothing is dropped without a word."""
    with written(PACKS[ending](log(3)) + b"and then some", "x.csv") as source, pytest.raises(ReadError):
        whole(source)


@pytest.mark.parametrize("ending", PACKS)
def test_a_bomb_is_read_at_constant_memory(ending: str) -> None:
    """A few kilobytes of zeros packed, a hundred megabytes unpacked."""
    with written(PACKS[ending](bytes(100 << 20)), "x.csv") as source:
        stream = source.open()
        tracemalloc.start()
        try:
            assert sum(map(len, iter(stream.read, b""))) == 100 << 20
            assert tracemalloc.get_traced_memory()[1] < 24 << 20
        finally:
            tracemalloc.stop()
            stream.close()


def greedy_xz() -> bytes:
    """Return xz whose block asks for a dictionary of a gigabyte (the xz file format, 3.1 and 5.3.1)."""
    packed = lzma.compress(b"a\n", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}])
    header = packed[12:16] + b"\x24" + packed[17:20]
    return packed[:12] + header + struct.pack("<I", zlib.crc32(header)) + packed[24:]


GREEDY_ZST = b"\x28\xb5\x2f\xfd\x00" + bytes([(31 - 10) << 3]) + b"\x01\x00\x00"
"""A frame that asks for two gigabytes in a few bytes."""


@pytest.mark.parametrize(
    ("name", "packed", "words", "cure"),
    [
        ("log.csv.zst", GREEDY_ZST, "more than 128 MiB of memory", "zstd -dc --long=31 "),
        ("log.csv.xz", greedy_xz(), "more than 256 MiB of memory", "xz -dc "),
    ],
)
@pytest.mark.parametrize("before", [0, 3])
def test_what_takes_too_much_memory_is_refused(
    name: str, packed: bytes, words: str, cure: str, before: int
) -> None:
    """A few bytes may ask for gigabytes. It is not damaged: a program that takes them can unpack it."""
    begun = PACKS[name[-3:].lstrip(".")](b"a\n") * before
    with written(begun + packed + b"behind", name) as source, pytest.raises(ReadError) as raised:
        whole(source)
    assert words in str(raised.value)
    assert "damaged" not in str(raised.value)
    assert cure in raised.value.hint
    assert raised.value.hint.endswith(f"{name} | km-cli import -")


def test_nothing_of_what_is_damaged_is_sent(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """Until its check sum fails, false content looks true, and people would be made from it for good."""
    packed = bytearray(gzip.compress(log(5000), mtime=0))
    packed[len(packed) // 2] ^= 0x55
    (tmp_path / "x.csv.gz").write_bytes(packed)
    result = importer("import", tmp_path / "x.csv.gz").ended(74)
    assert "none of its rows is sent" in result.err
    assert not tracker.seen


@pytest.mark.parametrize("ending", PACKS)
def test_nothing_was_whole_before_what_is_all_damaged(ending: str) -> None:
    """So there is no message about it."""
    damaged = PACKS[ending](log(3))[:12] + b"\xff" * 40
    with written(damaged, "x.csv") as source, pytest.raises(ReadError, match=r"after 0 bytes") as raised:
        open_reader(source)
    assert "nothing in it can be read" in raised.value.hint


def test_zst_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra; the message says how to get it, and how to do without."""
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with written(PACKS["zst"](log(3)), "x.csv.zst") as source, pytest.raises(InputError) as raised:
        open_reader(source)
    assert "x.csv.zst" in str(raised.value)
    assert "pip install zstandard" in raised.value.hint
    assert "zstd -dc " in raised.value.hint


def test_a_library_is_missed_before_anything_is_sent(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """Also if only the last file needs it."""
    (tmp_path / "stubs").mkdir()
    (tmp_path / "stubs" / "zstandard.py").write_text("raise ImportError\n")
    importer.environment["PYTHONPATH"] = os.pathsep.join(
        (str(tmp_path / "stubs"), *filter(None, [os.environ.get("PYTHONPATH")]))
    )
    plain, packed = tmp_path / "a.csv", tmp_path / "b.csv.zst"
    plain.write_bytes(log(3))
    packed.write_bytes(PACKS["zst"](log(5)))
    result = importer.alone("import", plain, packed, "--json").ended(2)
    said(result, "b.csv.zst", "pip install zstandard", "zstd -dc ")
    assert not tracker.seen
    assert result.summary["rows"]["read"] == 0
    importer("import", plain, "--json").ended(0)
    assert len(tracker.seen) == 3


@pytest.mark.parametrize(("module", "ending", "program"), [("bz2", "bz2", "bzip2"), ("lzma", "xz", "xz")])
def test_a_python_built_without(
    monkeypatch: pytest.MonkeyPatch, module: str, ending: str, program: str
) -> None:
    """Some are; the program can unpack it."""
    monkeypatch.setitem(sys.modules, module, None)
    stdin = io.BufferedReader(cast(io.RawIOBase, io.BytesIO(PACKS[ending](log(3)))))
    with pytest.raises(InputError) as raised:
        open_reader(Source("-", stdin))
    assert f"{program} -dc FILE | km-cli" in raised.value.hint


# The command


@pytest.mark.parametrize("ending", PACKS)
def test_a_cut_import_goes_on_with_the_whole_file(importer: Command, tmp_path: Path, ending: str) -> None:
    """As for gzip: 74, and nothing twice, also if it is packed in another way then."""
    rows = 20_000
    packed = PACKS[ending](log(rows))
    path = tmp_path / f"log.csv.{ending}"
    path.write_bytes(packed[: len(packed) // 2])
    store = f"local:{tmp_path / 'store.db'}"
    result = importer("import", path, "--to", store, "--json").ended(74)
    said(result, f"{path}: the compressed data is cut short, after", "bytes", "run again")
    sent = result.summary["rows"]["sent"]
    assert rows / 8 < sent < rows
    path.write_bytes(PACKS["gz" if ending == "xz" else "xz"](log(rows)))
    summary = importer("import", path, "--to", store, "--json").ended(0).summary
    assert (summary["rows"]["skipped"], summary["rows"]["sent"]) == (sent, rows - sent)
    assert summary["kept"]["events"] == rows
