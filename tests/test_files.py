"""FILE and the flags for it: patterns, formats, delimiters."""

from __future__ import annotations

from pathlib import Path

import pytest

from km_cli.errors import UsageError
from km_cli.inputs import FormatOptions, expand, make_format_options, open_reader
from km_cli.inputs.formats import recognise_format
from tests.support.command import Command
from tests.support.logs import COMMANDS, HEADER, ROW, said
from tests.support.logs import written as log
from tests.support.packing import PACKS
from tests.support.reading import read_all, seen, written
from tests.support.running import run, settings
from tests.support.tracker import Tracker

# Patterns


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Some logs in folders; the current one."""
    for name in ("b.csv", "a.csv", "a.jsonl", "2024/01/c.csv", "2024/d.csv", "e[1].csv", "2024/folder.csv/f"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["*.csv"], ["a.csv", "b.csv", "e[1].csv"]),
        (["[ab].csv", "a.jsonl"], ["a.csv", "b.csv", "a.jsonl"]),
        (["?.jsonl", "-"], ["a.jsonl", "-"]),
        (["**/*.csv"], ["2024/01/c.csv", "2024/d.csv", "a.csv", "b.csv", "e[1].csv"]),
        (["2024/**"], ["2024/01/c.csv", "2024/d.csv", "2024/folder.csv/f"]),
        (["e[1].csv"], ["e[1].csv"]),
        (["b.csv", "*.csv"], ["b.csv", "a.csv", "e[1].csv"]),
        (["nowhere.csv", "a.csv", "a.csv"], ["nowhere.csv", "a.csv", "a.csv"]),
    ],
)
def test_patterns(folder: Path, names: list[str], found: list[str]) -> None:
    """Sorted, files only. A name that exists is taken as it is, and no file is taken twice."""
    assert expand(names) == tuple(found)
    assert expand([str(folder / name) for name in names if name != "-"]) == tuple(
        str(folder / name) for name in found if name != "-"
    )


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("*.tsv", ("current folder", "2024/, a.csv, a.jsonl, b.csv, e[1].csv")),
        ("2024/*.tsv", ("the folder 2024 ", "01/, d.csv, folder.csv/")),
        ("2023/*.csv", ("the folder 2023 does not exist",)),
        ("a.csv/*", ("the folder a.csv does not exist",)),
        ("202?/x/*.csv", ("current folder",)),
        ("zempty/*", ("the folder zempty is empty",)),
    ],
)
def test_a_pattern_that_matches_nothing(folder: Path, pattern: str, said: tuple[str, ...]) -> None:
    """The hint names the entries that exist instead."""
    (folder / "zempty").mkdir()
    with pytest.raises(UsageError) as raised:
        expand([pattern])
    assert pattern in str(raised.value)
    assert [part for part in said if part not in raised.value.hint] == []


def test_a_pattern_in_a_full_folder(tmp_path: Path) -> None:
    """The hint names only some of the entries."""
    for number in range(1234):
        (tmp_path / f"{number:04}.csv").touch()
    with pytest.raises(UsageError) as raised:
        expand([f"{tmp_path}/*.tsv"])
    assert raised.value.hint.endswith("holds 0000.csv, 0001.csv, 0002.csv, 0003.csv, 0004.csv and 1,229 more")


@pytest.mark.parametrize("command", COMMANDS)
def test_patterns_in_the_command(importer: Command, tracker: Tracker, tmp_path: Path, command: str) -> None:
    """Files in their order, and a message of one line if there are none."""
    logs = tmp_path / "logs"
    logs.mkdir()
    log(logs, ROW.replace("ada", "bob"), name="b.csv")
    log(logs, ROW, name="a.csv")
    summary = importer(command, f"{logs}/*.csv", "--json", "--concurrency", "1").ended(0).summary
    assert summary["rows"]["sent"] == 2
    if command == "import":
        assert [call["_p"] for call in tracker.calls()] == ["ada", "Acme", "bob", "Acme"]
    said(importer(command, f"{logs}/*.tsv").ended(2), f"no file matches '{logs}/*.tsv'", "a.csv, b.csv")


# Formats and delimiters


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("log.csv-20240101", b'{"a,b":1}\n1,2\n', "delimited"),
        ("log.jsonl-20240101.gz", b"user,event\n", "jsonl"),
        ("export.csv.jsonl", b"user,event\n", "jsonl"),
        ("log.NDJSON.2", b"user,event\n", "jsonl"),
        ("log.csvx", b'{"a":1}\n', "jsonl"),
        ("csv", b'{"a":1}\n', "jsonl"),
    ],
)
def test_endings_in_names(name: str, data: bytes, expected: str) -> None:
    """A known ending anywhere in the name counts, the last of them."""
    assert recognise_format(FormatOptions(), name, data)[0].name == expected


@pytest.mark.parametrize(
    ("name", "header", "words", "expected"),
    [
        ("x.csv", b"a,b;c,d", ("", "semicolon"), ["a,b", "c,d"]),
        ("x.csv", b"a,b;c,d", ("csv", ";"), ["a,b", "c,d"]),
        ("x.csv", b"a,b|c", ("", "PIPE"), ["a,b", "c"]),
        ("x.csv", b"a,b\tc", ("", "\\t"), ["a,b", "c"]),
        ("x.csv", b"a,b\tc", ("", "\t"), ["a,b", "c"]),
        ("x.csv", b"a,b\tc", ("tsv", ""), ["a,b", "c"]),
        ("x.csv", b"a,b\tc", ("tsv", "tab"), ["a,b", "c"]),
        ("x.tsv", b"a,b,c\td,e", ("", ""), ["a,b,c", "d,e"]),
        ("x.tsv", b"a,b", ("", ""), ["a", "b"]),
        ("x.tsv", b"a,b\tc", ("csv", "comma"), ["a", "b\tc"]),
        ("x.jsonl", b"a,b", ("csv", ""), ["a", "b"]),
        ("x", b"{a,b", ("", "comma"), ["{a", "b"]),
    ],
)
def test_delimiters(name: str, header: bytes, words: tuple[str, str], expected: list[str]) -> None:
    """By its name or by itself. A flag goes before the file's name, the name before the content."""
    format_options = make_format_options(words[0], "", words[1])
    with written(header + b"\n", name, format_options) as source:
        opened = open_reader(source)
        opened.close()
    assert list(opened.columns) == expected


