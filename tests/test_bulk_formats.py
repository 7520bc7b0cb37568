"""The formats of bulk files: each line reads back as its call, and CSV refuses a call that it cannot hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.destinations.bulk_formats import MOST_COLUMNS, BulkFormat, Csv, JsonLines
from km_cli.destinations.series import Series
from km_cli.kissmetrics import fold_name
from km_cli.model import NANOSECONDS, Alias, Record, Set, Wired
from tests.support.bulk import form, read
from tests.support.delivering import SECOND, record
from tests.support.drawing import examples

_AWKWARD = st.sampled_from(list("+ @&%=#/;,:\"'<>~\\\n\r\t\x1fé日🎉\u2028\u0085{}[]"))
_LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_TEXT = st.text(st.one_of(_AWKWARD, _LETTERS), min_size=1, max_size=20)
_NAMES = _TEXT.filter(lambda text: bool(fold_name(text)) and not text.startswith("_"))
_PLAIN = st.text(st.sampled_from("abc deéßAB'|;:="), min_size=1, max_size=8).filter(str.strip)


def properties(
    names: st.SearchStrategy[str], values: st.SearchStrategy[str], most: int = 12
) -> st.SearchStrategy:
    """Properties of a row; no two names are one property."""
    pairs = st.lists(st.tuples(names, values), max_size=most, unique_by=lambda pair: fold_name(pair[0]))
    return pairs.map(tuple)


def calls(names: st.SearchStrategy[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[Wired]:
    """Calls of all kinds."""
    made = properties(names, values)
    return st.one_of(
        st.builds(
            lambda who, event, pairs: record(0, identity=who, event=event, properties=pairs),
            names,
            names,
            made,
        ),
        st.builds(
            lambda who, pairs: Set("main", "user", who, "", SECOND * NANOSECONDS, pairs),
            names,
            made.filter(bool),
        ),
        st.builds(lambda who, other: Alias("main", "user", who, other), names, names),
    )


def meant(call: Wired) -> dict[str, str]:
    """The call as a reader of a file must find it."""
    if isinstance(call, Alias):
        return {"_p": call.identity, "_p2": call.other, "_t": str(SECOND)}
    event = {"_n": call.event} if isinstance(call, Record) else {}
    return {"_p": call.identity, "_t": str(SECOND), **event, **dict(call.properties)}


def written(one: BulkFormat, some: list[Wired], folder: Path) -> list[dict[str, str]]:
    """Write calls to one file for each layout, and read them back."""
    files: dict[object, bytes] = {}
    for call, layout in zip(some, one.layouts(some, []), strict=True):
        files[layout] = files.get(layout, one.header(layout)) + one.line(call, SECOND, layout)
    found: list[dict[str, str]] = []
    for content in files.values():
        path = folder / f"x{one.ending}"
        path.write_bytes(content)
        found += read(path)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("formats")


@given(some=st.lists(calls(_NAMES, _TEXT), max_size=5))
def test_json_holds_every_call(folder: Path, some: list[Wired]) -> None:
    one = JsonLines()
    assert one.limits is None
    assert list(map(form, written(one, some, folder) if some else [])) == [form(meant(call)) for call in some]


@settings(max_examples=examples(80))
@given(some=st.lists(st.one_of(calls(_NAMES, _TEXT), calls(_PLAIN, _PLAIN)), max_size=5))
def test_csv_holds_every_call_that_it_does_not_refuse(folder: Path, some: list[Wired]) -> None:
    one = Csv()
    assert one.limits is not None
    taken = [call for call in some if not one.limits(call)]
    found = sorted(map(form, written(one, taken, folder)))
    assert found == sorted(form(meant(call)) for call in taken)
    for call in some:
        texts = [text for pair in meant(call).items() for text in pair]
        is_plain = not any(character in text for text in texts for character in '",\r\n')
        is_narrow = isinstance(call, Alias) or len(call.properties) <= 10
        assert (call in taken) == (is_plain and is_narrow)


@settings(max_examples=examples(60))
@given(batches=st.lists(st.lists(calls(_PLAIN, _PLAIN), max_size=4), max_size=3))
def test_a_file_keeps_its_columns(batches: list[list[Wired]]) -> None:
    """A file that is begun takes the calls that fit; no file has two columns of one property, or over ten."""
    one, begun = Csv(), []
    assert one.limits is not None
    for batch in batches:
        some = [call for call in batch if not one.limits(call)]
        for call, layout in zip(some, one.layouts(some, begun), strict=True):
            assert set(() if isinstance(call, Alias) else dict(call.properties)) <= set(layout.columns)
            assert len(set(map(fold_name, layout.columns))) == len(layout.columns) <= MOST_COLUMNS
            if layout not in begun:
                begun.append(layout)
    kinds = [layout for layout in begun if not layout.columns]
    assert len(kinds) <= 2, "calls without properties begin a file of their own only if there is none"


def test_new_properties_share_a_file_as_far_as_columns_allow() -> None:
    rows = [record(at, properties=tuple((f"p{at + n}", "1") for n in range(3))) for at in range(0, 30, 3)]
    layouts = Csv().layouts(rows, [])
    assert [len(layout.columns) for layout in dict.fromkeys(layouts)] == [9, 9, 9, 3]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (record(1, identity='a"b'), "the id 'a\"b' has a double quotation mark, which"),
        (record(1, event="a,b"), "the event 'a,b' has a comma, which"),
        (record(1, properties=(("a\nb", "1"),)), r"the property 'a\nb' has a line break, which"),
        (
            record(1, properties=(("n", "a\rb"),)),
            r"the value of the property 'n', 'a\rb' has a line break, which",
        ),
        (Alias("main", "user", "a", "b,c"), "the alias 'b,c' has a comma, which"),
        (record(1, properties=tuple((str(n), "1") for n in range(11))), "it has 11 properties, and"),
    ],
)
def test_csv_says_why_it_refuses(call: Wired, reason: str) -> None:
    limits = Csv().limits
    assert limits is not None
    assert limits(call).startswith(reason)


def test_names_sort_in_the_order_of_writing(tmp_path: Path) -> None:
    series = Series(tmp_path, "history", ".json")
    names = [series.path("a-b.c", number).name for number in (1, 2, 10, 99_999)]
    assert names == sorted(names)
    assert names[0] == "historyabc00001.json"
    assert series.last_number("a-b.c") == 0
    for name in (
        "historyabc00007.json",
        "historyabc00009.json.part",
        "historyabc00011.csv",
        "historyx00012.json",
    ):
        (tmp_path / name).touch()
    assert series.last_number("a-b.c") == 9
