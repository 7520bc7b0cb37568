"""Which files there are: names, folders, patterns and partitions by date, in folders that are real."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from km_cli.errors import UsageError
from km_cli.inputs.discovery import pattern_from_here
from km_cli.inputs.finding import FoundFiles, find_files
from km_cli.inputs.partitions import KNOWN, parse_pattern, period_of
from tests.support.permissions import refusable

DAY = 86_400 * 10**9


def lay(folder: Path, *names: str) -> None:
    """Put files there, empty as they are; a name that ends in / is a folder."""
    for name in names:
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.touch()


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def look(
    folder: Path, *patterns: str, since: str = "", until: str = "", timezone: str = ""
) -> tuple[list[str], FoundFiles]:
    """Return the files found below a folder, by their paths in it, and the rest of the result."""
    found = find_files(
        [str(folder / pattern) + "/" * pattern.endswith("/") for pattern in patterns],
        at(since) if since else None,
        at(until) if until else None,
        timezone,
    )
    return [os.path.relpath(file, folder) for file in found.files], found


# Names, folders, patterns

TREE = (
    *("a.csv", "b.csv", "b.jsonl", "in/c.csv", "in/deep/d.csv", "in/deep/e.csv.gz", "100%.csv", "x[1].csv"),
    *(".hidden.csv", "in/.git/config.csv", "_old/f.csv", "in/_SUCCESS", "in/g.csv.tmp", "in/h.csv~"),
    *("in/i.PART", "in/j.partial", "in/k.crdownload", "in/.d.csv.swp", "empty/"),
)
IN = ["in/c.csv", "in/deep/d.csv", "in/deep/e.csv.gz"]


@pytest.mark.parametrize(
    ("patterns", "files"),
    [
        (["a.csv"], ["a.csv"]),
        (["100%.csv"], ["100%.csv"]),
        (["100%%.csv"], ["100%.csv"]),
        (["x[1].csv"], ["x[1].csv"]),
        (["in"], IN),
        (["in/"], IN),
        (["in/[_g-i]*"], ["in/_SUCCESS", "in/g.csv.tmp", "in/h.csv~", "in/i.PART"]),
        (["*.csv"], ["100%.csv", "a.csv", "b.csv", "x[1].csv"]),
        (["[ab].csv"], ["a.csv", "b.csv"]),
        (["*[%].csv", "?00%%.csv"], ["100%.csv"]),
        (["b.*"], ["b.csv", "b.jsonl"]),
        (["in/**/*.csv"], ["in/c.csv", "in/deep/d.csv"]),
        (["in/**/deep/*.csv"], ["in/deep/d.csv"]),
        (["in/**/**/d.csv"], ["in/deep/d.csv"]),
        (["in/deep/**"], ["in/deep/d.csv", "in/deep/e.csv.gz"]),
        (["i*/"], IN),
        (["i*/**/"], IN),
        (["*/deep"], ["in/deep/d.csv", "in/deep/e.csv.gz"]),
        ([".h*"], [".hidden.csv"]),
        (["b.csv", "a.csv"], ["b.csv", "a.csv"]),
        (["b.*", "*.csv"], ["b.csv", "b.jsonl", "100%.csv", "a.csv", "x[1].csv"]),
        (["empty", "e*/"], []),
        (["in//deep//*.csv"], ["in/deep/d.csv"]),
        (["in/../a.*"], ["a.csv"]),
    ],
)  # fmt: skip
def test_what_an_entry_means(tmp_path: Path, patterns: list[str], files: list[str]) -> None:
    """Sorted within an entry, entries as they stand, none twice."""
    lay(tmp_path, *TREE)
    found, told = look(tmp_path, *patterns)
    assert (found, told.missing, told.outside) == (files, (), 0)


def test_here_and_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path stays relative."""
    lay(tmp_path, *TREE)
    monkeypatch.chdir(tmp_path)
    assert find_files(["in", "*.jsonl", "**/d*"], None, None, "").files == (*IN, "b.jsonl")


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("c.csv", "check the name: the folder TMP holds"),
        ("nowhere", "check the name: the folder TMP holds"),
        ("nowhere/c.csv", "check the path: the folder TMP/nowhere does not exist"),
        ("nowhere/", "check the name: the folder TMP holds"),
        ("*.tsv", "check the pattern: the folder TMP holds"),
        ("in/%Y/*.csv", "check the pattern: the folder TMP/in holds .d.csv.swp, .git/, _SUCCESS"),
        ("in/dee*", "check the pattern: the folder TMP/in holds"),
        ("a.csv/*", "check the path: the folder TMP/a.csv does not exist"),
        ("none/%Y-%m/", "check the path: the folder TMP/none does not exist"),
        ("empty/*", "check the path: the folder TMP/empty is empty"),
    ],
)
def test_what_is_missing_is_told_with_what_there_is(tmp_path: Path, pattern: str, hint: str) -> None:
    lay(tmp_path, *TREE)
    found, told = look(tmp_path, "a.csv", pattern)
    assert found == ["a.csv"]
    (missing,) = told.missing
    assert missing.pattern.rstrip("/") == str(tmp_path / pattern)
    assert missing.hint.replace(str(tmp_path), "TMP").startswith(hint)
    assert not missing.unreadable


