"""Every storage keeps the same promises: files on this machine, and objects on a real S3 server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from km_cli.errors import Rewritten, UsageError
from km_cli.inputs.finding import expand, find_files, open_bytes
from km_cli.inputs.storage.base import Held, Window
from km_cli.inputs.storage.object_search import Search
from km_cli.inputs.storage.registry import close_storages, storage_of
from km_cli.object_address import parse, shown
from tests.support import objects
from tests.support.drawing import examples


class Place(Protocol):
    """Files under one name, to be written by a test."""

    def name(self, path: str) -> str: ...

    def write(self, path: str, content: bytes) -> str: ...

    def remove(self, path: str) -> None: ...


class Folder:
    """A folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def name(self, path: str) -> str:
        return f"{self.folder}/{path}"

    def write(self, path: str, content: bytes) -> str:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return self.name(path)

    def remove(self, path: str) -> None:
        (self.folder / path).unlink()


class Bucket:
    """A folder in a bucket."""

    def __init__(self, store: objects.Store) -> None:
        self.store = store

    def name(self, path: str) -> str:
        return self.store.url(f"in/{path}")

    def write(self, path: str, content: bytes) -> str:
        return self.store.put(f"in/{path}", content)

    def remove(self, path: str) -> None:
        self.store.delete(f"in/{path}")


@pytest.fixture(scope="module")
def server() -> Iterator[objects.Server]:
    """The server, and one connection of km-cli to it for all tests, since a new one takes its time."""
    with objects.server() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running
        close_storages()