@pytest.mark.parametrize("ending", ["", *PACKS])
def test_json_lines_that_are_named_otherwise(ending: str) -> None:
    """`--format` goes before the name; a delimiter means nothing for them."""
    data = PACKS.get(ending, bytes)(b'{"a":1}\n')
    for form in ("jsonl", "ndjson"):
        with written(data, "x.csv", make_format_options(form, "", "")) as source:
            assert [seen(item) for item in read_all(source)] == [(1, {"a": "1"})]
    with written(data, "x.jsonl", make_format_options("", "", "pipe")) as source:
        assert [seen(item) for item in read_all(source)] == [(1, {"a": "1"})]


WRONG: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("--delimiter", "semicolons"), ("'semicolons'", "did you mean semicolon?")),
    (("--delimiter", ":"), ("':'", "comma, semicolon, tab, pipe")),
    (("--format", "tsv", "--delimiter", "pipe"), ("contradict",)),
    (("--format", "jsonl", "--delimiter", "pipe"), ("--format jsonl", "leave one")),
    (("--format", "xml"), ("--format", "ndjson")),
]


@pytest.mark.parametrize(("words", "parts"), WRONG)
def test_wrong_words(
    importer: Command, tracker: Tracker, tmp_path: Path, words: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    """Said before anything is read."""
    said(importer("import", log(tmp_path, ROW), *words).ended(2), *parts)
    assert not tracker.seen


@pytest.mark.parametrize(
    "format_options",
    [
        FormatOptions("delimited"),
        FormatOptions(delimiter=";"),
        FormatOptions(encoding="cp1252"),
        FormatOptions("jsonl"),
    ],
)
def test_how_a_file_is_read_is_part_of_its_reading(tmp_path: Path, format_options: FormatOptions) -> None:
    """Read in another way, rows become others."""
    assert settings(tmp_path, format_options=format_options).asked != settings(tmp_path).asked


def test_the_same_rows_read_in_another_way_are_known(tmp_path: Path) -> None:
    """A call that was sent is known by its deed, not by the form of its row."""
    path = log(tmp_path, HEADER.replace(",", ";") + ROW.replace(",", ";"), header="")
    ledger = tmp_path / "ledger.db"
    assert len(run([path], ledger)[0]) == 2
    assert not run([path], ledger, format_options=FormatOptions(delimiter=";"))[0]


@pytest.mark.parametrize(
    "first", ["PAR1", "PARENT", "Obj", "PK", "GIF", "LZIP", "%PDF", "7z", "<html", "ORC"]
)
def test_columns_that_begin_like_something_else(first: str) -> None:
    """A few letters alike are not enough."""
    with written(f"{first}x,event\n1,2\n".encode(), "x") as source:
        assert len(read_all(source)) == 1


# Folders


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ((), "name a file: there is none in this folder itself"),
        (("a.csv",), "name the files in it: logs/a.csv"),
        (("a.csv", "b.csv", "notes.txt", ".hidden.csv"), "name the files in it: logs/*.csv"),
        (("a.jsonl.gz", "b.jsonl.gz"), "name the files in it: logs/*.jsonl.gz"),
        (("app.csv", "app.csv.1", "app.csv.2.gz"), "name the files in it: logs/*.csv*"),
        (("a.csv", "b.jsonl", "c.jsonl"), "name the files in it: logs/a.csv logs/*.jsonl"),
        (
            ("one", "two", "three", "zero one"),
            "name the files in it: logs/one logs/three logs/two and 1 more",
        ),
        (("it is.csv",), "name the files in it: logs/'it is.csv'"),
    ],
)
def test_a_folder_in_the_place_of_a_file_proposes_the_files_in_it(
    km: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...], hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs" / "below").mkdir(parents=True)
    for file in files:
        (tmp_path / "logs" / file).touch()
    result = km("dry-run", "logs").ended(2)
    assert result.err == f"km-cli: logs is a folder\n  next: {hint}\n"