def test_a_second_entry_for_the_same_files_is_not_missing(tmp_path: Path) -> None:
    lay(tmp_path, "a.csv")
    assert look(tmp_path, "a.csv", "*.csv")[1].missing == ()


def test_links_do_not_lead_in_circles(tmp_path: Path) -> None:
    """A link to a file is that file, one to a folder is followed where it is named."""
    lay(tmp_path, "in/a.csv", "b.csv")
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    (tmp_path / "in" / "b.csv").symlink_to(tmp_path / "b.csv")
    (tmp_path / "in" / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "in" / "self").symlink_to("self")
    (tmp_path / "out").symlink_to("in")
    for pattern in ("in", "in/**/*.csv"):
        found, told = look(tmp_path, pattern)
        assert (found, told.missing) == (["in/a.csv", "in/b.csv"], ())
    assert look(tmp_path, "out")[0] == look(tmp_path, "ou*/*.csv")[0] == ["out/a.csv", "out/b.csv"]


def test_only_files_are_data(tmp_path: Path) -> None:
    """A pipe in a folder would have a run wait for ever."""
    lay(tmp_path, "in/a.csv")
    os.mkfifo(tmp_path / "in" / "pipe")
    assert look(tmp_path, "in")[0] == ["in/a.csv"]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9-2024-01-31.csv")
    (tmp_path / name).touch()
    for pattern in (name, "caf*", "", "caf?-%Y-%m-%d.csv"):
        assert look(tmp_path, pattern)[0] == [name]
    (missing,) = look(tmp_path, "dog*")[1].missing
    assert "holds caf\\xe9-2024-01-31.csv" in missing.hint


@pytest.mark.parametrize("pattern", ["", "**/*.csv", "*/b.csv", "shut/b.csv", "shut/*", "shut"])
def test_a_folder_that_is_shut_is_told(pattern: str) -> None:
    with refusable() as folder:
        lay(folder, "a.csv", "shut/b.csv")
        (folder / "shut").chmod(0)
        found, told = look(folder, pattern)
        (folder / "shut").chmod(0o700)
    assert found == (["a.csv"] if pattern in ("", "**/*.csv") else [])
    (missing,) = told.missing
    assert missing.unreadable
    assert missing.hint.endswith("cannot be read: Permission denied")


# Partitions by date