@contextmanager
def made(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    if request.param == "files":
        yield Folder(folder)
    else:
        with objects.bucket(request.getfixturevalue("server")) as store:
            yield Bucket(store)


@pytest.fixture(params=["files", "objects"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty place."""
    with made(request, tmp_path) as empty:
        yield empty


@pytest.fixture(params=["files", "objects"], scope="module")
def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place with files of many names, for tests that only look."""
    with made(request, tmp_path_factory.mktemp("tree")) as full:
        for path in TREE:
            full.write(path, b"x\n")
        yield full


def held(name: str) -> Held:
    found = storage_of(name).hold(name)
    assert found is not None
    return found


def read(name: str, offset: int = 0) -> bytes:
    one = held(name)
    with one.open(offset) as content:
        data = content.read()
        assert content.place() == offset + len(data)
    one.close()
    return data


def test_without_its_library_an_address_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UsageError, match="needs s3fs, which is not installed") as raised:
        storage_of("s3://bucket/a.csv")
    assert "pip install" in raised.value.hint


@pytest.mark.parametrize(
    "name", ["s3://AKIA:se/cret@bucket/a.csv", "s3://token@bucket/a.csv", "S3://k:se@b/*"]
)
def test_an_address_with_a_key_is_refused_and_not_shown(name: str) -> None:
    with pytest.raises(UsageError, match="has a key or a password in it") as raised:
        parse(name)
    for part in ("AKIA", "cret", "token"):
        assert part not in str(raised.value) + raised.value.hint


@pytest.mark.parametrize("name", ["s3://", "s3:///a.csv", "s3://b c/a", "s3://-bucket/a", "s3://a/b"])
def test_a_bucket_that_cannot_be_is_said(name: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a bucket"):
        parse(name)


def test_an_address_is_shown_in_one_line() -> None:
    assert shown("s3://bucket/a\nb\x1b[31m\u2028.csv") == "s3://bucket/a\\x0ab\\x1b[31m\\u2028.csv"


JANUARY = 1_704_067_200 * 10**9
"""2024-01-01, in nanoseconds."""

LETTERS = st.sampled_from(["a", "b", ".a", "_b", "a1", "2024", "01", "2024-01-02"])
PARTS = st.sampled_from(["*", "**", "a*", "?", "[ab]", "a", "b", ".a", "%Y", "%m", "%Y-%m-%d", "2024", "_*"])


@settings(max_examples=examples(30))
@given(
    st.sets(st.lists(LETTERS, min_size=1, max_size=3).map(tuple), max_size=8),
    st.lists(PARTS, min_size=1, max_size=3),
    st.sampled_from([None, JANUARY, JANUARY + 40 * 86_400 * 10**9]),
)
def test_keys_are_matched_as_paths_are(
    paths: set[tuple[str, ...]], pattern: list[str], since: int | None
) -> None:
    """Where keys can be paths, a pattern finds the same of them."""
    keys = ["/".join(path) + ".csv" for path in paths]
    assume("/".join(pattern).find("%m") < 0 or "%Y" in "/".join(pattern))
    window = Window(since, None, ZoneInfo("UTC"))
    with TemporaryDirectory() as folder:
        there = Folder(Path(folder))
        for key in keys:
            there.write(key, b"")
        text = "/".join(pattern)
        found = storage_of(folder).search(there.name(text), window)
        listed = Search(partial(listing, keys), window, has_folders=True).run(text)
        # A pattern without special characters is looked up as a whole first, see `Objects.search`.
        assume("%" in text or set("*?[") & set(text))
        assert {file.removeprefix(there.name("")) for file in found.files} == listed.found


def listing(keys: list[str], prefix: str, delimiter: str) -> Iterator[str]:
    """List keys as an object store does."""
    seen: set[str] = set()
    for key in sorted(keys):
        if key.startswith(prefix):
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            seen.add(key if end < 0 else key[: end + 1])
    yield from sorted(seen)


def test_what_is_written_is_read(place: Place) -> None:
    content = os.urandom(3 << 20)
    name = place.write("a.csv", content)
    assert read(name) == content
    with open_bytes(name) as stream:
        assert stream.read() == content


@pytest.mark.parametrize("offset", [1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (2 << 20) - 1, 2 << 20])
def test_reading_begins_at_any_place(place: Place, offset: int) -> None:
    content = os.urandom(2 << 20)
    assert read(place.write("a.csv", content), offset) == content[offset:]


def test_an_empty_file_has_no_bytes(place: Place) -> None:
    name = place.write("a.csv", b"")
    assert read(name) == b""
    found = storage_of(name).stat(name)
    assert found is not None
    assert found.stamp.size == 0


def test_two_readers_do_not_disturb_each_other(place: Place) -> None:
    content = os.urandom(4 << 20)
    one = held(place.write("a.csv", content))
    with one.open() as first, one.open(1 << 20) as second:
        got = [b"", b""]
        for _ in range(64):
            got[0] += first.read(70_000)
            got[1] += second.read(50_000)
        got[0] += first.read()
        got[1] += second.read()
    assert got == [content, content[1 << 20 :]]
    one.close()


def test_a_file_is_known_again_until_it_changes(place: Place) -> None:
    name = place.write("a.csv", b"one\n")
    before = storage_of(name).stat(name)
    one = held(name)
    assert one.found == before
    assert one.found.stamp.size == 4
    assert not one.was_touched()
    place.write("a.csv", b"one\ntwo\n")
    assert one.was_touched()
    one.close()
    again = held(name)
    assert again.found.stamp != before.stamp
    again.close()


def test_other_files_with_the_same_content_are_others(place: Place) -> None:
    stamps = {held(place.write(path, b"same\n")).found.stamp for path in ("a.csv", "b.csv")}
    assert len(stamps) == 2


def test_a_file_that_is_changed_while_it_is_read_is_never_mixed(place: Place) -> None:
    """Its old content to the end, or an error: no line of the new one behind lines of the old one."""
    size = 6 << 20
    one = held(place.write("a.csv", b"a" * size))
    with one.open() as content:
        data = content.read(2 << 20)
        place.write("a.csv", b"b" * size)
        pieces = iter(lambda: content.read(1 << 16), b"")
        with pytest.raises(Rewritten, match="while it was read"):  # noqa: PT012 - what came before it counts
            for piece in pieces:
                data += piece
    assert set(data) == {ord("a")}
    one.close()


def test_what_is_not_there_is_said_with_a_next_step(place: Place) -> None:
    place.write("folder/log.csv", b"x\n")
    name = place.name("folder/lag.csv")
    assert storage_of(name).stat(name) is None
    assert storage_of(name).hold(name) is None
    with pytest.raises(UsageError, match="there is no such") as raised:
        storage_of(name).check(name)
    assert "log.csv" in raised.value.hint
    with pytest.raises(UsageError, match="there is no such"):
        open_bytes(name)


def test_a_folder_is_no_file(place: Place) -> None:
    place.write("folder/log.csv", b"x\n")
    name = place.name("folder")
    with pytest.raises(UsageError, match="is a folder") as raised:
        storage_of(name).check(name)
    assert "log.csv" in raised.value.hint


TREE = (
    *("a.csv", "b.csv", "b.jsonl", "in/c.csv", "in/deep/d.csv", "in/deep/e.csv.gz", "100%.csv", "x[1].csv"),
    *(".hidden.csv", "in/.git/config.csv", "_old/f.csv", "in/_SUCCESS", "in/g.csv.tmp", "in/h.csv~"),
    *(
        "dt=2024-01-01/n.csv",
        "dt=2024-01-02/n.csv",
        "dt=2024-02-01/n.csv",
        "2024/03/01/m.csv",
        "2024/03/x/m.csv",
    ),
    *("day-2024-01-05.csv", "day-2024-13-05.csv", "ü ä/z.csv"),
)


def relative(place: Place, files: tuple[str, ...]) -> list[str]:
    return [file.removeprefix(place.name("")) for file in files]


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("a.csv", ["a.csv"]),
        ("in", ["in/c.csv", "in/deep/d.csv", "in/deep/e.csv.gz"]),
        ("in/", ["in/c.csv", "in/deep/d.csv", "in/deep/e.csv.gz"]),
        ("*.csv", ["100%.csv", "a.csv", "b.csv", "day-2024-01-05.csv", "day-2024-13-05.csv", "x[1].csv"]),
        ("?.csv", ["a.csv", "b.csv"]),
        ("[!a].csv", ["b.csv"]),
        ("x[1].csv", ["x[1].csv"]),
        ("*/c.csv", ["in/c.csv"]),
        ("in/**/*.csv", ["in/c.csv", "in/deep/d.csv"]),
        (
            "in/**",
            ["in/_SUCCESS", "in/c.csv", "in/deep/d.csv", "in/deep/e.csv.gz", "in/g.csv.tmp", "in/h.csv~"],
        ),
        (".hidden*", [".hidden.csv"]),
        ("100%%*", ["100%.csv"]),
        ("dt=%Y-%m-%d/*.csv", ["dt=2024-01-01/n.csv", "dt=2024-01-02/n.csv", "dt=2024-02-01/n.csv"]),
        ("dt=%Y-%m-%d", ["dt=2024-01-01/n.csv", "dt=2024-01-02/n.csv", "dt=2024-02-01/n.csv"]),
        ("dt=%Y-01-*/n.csv", ["dt=2024-01-01/n.csv", "dt=2024-01-02/n.csv"]),
        ("%Y/%m/%d/*.csv", ["2024/03/01/m.csv"]),
        ("day-%Y-%m-%d.csv", ["day-2024-01-05.csv"]),
        ("ü ä/*", ["ü ä/z.csv"]),
        ("none*", []),
        ("in/none", []),
    ],
)
def test_patterns_find_the_same_files_everywhere(tree: Place, pattern: str, files: list[str]) -> None:
    found = find_files([tree.name(pattern)], None, None, "")
    assert relative(tree, found.files) == files
    assert bool(found.missing) == (not files)
    assert all(missing.hint for missing in found.missing)


@pytest.mark.parametrize(
    ("pattern", "since", "files", "outside"),
    [
        ("dt=%Y-%m-%d/*.csv", 20, ["dt=2024-02-01/n.csv"], 2),
        ("**/dt=%Y-%m-%d/*.csv", 20, ["dt=2024-02-01/n.csv"], 2),
        ("%Y/%m/%d/*.csv", 20, ["2024/03/01/m.csv"], 0),
        ("%Y/%m/%d/*.csv", 100, [], 1),
        ("day-%Y-%m-%d.csv", 3, ["day-2024-01-05.csv"], 0),
        ("day-%Y-%m-%d.csv", 20, [], 1),
    ],
)
def test_partitions_are_left_out_by_date_everywhere(
    tree: Place, pattern: str, since: int, files: list[str], outside: int
) -> None:
    found = find_files([tree.name(pattern)], JANUARY + since * 86_400 * 10**9, None, "")
    assert relative(tree, found.files) == files
    assert found.outside == outside
    assert not found.missing


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("a.csv", ["a.csv"]),
        ("?.csv", ["a.csv", "b.csv"]),
        ("100%.*", ["100%.csv"]),
        ("in/**/*.csv", ["in/c.csv", "in/deep/d.csv"]),
        ("**/d.csv", ["in/deep/d.csv"]),
        ("x[1].csv", ["x[1].csv"]),
        ("not-there.csv", ["not-there.csv"]),
    ],
)
def test_globs_of_a_command_line_find_the_same_files_everywhere(
    tree: Place, pattern: str, files: list[str]
) -> None:
    assert relative(tree, expand([tree.name(pattern)])) == files


@pytest.mark.parametrize(("pattern", "hint"), [("none*.csv", "holds"), ("dt=%Y-%m-%d/*.csv", "check the")])
def test_a_glob_without_a_file_says_what_is_there(tree: Place, pattern: str, hint: str) -> None:
    """Dates are for km.toml alone: on the command line a percent sign stands for itself."""
    with pytest.raises(UsageError, match=r"no (file|object) matches") as raised:
        expand([tree.name(pattern)])
    assert hint in raised.value.hint


def test_a_file_is_let_go_with_its_bytes(place: Place) -> None:
    """Else the collector would warn of it, and warnings are errors here."""
    stream = open_bytes(place.write("a.csv", b"x\n"))
    assert stream.read() == b"x\n"
    stream.close()
    stream.close()
