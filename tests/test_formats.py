"""Input formats: all that are registered keep the same promises, a format added by a test among them."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km_cli.errors import InputError
from km_cli.inputs import Format, FormatOptions, Item, Place, make_format_options, open_reader
from km_cli.inputs.base import BOM, Layout, Reader, Text, is_last_open, not_text, too_long
from km_cli.inputs.formats import format_with, recognise_format, register, registered, unregister
from km_cli.inputs.keys import keys_of
from km_cli.inputs.lines import Overlong
from km_cli.model import Gap, Origin, Reject, Row
from km_cli.rejects import REJECTS, REJECTS_TABLE, format_reject
from tests.support.bench import ran
from tests.support.reading import ENDS, place_behind, raw_of, read, read_all, seen, written

# A format in one file: lines of `key:value!key:value`, which look like no real format


class KeyValues(Format):
    """Lines as `user:ada!event:Opened!time:1704067200`."""

    name = "key-values"
    words: ClassVar = {"kv": ""}
    delimiters = ("key-values",)

    def recognises(self, beginning: bytes) -> bool:
        return re.match(rb"\w+:[^!\n]*!\w+:", beginning) is not None

    def layout(self, text: Text) -> Layout:
        columns, regular = keys_of(text.head, lambda raw: parse_pairs(raw), self.longest_line)
        return Layout(columns, regular)

    def reader(self, text: Text, layout: Layout) -> Reader:
        return KeyValuesReader(text, layout)

    def parse_record(self, raw: bytes, columns: tuple[str, ...], delimiter: str) -> dict[str, Any]:  # noqa: ARG002
        return parse_pairs(raw)


def parse_pairs(raw: bytes) -> dict[str, Any]:
    pairs = [pair.partition(":") for pair in raw.decode("utf-8-sig").strip().split("!")]
    if not all(colon for _, colon, _ in pairs):
        raise ValueError("not pairs of key:value")
    return {key: value for key, _, value in pairs}


class KeyValuesReader:
    is_open = staticmethod(is_last_open)

    def __init__(self, text: Text, layout: Layout) -> None:
        self.columns = layout.columns
        self.preamble = layout.preamble
        self._text = text
        self._line = layout.line

    def items(self) -> Iterator[Item]:
        number = self._line - 1
        for raw in self._text.lines:
            if type(raw) is Overlong and not raw.first:
                yield Gap(bytes(raw))
                continue
            number += 1
            place = Row(self._text.source, number, bytes(raw), None)
            if type(raw) is Overlong:
                yield Reject(place, "record-too-long", too_long(raw))
            elif not raw.strip():
                yield Gap(raw)
            else:
                yield self._item(place)

    def _item(self, place: Row) -> Item:
        try:
            return place._replace(values=parse_pairs(place.raw))
        except UnicodeDecodeError:
            return Reject(place, *not_text(self._text.encoding))
        except ValueError as error:
            return Reject(place, "bad-pairs", str(error))


KEY_VALUES = KeyValues()


@pytest.fixture(autouse=True, scope="module")
def key_values() -> Iterator[None]:
    """The toy is registered for the tests of this file."""
    register(KEY_VALUES)
    yield
    unregister(KEY_VALUES)


# The conformance suite

FIRST = {
    "delimited": b"user,event,time\n",
    "jsonl": b'{"user":"ada","event":"In","time":"1"}\n',
    "key-values": b"user:ada!event:In!time:1\n",
}
"""The beginning of a file of each format, enough to recognise it by."""

RECORD = {
    "delimited": b"ada,In,1\n",
    "jsonl": b'{"user":"ada","event":"In","time":"1"}\n',
    "key-values": b"user:ada!event:In!time:1\n",
}
VALUES = {"user": "ada", "event": "In", "time": "1"}
NAMES = sorted(FIRST)


def the_format(name: str) -> Format:
    (found,) = (one for one in registered() if one.name == name)
    return found


def test_every_format_is_in_the_suite() -> None:
    """A rejects file has no cursor and no bytes of its own; test_rejects is its suite."""
    assert sorted(one.name for one in registered() if not one.holds_rejects) == NAMES
    assert [one for one in registered() if one.holds_rejects] == [REJECTS_TABLE, REJECTS]


def test_words_and_delimiters_belong_to_one_format() -> None:
    for attribute in ("words", "delimiters"):
        every = [one for each in registered() for one in getattr(each, attribute)]
        assert len(every) == len(set(every))
    assert [format_with(delimiter) for each in registered() for delimiter in each.delimiters] == [
        each for each in registered() for _ in each.delimiters
    ]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_recognised(name: str) -> None:
    """By its bytes, by the endings of names, and by the words for --format, which go before both."""
    one, other = the_format(name), next(FIRST[other] for other in NAMES if other != name)
    assert recognise_format(FormatOptions(), "", FIRST[name])[0] is one
    for word in one.words:
        assert recognise_format(FormatOptions(), f"log.{word}.1", other)[0] is one
        assert recognise_format(make_format_options(word, "", ""), "x.jsonl", other)[0] is one


@pytest.mark.parametrize("name", NAMES)
def test_columns_and_values(name: str) -> None:
    """Columns come from the header or the first objects; values are a list or an object."""
    one = the_format(name)
    with written(FIRST[name] + RECORD[name], "log") as source:
        opened = open_reader(source)
        *_, row = opened.reader().items()
        opened.close()
    assert opened.columns == ("user", "event", "time")
    assert opened.delimiter in one.delimiters
    assert isinstance(row, Row)
    values = dict(zip(opened.columns, row.values, strict=True)) if one.is_tabular else row.values
    assert values == VALUES


@pytest.mark.parametrize("name", NAMES)
def test_a_byte_order_mark_is_no_part_of_the_first_column(name: str) -> None:
    with written(BOM + FIRST[name] + RECORD[name], "log") as source:
        opened = open_reader(source)
        *_, row = opened.reader().items()
        opened.close()
    assert opened.columns == ("user", "event", "time")
    assert isinstance(row, Row)


def anything(name: str) -> st.SearchStrategy[bytes]:
    likely = st.lists(st.sampled_from([RECORD[name], RECORD[name][:5], *ENDS]), max_size=20).map(b"".join)
    return (likely | st.binary(max_size=100)).map(FIRST[name].__add__)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_no_byte_is_lost(name: str, data: st.DataObject) -> None:
    """Preamble and raws, joined, are the file, as far as it was understood."""
    content = data.draw(anything(name))
    with written(content, "log") as source:
        try:
            preamble, items, error = read(source)
        except InputError:
            return
    joined = preamble + b"".join(map(raw_of, items))
    assert content.startswith(joined)
    assert error or joined == content


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_reading_goes_on_at_any_record(name: str, data: st.DataObject) -> None:
    """From a place behind any item, the items are those that follow it."""
    content = FIRST[name] + RECORD[name] * 3 + b"\n \n" + RECORD[name]
    with written(content, "log") as source:
        preamble, items, _ = read(source)
        at = data.draw(st.integers(0, len(items)))
        behind = preamble + b"".join(map(raw_of, items[:at]))
        _, rest, _ = read(source, place_behind(behind) if behind else Place())
    assert [seen(item) for item in rest] == [seen(item) for item in items[at:]]


@pytest.mark.parametrize("name", NAMES)
def test_a_last_record_without_its_line_end_is_open(name: str) -> None:
    for end, is_open in ((b"", True), (b"\n", False)):
        with written(FIRST[name] + RECORD[name].rstrip() + end, "log") as source:
            opened = open_reader(source)
            reader = opened.reader()
            *_, last = reader.items()
            opened.close()
        assert reader.is_open(last) is is_open


@pytest.mark.parametrize("name", NAMES)
def test_a_record_over_1_mib(name: str) -> None:
    """It is rejected, its neighbours are read."""
    long = RECORD[name].replace(b"ada", b"a" * (2 << 20))
    with written(FIRST[name] + long + RECORD[name], "log") as source:
        items = [item for item in read_all(source) if not isinstance(item, Gap)]
    assert isinstance(items[-2], Reject)
    assert items[-2].code == "record-too-long"
    assert isinstance(items[-1], Row)


@pytest.mark.parametrize("name", NAMES)
def test_its_rejects_are_read_again(name: str) -> None:
    """By the format that wrote them."""
    with written(FIRST[name] + RECORD[name], "log") as source:
        opened = open_reader(source)
        *_, row = opened.reader().items()
        opened.close()
    assert isinstance(row, Row)
    line = format_reject(Reject(row, "time", "why"), Origin("token", (), opened.columns, opened.delimiter))
    with written(line, "rejects") as source:
        (again,) = read_all(source)
    assert isinstance(again, Row)
    assert (again.values, again.line) == (VALUES, row.line)


# The toy in the command

LOG = "user:ada!account:Acme!event:Opened!time:1704067200\nuser:bob!event:Opened!time:soon\n"


def test_a_dry_run_reads_the_toy() -> None:
    """By its ending, by its content, and by --format."""
    with tempfile.TemporaryDirectory() as folder:
        for name, words in (("log.kv", ()), ("log", ()), ("log.csv", ("--format", "kv"))):
            path = Path(folder, name)
            path.write_text(LOG, encoding="utf-8")
            result = ran("dry-run", path, "--ledger", f"{folder}/ledger.db", "--json", *words)
            assert result.code == 65, result.err
            assert result.summary["rows"]["read"] == 2
            assert result.summary["calls"]["planned"] == 2
            assert result.summary["reasons"] == {"time": 1}


def test_a_reject_of_the_toy_is_corrected_and_imported(tmp_path: Path) -> None:
    path = tmp_path / "log.kv"
    path.write_text(LOG, encoding="utf-8")
    rejects = tmp_path / "rejects.jsonl"
    words = ("--to", f"local:{tmp_path}/store.db", "--json")
    first = ran("import", path, *words, "--rejects", rejects)
    assert first.code == 65, first.err
    (line,) = map(json.loads, rejects.read_text().splitlines())
    corrected = tmp_path / "corrected.jsonl"
    corrected.write_text(json.dumps(line | {"raw": line["raw"].replace("soon", "1704067200")}) + "\n")
    again = ran("import", corrected, *words, "--rejects", tmp_path / "none")
    assert again.code == 0, again.err
    assert again.summary["rows"]["sent"] == 1