DATED = (
    *("2023/12/31/a.csv", "2024/01/01/a.csv", "2024/01/31/a.csv", "2024/02/30/no.csv", "2024/1/1/no.csv"),
    *("dt=2024-01-30/b.csv", "dt=2024-01-31/deep/b.csv", "dt=2024-01-31/_SUCCESS", "dt=none/no.csv"),
    *("e-20240131.csv", "e-20240131-1.csv", "e-20240231.csv", "e-2024013.csv", "h/31.01.2024T05"),
    *("h/31.01.2024T24", "twice/2024/2024-01.csv", "twice/2024/2023-12.csv", "100%/2024.csv"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("%Y/%m/%d/*.csv", ["2023/12/31/a.csv", "2024/01/01/a.csv", "2024/01/31/a.csv"]),
        ("%Y/%m/%d", ["2023/12/31/a.csv", "2024/01/01/a.csv", "2024/01/31/a.csv"]),
        ("2024/%m/%d/*.csv", "%m is not a date without %Y"),
        ("%Y/01/*/*.csv", ["2024/01/01/a.csv", "2024/01/31/a.csv"]),
        ("%Y/**/a.csv", ["2023/12/31/a.csv", "2024/01/01/a.csv", "2024/01/31/a.csv"]),
        ("dt=%Y-%m-%d/", ["dt=2024-01-30/b.csv", "dt=2024-01-31/deep/b.csv"]),
        ("dt=%Y-%m-%d/*.csv", ["dt=2024-01-30/b.csv"]),
        ("e-%Y%m%d.csv", ["e-20240131.csv"]),
        ("e-%Y%m%d*.csv", ["e-20240131-1.csv", "e-20240131.csv"]),
        ("*-%Y%m%d*", ["e-20240131-1.csv", "e-20240131.csv"]),
        ("h/%d.%m.%YT%H", ["h/31.01.2024T05"]),
        ("twice/%Y/%Y-%m.csv", ["twice/2024/2024-01.csv"]),
        ("100%%/%Y.csv", ["100%/2024.csv"]),
        ("%Y/%d.csv", "%d is not a date without %m"),
        ("%Y-%m/%H.csv", "%H is not a date without %d"),
        ("%y.csv", "%y is not a directive"),
        ("200%/*.csv", "% is not a directive"),
        ("200%", "% is not a directive"),
    ],
)
def test_dates_in_paths(tmp_path: Path, pattern: str, files: list[str] | str) -> None:
    """Only those that are one, and the same wherever they stand."""
    lay(tmp_path, *DATED)
    if isinstance(files, str):
        with pytest.raises(UsageError) as raised:
            look(tmp_path, pattern)
        assert files in str(raised.value)
        assert "%Y" in raised.value.hint
        return
    found, told = look(tmp_path, pattern)
    assert (found, told.missing, told.outside) == (files, (), 0)


@pytest.mark.parametrize(
    ("pattern", "since", "until", "files", "outside"),
    [
        ("%Y/%m/%d/*.csv", "2024-01-03", "", ["2024/01/01/a.csv", "2024/01/31/a.csv"], 1),
        ("%Y/%m/%d/*.csv", "2024-01-03T00:00:01", "", ["2024/01/31/a.csv"], 2),
        ("%Y/%m/%d/*.csv", "", "2023-12-30T23:59:59", ["2023/12/31/a.csv"], 1),
        ("%Y/%m/%d/*.csv", "2030-01-01", "", [], 2),
        ("dt=%Y-%m-%d/", "", "2024-01-29", ["dt=2024-01-30/b.csv"], 1),
        ("e-%Y%m%d*.csv", "", "2024-01-29T12:00", [], 2),
        ("h/%d.%m.%YT%H", "2024-02-01T06:00:01", "", [], 1),
        ("h/%d.%m.%YT%H", "2024-02-01T06:00:00", "", ["h/31.01.2024T05"], 0),
        ("e-*1.csv", "2030-01-01", "", ["e-20240131-1.csv", "e-20240131.csv", "e-20240231.csv"], 0),
    ],
)  # fmt: skip
def test_what_is_of_another_time_is_left_out(
    tmp_path: Path, pattern: str, since: str, until: str, files: list[str], outside: int
) -> None:
    """More than a day off, as folders or one by one; that is not missing."""
    lay(tmp_path, *DATED)
    found, told = look(tmp_path, pattern, since=since, until=until)
    assert sorted(found) == sorted(files)
    assert (told.outside, told.missing) == (outside, ())


def test_years_of_another_time_are_not_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path, *DATED)
    scandir, seen = os.scandir, []
    monkeypatch.setattr(os, "scandir", lambda folder: (seen.append(folder), scandir(folder))[1])
    look(tmp_path, "%Y/%m/%d/*.csv", since="2024-01-20")
    assert [os.path.relpath(folder, tmp_path) for folder in seen if "2023" in folder] == []
    assert not any("01/01" in folder for folder in seen)


def test_a_file_that_another_entry_names_is_not_outside(tmp_path: Path) -> None:
    lay(tmp_path, "2020.csv", "2024.csv")
    found, told = look(tmp_path, "%Y.csv", "2020.csv", since="2024-01-01")
    assert (found, told.outside) == (["2024.csv", "2020.csv"], 0)


@pytest.mark.parametrize(
    ("stamp", "zone", "begin", "end"),
    [
        ("2024", "UTC", "2024-01-01", "2025-01-01"),
        ("2024 02", "UTC", "2024-02-01", "2024-03-01"),
        ("2024 03 31", "Europe/Berlin", "2024-03-30T23:00", "2024-03-31T22:00"),
        ("2024 10 27", "Europe/Berlin", "2024-10-26T22:00", "2024-10-27T23:00"),
        ("2024 10 27 01", "Europe/Berlin", "2024-10-26T23:00", "2024-10-27T00:00"),
        ("2024 10 27 02", "Europe/Berlin", "2024-10-27T00:00", "2024-10-27T02:00"),
        ("2024 10 27 03", "Europe/Berlin", "2024-10-27T02:00", "2024-10-27T03:00"),
        ("2018 11 04", "America/Sao_Paulo", "2018-11-04T03:00", "2018-11-05T02:00"),
    ],
)
def test_periods(stamp: str, zone: str, begin: str, end: str) -> None:
    """A day has 23, 24 or 25 hours, and an hour may come twice."""
    period = period_of(dict(zip(KNOWN, stamp.split(), strict=False)), ZoneInfo(zone))
    assert period == (at(begin), at(end))


ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia", "America/Havana"]
FORMS = ["%Y", "%Y%m", "x-%Y-%m-%d.csv", "%d.%m.%Y*", "%Y/%m/%d", "*%H/%Y%m%d", "%Y/**/%Y%m%dT%H", "100%%%Y"]
MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.just(UTC))


@given(MOMENTS, st.sampled_from(ZONES), st.sampled_from(FORMS))
@example(datetime(9999, 12, 28, tzinfo=UTC), "UTC", "%Y%m")
@example(datetime(2011, 12, 31, 9, tzinfo=UTC), "Pacific/Apia", "%Y/%m/%d")
def test_a_date_that_was_written_is_read(moment: datetime, zone: str, form: str) -> None:
    """The path that a moment is written to matches, and the moment is in its period."""
    local = moment.astimezone(ZoneInfo(zone))
    text = form.replace("**", "a").replace("*", "log").replace("%Y", f"{local.year:04}")
    path = local.strftime(text)
    stamp, names = {}, path.split("/")
    steps = [step for step in parse_pattern(form)[1] if not step.is_deep]
    for step, name in zip(steps, [name for name in names if name != "a"], strict=True):
        read = step.match(name, stamp)
        assert read is not None, (path, step)
        stamp = read
    period = period_of(stamp, ZoneInfo(zone))
    assert period is not None
    nanoseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert period.begin <= nanoseconds < period.end


@given(st.text(st.sampled_from("aY%md/*[]!?.-0123456789"), max_size=12))
def test_any_text_is_a_pattern_or_a_wrong_one(text: str) -> None:
    """Nothing else is raised, and no name makes it stumble."""
    try:
        _, steps = parse_pattern(text)
    except UsageError:
        assert "%" in text
        return
    assert steps
    for step in steps:
        if step.name is not None:
            step.match("a2024", {})


# Where entries are, seen from here


@pytest.mark.parametrize(
    ("folder", "entry", "path"),
    [
        ("", "a.csv", "a.csv"),
        ("", "-", "./-"),
        (".", "logs/", "logs/"),
        ("etc", "logs/%Y/*", "etc/logs/%Y/*"),
        ("etc", "/var/log/*", "/var/log/*"),
        ("etc", "../a", "etc/../a"),
        ("etc", "~/logs/", "/home/ada/logs/"),
        ("100%", "~/a*", "/home/ada/a*"),
        ("etc", "~nobody-of-this-name/a", "etc/~nobody-of-this-name/a"),
        ("etc", "a~", "etc/a~"),
        ("100%", "*.csv", "100%%/*.csv"),
        ("[old]", "%Y", "[[]old]/%Y"),
    ],
)
def test_entries_are_seen_from_km_toml(
    monkeypatch: pytest.MonkeyPatch, folder: str, entry: str, path: str
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert pattern_from_here(Path(folder), entry) == path


def test_a_folder_may_be_called_as_a_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "100% [of] *"
    lay(folder, "a.csv", "b.csv", "in/2024.csv", "*.tsv", "b.tsv")
    for entry, files in {"a.csv": ["a.csv"], "*.csv": ["a.csv", "b.csv"], "in": ["in/2024.csv"],
                         "in/%Y.csv": ["in/2024.csv"], "*.tsv": ["*.tsv"]}.items():  # fmt: skip
        found = find_files([pattern_from_here(folder, entry)], None, None, "")
        assert found.files == tuple(str(folder / file) for file in files)
