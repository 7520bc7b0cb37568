"""`km-cli backfill`: new rows are sent once, whatever happens to the files between two runs."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.clockwork import Clockwork
from tests.support.command import KEY, Command
from tests.support.nightly import BEGIN, DAY, Logs, Nights, aged, arrived, arrived_once, line
from tests.support.reading import raw_of
from tests.support.tracker import OK, Hit, Reaction, Tracker, refuse, slow, too_many


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path / "logs")


@pytest.fixture
def nights(importer: Command, logs: Logs) -> Nights:
    return Nights(importer, logs)


def check(tracker: Tracker, logs: Logs) -> None:
    """Every row that was written arrived, each call once."""
    assert arrived(tracker) == logs.calls()


# Silent when all is well


def test_it_is_silent_when_all_is_well(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    logs.append("app.log", logs.lines(20))
    result = nights().ended(0)
    assert (result.out, result.err) == ("", "")
    check(tracker, logs)


def test_nothing_to_read_prints_nothing(nights: Nights) -> None:
    nights.configure('files = ["logs/"]')
    result = nights().ended(0)
    assert (result.out, result.err) == ("", "")


def test_a_finding_is_for_the_log_and_json_only(nights: Nights, logs: Logs, tmp_path: Path) -> None:
    """A name with a comma (D4): an import prints it, a backfill only with -v or --json."""
    row = {"user": "u", "account": "a", "event": "Up, and away", "timestamp": 1_700_000_000}
    logs.append("app.log", json.dumps(row).encode() + b"\n")
    result = nights("--log", tmp_path / "log").ended(0)
    assert (result.out, result.err) == ("", "")
    written = [json.loads(text) for text in (tmp_path / "log").read_text().splitlines()]
    (found,) = [entry for entry in written if entry["what"] == "finding" and entry["code"] == "D4"]
    assert (found["file"], found["line"]) == (str(logs.path("app.log")), 1)


# Growing, rotated, late, overlapping, exported anew


def test_a_growing_file(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    for _ in range(3):
        logs.append("app.log", logs.lines(10))
        nights().ended(0)
        check(tracker, logs)


def test_rotation_by_renaming(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    """Rows added just before the rotation are found under the new name, and in the compressed file."""
    logs.append("app.log", logs.lines(10))
    nights().ended(0)
    logs.append("app.log", logs.lines(5))
    logs.path("app.log").rename(logs.path("app.log.1"))
    logs.append("app.log", logs.lines(5))
    nights().ended(0)
    check(tracker, logs)
    logs.path("app.log.2.gz").write_bytes(gzip.compress(logs.path("app.log.1").read_bytes()))
    logs.path("app.log").rename(logs.path("app.log.1"))
    nights().ended(0)
    check(tracker, logs)


def test_rotation_by_copying_and_truncating(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    logs.append("app.log", logs.lines(10))
    nights().ended(0)
    logs.append("app.log", logs.lines(5))
    shutil.copy(logs.path("app.log"), logs.path("app.log.1"))
    os.truncate(logs.path("app.log"), 0)
    logs.append("app.log", logs.lines(12))
    nights().ended(0)
    check(tracker, logs)


def test_a_copy_that_is_not_whole_yet(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    """A run starts while logrotate is copying, in the middle of a line."""
    logs.append("app.log", logs.lines(10))
    nights().ended(0)
    whole = logs.path("app.log").read_bytes()
    logs.path("app.log.1").write_bytes(whole[:-20])
    assert nights.files()["held"] == 1
    logs.path("app.log.1").write_bytes(whole)
    nights().ended(0)
    check(tracker, logs)


LONG = 2200
"""Rows of a log that is not read at once: it has more than the 2,000 calls that may be under way."""


@pytest.fixture
def reading(nights: Nights, logs: Logs, tracker: Tracker) -> Reading:
    return Reading(nights, logs, tracker)


class Reading:
    """A long log of which `n` is sent; the file changes in the middle of the next run."""

    def __init__(self, nights: Nights, logs: Logs, tracker: Tracker) -> None:
        nights.configure('files = ["logs/*"]', more='[columns]\nproperties = ["n"]')
        self.nights, self.logs, self.tracker = nights, logs, tracker
        self.log = logs.path("app.csv")
        self.log.write_bytes(self.rows(LONG))

    def rows(self, count: int) -> bytes:
        """The next rows, each of 6 KB."""
        first, self.logs.rows = self.logs.rows, self.logs.rows + count
        head, *rows = self.logs.csv(range(first, self.logs.rows)).splitlines()
        return head + b",pad\n" + b"".join(row + b"," + b"y" * 6000 + b"\n" for row in rows)

    def goes_wrong(self, met: Callable[[], None]) -> None:
        def behave(_hit: Hit, number: int) -> Reaction:
            if number == 0:
                met()
            return OK

        self.tracker.behave = behave
        assert self.nights.files() == {"held": 1}


def test_an_old_log_that_is_copied_and_truncated_while_it_is_read(reading: Reading) -> None:
    """The file had not been touched for days; now it ends in the middle of a row."""
    aged(reading.log, 2 * DAY)

    def rotate() -> None:
        shutil.copy2(reading.log, reading.logs.path("app.csv.1"))
        os.truncate(reading.log, 0)

    reading.goes_wrong(rotate)
    assert 0 < len(reading.tracker.hits) < 2 * LONG
    assert reading.nights.files() == {"read": 2}
    check(reading.tracker, reading.logs)


def test_a_log_that_is_truncated_and_grows_beyond_where_it_is_read(reading: Reading) -> None:
    """The new content must not continue the old line: that would make up a person who is in no log."""

    def rotate() -> None:
        shutil.copy2(reading.log, reading.logs.path("app.csv.1"))
        os.truncate(reading.log, 0)
        reading.logs.append("app.csv", reading.rows(LONG + 10))

    reading.goes_wrong(rotate)
    assert 0 < len(reading.tracker.hits) < 2 * LONG
    assert reading.nights.files() == {"read": 2}
    check(reading.tracker, reading.logs)


def test_an_old_log_to_which_half_a_line_is_added_while_it_is_read(reading: Reading) -> None:
    """The file was complete when the run began; the addition may still grow."""
    aged(reading.log, 2 * DAY)
    begun, rest = b"", b""

    def add() -> None:
        nonlocal begun, rest
        row = reading.rows(1).splitlines(keepends=True)[1]
        begun, rest = row[:-3000], row[-3000:]
        reading.logs.append("app.csv", begun)

    reading.goes_wrong(add)
    assert len(reading.tracker.hits) == 2 * LONG
    reading.logs.append("app.csv", rest)
    assert reading.nights.files() == {"read": 1}
    check(reading.tracker, reading.logs)


def test_what_is_written_anew_before_it_is_gone_on_with(tmp_path: Path) -> None:
    """The file changes just after its hash was found to be the same."""
    from km_cli.errors import Rewritten
    from km_cli.inputs import Place, Source, open_reader

    path = tmp_path / "app.log"
    path.write_bytes(line(0) + line(1))
    place = Place(len(line(0)), 2, hashlib.sha256(line(0)).digest())
    with closing(open_reader(Source(str(path)))) as opened:
        assert list(map(raw_of, opened.reader(place).items())) == [line(1)]
        path.write_bytes(line(0) + line(1) + line(2))
        assert list(map(raw_of, opened.reader(place).items())) == [line(1), line(2)]
        path.write_bytes(line(3) + line(4) + line(5) + line(6))
        with pytest.raises(Rewritten):
            opened.reader(place)


def test_zero_bytes_before_a_log_are_named(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    """copytruncate with a writer that does not append: it continues at its old position."""
    logs.append("app.log", b"\0" * 500 + logs.lines(3))
    result = nights().ended(2)
    assert "zero bytes" in result.err
    assert "tr -d '\\000'" in result.err
    assert not tracker.seen


@pytest.mark.parametrize("command", ["backfill", "import"])
def test_rejects_of_a_killed_run_are_reported_by_the_next(
    importer: Command, nights: Nights, logs: Logs, tracker: Tracker, command: str
) -> None:
    """The cursor is behind the rejected rows, so a later run would not report them."""
    logs.append("app.log", b"{}\n" * 3 + logs.lines(60))
    aged(logs.path("app.log"))
    words = nights.words if command == "backfill" else ("import", logs.path("app.log"))
    tracker.latency = 3.0
    process = importer.start(*words, "--concurrency", "1")
    while not tracker.seen:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    tracker.latency = 0.0
    result = importer(*words, "--json").ended(65)
    (rejects,) = importer.state.glob("rejects-*.jsonl")
    assert f"3 rows rejected by a run that was cut off, in {rejects}" in result.err
    assert result.summary["rows"]["rejected"] == 0
    assert importer(*words).ended(0).err == ""
    assert arrived_once(tracker) == logs.calls()


def killed(process: subprocess.Popen[str], tracker: Tracker, calls: int) -> None:
    """Kill a run when so many calls have come in."""
    while len(tracker.seen) < calls:
        time.sleep(0.01)
    process.kill()
    process.communicate()


def test_a_refusal_of_a_killed_run_is_reported_by_the_next(
    importer: Command, nights: Nights, logs: Logs, tracker: Tracker
) -> None:
    """The refusal arrives long after the batch of the row is durable."""
    logs.append("app.log", logs.lines(30))
    tracker.behave = lambda _hit, number: refuse(400) if number == 0 else slow(0.2)
    killed(importer.start(*nights.words, "--concurrency", "1"), tracker, 8)
    tracker.behave = None
    result = nights("--json").ended(65)
    (rejects,) = importer.state.glob("rejects-*.jsonl")
    assert f"1 row rejected by a run that was cut off, in {rejects}" in result.err
    assert result.summary["problems"] == []
    nights().ended(0)
    assert sum((logs.calls() - arrived_once(tracker)).values()) == 1


def test_files_that_a_killed_run_had_read_are_not_opened_again(
    importer: Command, nights: Nights, logs: Logs, tracker: Tracker
) -> None:
    """The row had to wait in the second run: more calls were under way than are allowed."""
    logs.append("a.log", logs.lines(5))
    logs.append("b.log", logs.lines(1500))
    for name in ("a.log", "b.log"):
        aged(logs.path(name))
    tracker.behave = lambda _hit, _number: slow(0.2)
    process = importer.start(*nights.words, "--concurrency", "1", "--batch-size", "20")
    killed(process, tracker, 12)  # two calls of b.log: its first batch, which notes a.log as read, is durable
    tracker.behave = None
    assert nights.files() == {"read": 1, "unchanged": 1}
    assert arrived_once(tracker) == logs.calls()


def test_a_last_reject_that_was_corrected(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    """Neither the row in it nor its line needs an end: it is whole, or it is not written yet."""
    rows = b"user,account,event,timestamp,n\n" + b"".join(
        f"u{n},a{n},E,someday,{n}\n".encode() for n in range(3)
    )
    log = logs.path("app.csv")
    log.write_bytes(rows[:-1])
    aged(log, 2 * DAY)
    nights("--rejects", logs.path("r.jsonl")).ended(65)
    log.unlink()
    corrected = logs.path("r.jsonl").read_bytes().replace(b"someday", b"%d" % BEGIN)
    logs.path("r.jsonl").unlink()
    logs.path("mended.jsonl").write_bytes(corrected[:-9])
    assert nights.files() == {"held": 1}
    assert sorted(call["n"] for call in tracker.calls()) == ["0", "0", "1", "1"]
    logs.path("mended.jsonl").write_bytes(corrected.rstrip())  # as editors leave it
    assert nights.files() == {"read": 1}
    assert sorted(call["n"] for call in tracker.calls()) == ["0", "0", "1", "1", "2", "2"]


def test_late_and_overlapping_files_and_those_exported_anew(
    nights: Nights, logs: Logs, tracker: Tracker
) -> None:
    logs.path("b.csv").write_bytes(logs.csv(range(10, 20)))
    nights().ended(0)
    logs.path("a.csv").write_bytes(logs.csv(range(12)))
    logs.path("b.csv").write_bytes(logs.csv(range(25)))
    logs.rows = 25
    nights().ended(0)
    check(tracker, logs)


def test_a_file_that_is_moved_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    """An open file stays the same, even if its name now leads to another."""
    from km_cli.inputs import Place, Source, open_reader

    path = tmp_path / "app.log"
    path.write_bytes(line(0) + line(1))
    opened = open_reader(Source(str(path)))
    path.rename(tmp_path / "app.log.1")
    path.write_bytes(line(2) + line(3))
    rows = list(opened.reader(Place(len(line(0)), 2)).items())
    opened.close()
    assert list(map(raw_of, rows)) == [line(1)]


# A file that was not touched


def swapped(path: Path, old: bytes, new: bytes) -> None:
    """Change bytes in place, so that device, inode, size and time stay the same."""
    times = os.stat(path)
    data = path.read_bytes()
    assert data.count(old) == 1
    assert len(old) == len(new)
    with path.open("r+b") as file:
        file.write(data.replace(old, new))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_file_that_was_not_touched_is_not_opened(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    """If the file were opened, the change would be found."""
    logs.append("app.log", logs.lines(3))
    aged(logs.path("app.log"))
    assert nights.files() == {"read": 1}
    swapped(logs.path("app.log"), b'"n": 2', b'"n": 9')
    assert nights.files() == {"unchanged": 1}
    logs.path("app.log").rename(logs.path("other.log"))
    assert nights.files() == {"unchanged": 1}
    swapped(logs.path("other.log"), b'"n": 9', b'"n": 2')
    os.utime(logs.path("other.log"))
    assert nights.files() == {"read": 1}
    check(tracker, logs)


def test_one_touched_a_moment_ago_is_looked_at_again(nights: Nights, logs: Logs) -> None:
    """A second change in the same tick of a clock would leave no trace."""
    logs.append("app.log", logs.lines(3))
    aged(logs.path("app.log"), -60)  # so that it is not a matter of how fast this machine is
    assert nights.files() == {"read": 1}
    assert nights.files() == {"read": 1}


def test_other_personas_have_it_read_again(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    logs.append("app.log", logs.lines(3))
    aged(logs.path("app.log"))
    nights().ended(0)
    nights.configure(
        'files = ["logs/*"]',
        more='[[personas]]\nname = "user"\n[[personas]]\nname = "account"\n'
        '[[personas]]\nname = "team"\ncolumn = "n"\nprefix = "team "\n',
    )
    assert nights.files() == {"read": 1}
    assert len(tracker.hits) == 9
    assert nights.files() == {"unchanged": 1}


def test_a_file_with_a_rejected_row_is_done_too(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    """The row is in the rejects file; it is not reported again every night."""
    logs.append("app.log", logs.lines(3) + b"{}\n")
    aged(logs.path("app.log"))
    assert nights.files(code=65) == {"read": 1}
    assert nights.files() == {"unchanged": 1}
    check(tracker, logs)


# Held lines


def held(nights: Nights) -> tuple[int, int]:
    """Run; return how many rows and files are held."""
    summary = nights("--json").ended(0).summary
    return summary["rows"]["held"], summary["files"]["held"]


def test_a_last_line_is_held_until_it_ends(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    whole = logs.lines(4)
    logs.append("app.log", whole[:-15])
    assert held(nights) == (1, 1)
    assert arrived(tracker) == logs.calls(range(3))
    logs.append("app.log", whole[-15:-1])
    assert held(nights) == (1, 1)
    logs.append("app.log", b"\n")
    assert held(nights) == (0, 0)
    check(tracker, logs)


def test_a_last_line_is_not_held_for_ever(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    """A file that was not touched for 24 hours has ended."""
    logs.append("app.log", logs.lines(3).rstrip())
    aged(logs.path("app.log"), DAY - 60)
    assert held(nights) == (1, 1)
    aged(logs.path("app.log"), 120)
    assert held(nights) == (0, 0)
    check(tracker, logs)
    assert nights.files() == {"unchanged": 1}


def test_a_last_line_of_what_is_packed_is_not_held(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    logs.path("app.log.gz").write_bytes(gzip.compress(logs.lines(3).rstrip()))
    assert held(nights) == (0, 0)
    check(tracker, logs)


@pytest.mark.parametrize("cut", [1, 10, 31, 34, 40, 75])
def test_a_csv_file_that_is_still_being_written(
    nights: Nights, logs: Logs, tracker: Tracker, cut: int
) -> None:
    """Cut in its header, in a row and within quotation marks."""
    whole = b'user,account,event,timestamp,n\n"u0",a0,"E",1730000000,"0"\nu1,a1,E,1730000060,1\n'
    logs.rows = 2
    logs.path("app.csv").write_bytes(whole[:cut])
    nights().ended(0)
    logs.path("app.csv").write_bytes(whole)
    nights().ended(0)
    check(tracker, logs)


def test_an_open_quotation_mark_is_held_then_reported(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    logs.path("app.csv").write_bytes(b'user,account,event,timestamp,n\nu0,a0,E,1730000000,"0')
    assert held(nights) == (1, 1)
    aged(logs.path("app.csv"), DAY + 60)
    assert "line 2: a quotation mark is opened here" in nights().ended(2).err
    logs.rows = 1
    logs.path("app.csv").write_bytes(logs.csv(range(1)))
    nights().ended(0)
    check(tracker, logs)


def test_half_a_line_that_is_packed_right_now_is_held(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    """The flushed part of the gzip does not contain a whole line yet."""
    packer = zlib.compressobj(wbits=31)
    line = logs.lines(1)
    begun = packer.compress(line[:20]) + packer.flush(zlib.Z_SYNC_FLUSH)
    logs.path("app.log.gz").write_bytes(begun)
    assert nights.files() == {"held": 1}
    logs.path("app.log.gz").write_bytes(begun + packer.compress(line[20:]) + packer.flush())
    assert nights.files() == {"read": 1}
    check(tracker, logs)


def test_what_is_packed_right_now_is_held(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    """A truncated gzip is an error only once it is no longer written."""
    packed = gzip.compress(logs.lines(300), mtime=0)
    logs.path("app.log.gz").write_bytes(packed[: len(packed) // 2])
    assert nights.files() == {"held": 1}
    aged(logs.path("app.log.gz"), 2 * 3600)
    assert "cut short" in nights().ended(74).err
    logs.path("app.log.gz").write_bytes(packed)
    assert nights.files() == {"read": 1}
    check(tracker, logs)


# What is wrong with one file holds up no other


def test_a_damaged_file_holds_up_no_other(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    logs.path("a.log.gz").write_bytes(gzip.compress(logs.lines(3))[:-4])
    aged(logs.path("a.log.gz"), 2 * 3600)
    logs.path("b.csv").write_bytes(b"one\ntwo\n")
    logs.append("c.log", logs.lines(3))
    result = nights("--json").ended(74)
    assert result.summary["files"] | {"read": 1, "failed": 2} == result.summary["files"]
    assert [problem["exit"] for problem in result.summary["problems"]] == [74, 2]
    assert "a.log.gz" in result.err
    assert "only one column was found" in result.err
    check(tracker, logs)


def test_a_missing_source_is_an_error_and_the_others_are_read(
    nights: Nights, logs: Logs, tracker: Tracker
) -> None:
    logs.append("app.log", logs.lines(3))
    nights.configure('files = ["nowhere/*.log"]', 'files = ["logs/*"]')
    result = nights().ended(2)
    assert "'s1': there is nothing at" in result.err
    assert "optional = true" in result.err
    check(tracker, logs)
    nights.configure('files = ["nowhere/*.log"]\noptional = true', 'files = ["logs/*"]')
    assert nights().ended(0).err == ""


def test_many_bad_files_are_counted(nights: Nights, logs: Logs) -> None:
    for number in range(30):
        logs.path(f"{number}.csv").write_bytes(b"one\ntwo\n")
    result = nights("--json").ended(2)
    assert result.err.count("only one column") == 10
    assert "20 more problems" in result.err
    assert len(result.summary["problems"]) == 30


def test_one_that_the_system_refuses_holds_up_no_other(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    """As on a broken disk: the file opens and cannot be read."""
    logs.append("app.log", logs.lines(3))
    nights.configure('files = ["/proc/self/mem"]', 'files = ["logs/*"]')
    assert "/proc/self/mem: cannot be read" in nights().ended(74).err
    check(tracker, logs)


def test_a_broken_link_is_reported_even_if_the_source_is_optional(nights: Nights, logs: Logs) -> None:
    logs.path("app.log").symlink_to("app.log")
    nights.configure('files = ["logs/app.log"]\noptional = true')
    assert "too many levels" in nights().ended(2).err.lower()


def test_a_link_to_nothing_is_missing(nights: Nights, logs: Logs) -> None:
    logs.path("app.log").symlink_to("gone.log")
    nights.configure('files = ["logs/app.log"]')
    assert "a link to gone.log, which does not exist" in nights().ended(2).err


# What runs write themselves


def test_rejects_and_log_among_the_sources_are_not_read(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    """Otherwise rejected rows would be read and rejected again every night."""
    nights.configure('files = ["logs/"]')
    logs.append("app.log", logs.lines(1000) + b"{}\n" * 700)
    rejects = logs.path("rejects.jsonl")
    words = ("--rejects", rejects, "--log", logs.path("km.log"), "--metrics", logs.path("km.prom"))
    nights(*words).ended(65)
    size = rejects.stat().st_size
    for _ in range(2):
        nights(*words).ended(0)
    assert rejects.stat().st_size == size
    check(tracker, logs)
    nights.configure(f'files = ["{rejects}"]')
    assert "is not a log: it is the rejects file" in nights(*words).ended(2).err


def test_rejects_beside_the_ledger_are_not_read(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    nights.configure('files = ["logs/"]')
    logs.append("app.log", logs.lines(30) + b"{}\n" * 7)
    nights("--ledger", logs.path("ledger.db")).ended(65)
    nights("--ledger", logs.path("ledger.db")).ended(0)
    check(tracker, logs)


# Parts


def test_a_source_has_its_own_part(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    """Since and until of a source; a flag overrides them."""
    logs.append("app.log", logs.lines(120))
    nights.configure('files = ["logs/*"]\nsince = "2024-10-27T04:00"\nuntil = "2024-10-27T05:00"')
    nights().ended(0)
    assert arrived(tracker) == logs.calls(range(27, 87))
    nights("--since", "2024-10-27T03:50").ended(0)
    assert arrived(tracker) == logs.calls(range(17, 87))
    nights("--since", "2024-01-01", "--until", "2025-01-01").ended(0)
    check(tracker, logs)


def test_only_the_sources_that_are_named(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    nights.configure('files = ["logs/a.log"]', 'files = ["logs/b.log"]')
    logs.append("a.log", logs.lines(3))
    logs.append("b.log", logs.lines(3))
    nights("s2").ended(0)
    assert arrived(tracker) == logs.calls(range(3, 6))
    assert "did you mean 's2'" in nights("s22").ended(2).err


def test_a_dry_run_without_files_is_of_what_a_backfill_would_read(
    nights: Nights, logs: Logs, importer: Command, tracker: Tracker
) -> None:
    nights.configure('files = ["logs/a.log"]\nuntil = "2024-10-27T03:35:00"', 'files = ["logs/b.log"]')
    logs.append("a.log", logs.lines(3) + b'{"user": "u')
    summary = importer("dry-run", "--config", nights.config, "--json").ended(2).summary
    assert (summary["rows"]["sent"], summary["rows"]["held"], summary["dry_run"]) == (2, 1, True)
    assert not tracker.seen
    assert "FILE... is missing" in importer("dry-run").ended(2).err


def test_files_that_configure_a_run_are_not_read_as_logs(
    nights: Nights, logs: Logs, tracker: Tracker, tmp_path: Path
) -> None:
    """Key file, members' file and km.toml may be beside the logs: none is read, and no error shows a key."""
    key = "0123456789abcdef" * 2
    logs.path("km.key").write_text(key + "\n")
    logs.path("km.key").chmod(0o600)
    logs.path("users.csv").write_text("email,company\nu0,a0\n")
    nights.config = logs.path("km.toml")
    more = (
        '[sites.main]\nkey_file = "km.key"\n'
        '[members]\nfile = "users.csv"\nuser = "email"\naccount = "company"\n'
    )
    nights.configure('files = ["."]', more=more)
    logs.path("a.csv").write_bytes(logs.csv(range(1)))
    logs.rows = 1
    assert nights.files() == {"read": 1}
    check(tracker, logs)
    nights.configure('files = ["km.key"]', more=more)
    result = nights("--log", tmp_path / "log").ended(2)
    assert "km.key is not a log: it is a key file" in result.err
    assert key not in result.err + (tmp_path / "log").read_text()


def test_a_file_called_as_standard_input_is(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    nights.config = logs.path("km.toml")
    nights.configure('files = ["*"]')
    logs.append("-", logs.lines(2))
    logs.append("app.log", logs.lines(2))
    assert nights.files() == {"read": 2}
    check(tracker, logs)


def test_events_that_only_earlier_nights_had_are_no_finding(nights: Nights, logs: Logs) -> None:
    """The event may be in files that were not read tonight."""
    logs.append("a.log", logs.lines(3))
    aged(logs.path("a.log"))
    found = nights("--only", "E", "--only", "F", "--json").ended(0).summary["findings"]
    assert found["no-such-event"] == 1
    logs.append("b.log", logs.lines(3).replace(b'"E"', b'"F"'))
    assert "no-such-event" not in nights("--only", "E", "--only", "F", "--json").ended(0).summary["findings"]


def test_limit_is_for_all_sources(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    nights.configure('files = ["logs/a.log"]', 'files = ["logs/b.log"]')
    logs.append("a.log", logs.lines(3))
    logs.append("b.log", logs.lines(3))
    assert nights.files("--limit", "4") == {"read": 1, "begun": 1}
    assert arrived(tracker) == logs.calls(range(4))
    nights().ended(0)
    check(tracker, logs)


def test_strict_sends_nothing_if_anything_is_bad(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    logs.append("a.log", logs.lines(3) + b"{}\n")
    assert f"the first in {logs.path('a.log')}, line 4" in nights("--strict").ended(65).err
    assert not tracker.seen
    nights().ended(65)
    check(tracker, logs)


# One at a time, so long and no longer


def busy(importer: Command, nights: Nights, tracker: Tracker) -> subprocess.Popen[str]:
    """Start a run that lasts until the tracker answers faster, and wait until it sends."""
    tracker.latency = 3.0
    process = importer.start(*nights.words, "--concurrency", "1")
    while not tracker.seen:
        time.sleep(0.01)
    return process


def test_two_at_once(importer: Command, nights: Nights, logs: Logs, tracker: Tracker) -> None:
    """The second ends with 75, or waits for the first."""
    logs.append("app.log", logs.lines(60))
    process = busy(importer, nights, tracker)
    assert f"process {process.pid}" in nights().ended(75).err
    waiting = importer.start(*nights.words, "--wait", "200")
    tracker.latency = 0.0
    assert waiting.communicate() == ("", "")
    process.communicate()
    assert waiting.returncode == 0
    assert process.returncode == 0
    check(tracker, logs)


def pairs(importer: Command, nights: Nights, logs: Logs, tracker: Tracker, count: int) -> None:
    """Start two runs at once, so many times; exactly one of each pair sends what is new."""
    for _ in range(count):
        logs.append("app.log", logs.lines(5))
        pair = [importer.start(*nights.words, "--json") for _ in range(2)]
        sent = []
        for process in pair:
            out, err = process.communicate()
            assert process.returncode == (0 if out else 75), err
            sent.append(json.loads(out)["calls"]["acknowledged"] if out else 0)
        assert sorted(sent) == [0, 10]
        check(tracker, logs)


def test_a_pair_started_at_once(importer: Command, nights: Nights, logs: Logs, tracker: Tracker) -> None:
    pairs(importer, nights, logs, tracker, 4)


@pytest.mark.slow
def test_twenty_pairs_started_at_once(
    importer: Command, nights: Nights, logs: Logs, tracker: Tracker
) -> None:
    pairs(importer, nights, logs, tracker, 20)


def test_it_ends_when_its_time_is_up(nights: Nights, logs: Logs, tracker: Tracker) -> None:
    """The run stops between two batches, and the next run continues there.

    Its calls take so long, from the hundredth on, that it cannot come to its end before.
    """
    logs.append("app.log", logs.lines(200))
    tracker.behave = lambda _hit, number: slow(0.5) if number >= 100 else OK
    for seconds in ("1", "30"):  # A busy machine may not come to send anything in so short a time.
        result = nights("--max-time", seconds, "--concurrency", "2", "--batch-size", "20").ended(75)
        assert f"the time is up (--max-time {seconds})" in result.err
        if tracker.hits:
            break
    assert 0 < len(tracker.hits) < 400
    tracker.behave = None
    nights("--max-time", "100").ended(0)
    check(tracker, logs)


@pytest.mark.parametrize("way", ["--max-time", "SIGTERM"])
def test_it_can_be_stopped_while_it_looks_strictly(
    importer: Command, nights: Nights, logs: Logs, tracker: Tracker, tmp_path: Path, way: str
) -> None:
    """The run stops before anything is sent, and the monitor gets a ping for its end."""
    logs.append("app.log", logs.lines(60_000))
    log, options = tmp_path / "log", ("--max-time", "0.5") if way == "--max-time" else ()
    process = importer.start(*nights.words, "--strict", "--log", log, *options)
    while way == "SIGTERM" and not (log.exists() and b"start" in log.read_bytes()):
        time.sleep(0.01)
    if way == "SIGTERM":
        process.terminate()
    code = 75 if way == "--max-time" else 143
    _, err = process.communicate()
    assert process.returncode == code, err
    assert not tracker.seen
    told = [json.loads(text) for text in log.read_text().splitlines()]
    assert (told[0]["what"], told[-1]["what"], told[-1]["exit"]) == ("start", "end", code)
    assert ("nothing was sent" in err) == (way == "--max-time")


# Requests to wait and outages, by a clock of their own

NOW = 1_790_000_000.0


@pytest.fixture
def clockwork(importer: Command, nights: Nights, logs: Logs) -> Iterator[Clockwork]:
    """Three rows to send, by one worker."""
    logs.append("app.log", logs.lines(3))
    aged(logs.path("app.log"), now=NOW)
    with Clockwork(importer, *nights.words[1:], "--concurrency", "1", "--attempts", "3", now=NOW) as running:
        yield running


@pytest.fixture
def briefly(importer: Command, nights: Nights, logs: Logs) -> Iterator[Clockwork]:
    """Two rows, and so few attempts that they are used up before probes wait for half a minute."""
    logs.append("app.log", logs.lines(2))
    aged(logs.path("app.log"), now=NOW)
    with Clockwork(importer, *nights.words[1:], "--concurrency", "1", "--attempts", "2", now=NOW) as running:
        yield running


def test_a_request_to_wait_outlives_the_run(clockwork: Clockwork, logs: Logs, tracker: Tracker) -> None:
    tracker.behave = lambda _hit, _number: too_many("3600")
    assert clockwork.run() == 75
    assert "asks to wait 3600 s" in clockwork.said
    asked = len(tracker.seen)
    tracker.behave = None
    clockwork.now = NOW + 3599
    assert clockwork.run() == 75
    assert "asked for no calls until 2026-09-21 15:13:20 UTC" in clockwork.said
    assert len(tracker.seen) == asked
    assert "6 calls" not in clockwork.said
    clockwork.now = NOW + 3601
    assert clockwork.run() == 0
    check(tracker, logs)


@pytest.mark.parametrize("asked", ["31536000", "9" * 14, "9" * 400])
def test_no_answer_pauses_a_destination_for_longer_than_a_day(
    clockwork: Clockwork, logs: Logs, tracker: Tracker, asked: str
) -> None:
    tracker.behave = lambda _hit, _number: too_many(asked)
    assert clockwork.run() == 75
    tracker.behave = None
    clockwork.now = NOW + DAY - 1
    assert clockwork.run() == 75
    clockwork.now = NOW + DAY + 1
    assert clockwork.run() == 0
    check(tracker, logs)


def test_a_clock_that_was_wrong_does_not_stop_us(clockwork: Clockwork, tracker: Tracker) -> None:
    tracker.behave = lambda _hit, _number: too_many("3600")
    clockwork.now = NOW + 3650 * DAY
    assert clockwork.run() == 75
    tracker.behave = None
    clockwork.now = NOW
    assert clockwork.run() == 0


def test_an_outage_outlives_the_run(clockwork: Clockwork, logs: Logs, tracker: Tracker) -> None:
    """The destination is left alone for half a minute, then for a minute; then a single call goes first."""
    tracker.stop()
    assert clockwork.run() == 69
    clockwork.now += 29
    assert clockwork.run() == 69
    assert "no calls are sent to the destination until" in clockwork.said
    assert f"{tracker.url.removeprefix('http://')} refuses connections" in clockwork.said
    clockwork.now += 2
    assert clockwork.run() == 69
    assert "still does not take calls" in clockwork.said
    tracker.start()
    clockwork.now += 59
    assert clockwork.run() == 69
    assert not tracker.seen
    clockwork.now += 2
    assert clockwork.run() == 0
    check(tracker, logs)


def test_one_that_answers_and_takes_nothing_is_left_alone_too(
    briefly: Clockwork, logs: Logs, tracker: Tracker
) -> None:
    tracker.behave = lambda _hit, _number: refuse(503)
    assert briefly.run() == 75
    asked = len(tracker.seen)
    assert asked == 8
    assert briefly.run() == 69
    assert "it acknowledged no call: HTTP 503 Service Unavailable" in briefly.said
    assert len(tracker.seen) == asked
    briefly.now += 31
    assert briefly.run() == 69
    assert len(tracker.seen) >= asked + 3
    tracker.behave = None
    briefly.now += 61
    assert briefly.run() == 0
    check(tracker, logs)


def test_a_call_that_is_never_taken_holds_up_no_other(
    clockwork: Clockwork, logs: Logs, tracker: Tracker
) -> None:
    """Promise 4 over many runs: one undeliverable call is no pause, even if there is nothing else to send."""
    tracker.behave = lambda hit, _number: refuse(500) if hit.params["n"] == "1" else OK
    for turn in range(6):
        assert clockwork.run() == 75
        clockwork.now += 400
        if turn % 2:
            logs.append("app.log", logs.lines(2))
    assert clockwork.run() == 75
    missing = logs.calls() - arrived(tracker)
    assert missing == logs.calls([1])
    tracker.behave = None
    clockwork.now += 400
    assert clockwork.run() == 0
    check(tracker, logs)


def test_an_outage_that_ends_behind_a_call_that_is_never_taken(
    briefly: Clockwork, logs: Logs, tracker: Tracker
) -> None:
    tracker.behave = lambda _hit, _number: refuse(503)
    assert briefly.run() == 75
    tracker.behave = lambda hit, _number: refuse(500) if hit.params["n"] == "0" else OK
    briefly.now += 31
    assert briefly.run() == 75
    assert logs.calls() - arrived(tracker) == logs.calls([0])


def test_last_nights_outage_is_forgotten(clockwork: Clockwork, tracker: Tracker) -> None:
    """A single failure tonight does not pause the destination."""
    tracker.stop()
    assert clockwork.run() == 69
    tracker.start()
    tracker.behave = lambda _hit, number: OK if number else refuse(503)
    clockwork.now += DAY
    assert clockwork.run() == 0


# What is told elsewhere


SECRET = "s3cr3t-value"


def told_secrets(logs: Logs) -> None:
    """Files and rows with mistakes whose messages quote the log."""
    row = {"user": "u", "account": "a", "event": "E", "timestamp": 1_700_000_000}
    bad = json.dumps({**row, "timestamp": SECRET, SECRET: SECRET}).encode() + b"\n"
    logs.append("a.log", bad * 20)
    logs.append("b.csv", f"user,{SECRET}@example.com,event\n".encode())
    logs.append("c.csv", f"203.0.113.9 GET /{SECRET}\n".encode() * 2)
    logs.append("d.csv", f"bob smith,{SECRET},gold plan\n".encode() * 2)
    logs.append("e.csv", f"user,event,timestamp,{SECRET},{SECRET}\n".encode())
    logs.append("f.csv", f"user,event,timestamp,{SECRET},,\n".encode())
    logs.append("g.csv", f"# {SECRET}\nuser,event,timestamp\n".encode())
    logs.append("h.csv", f"user,event,timestamp,{SECRET * 30}\nu,E,1700000000,1\n".encode())
    logs.append("i.csv", f"user,event,timestamp,_{SECRET}\nu,E,1700000000,1\n".encode())
    logs.append("j.csv", f"user,event,timestamp\nu,E,03/04/2024 {SECRET}\n".encode())
    rows = [{**row, "x": SECRET * 60}, {**row, "x": SECRET}, {**row, "user": f"{SECRET}\u200b"}]
    logs.append("k.log", b"".join(json.dumps(one).encode() + b"\n" for one in rows))


@pytest.mark.parametrize(
    "rows",
    [f"u,{SECRET},\nu,Acme,\n", f"u,Acme,{SECRET}\n", f"u,Acme,03/04/2024 {SECRET}\n", f"u,{SECRET}\n"],
    ids=["in two", "no time", "unclear time", "ragged"],
)
def test_nor_is_who_belongs_to_whom(nights: Nights, logs: Logs, tmp_path: Path, rows: str) -> None:
    logs.append("app.log", logs.lines(1))
    (tmp_path / "users.csv").write_text("email,company,from\n" + rows)
    nights.configure(
        'files = ["logs/*"]',
        more='[members]\nfile = "users.csv"\nuser = "email"\naccount = "company"\nsince = "from"',
    )
    log = tmp_path / "log"
    with Tracker() as monitor:
        nights("--log", log, "--ping", monitor.url).ended(2)
        (body,) = [hit.body.decode() for hit in monitor.seen if hit.body]
    for text in (log.read_text(), body):
        assert "users.csv" in text
        assert SECRET not in text


@pytest.mark.parametrize(
    "to",
    ["https://example.com/?k=", "htps://user:", "https://example.com/#", "user@example.com:"],
)
def test_nor_is_what_stands_in_a_wrong_url(nights: Nights, tmp_path: Path, to: str) -> None:
    words = (to + SECRET + ("@example.com" if to.startswith("htps") else ""),)
    result = nights("--log", tmp_path / "log", "--to", *words).ended(2)
    assert "--to" in result.err
    assert SECRET not in result.err + (tmp_path / "log").read_text()


@pytest.mark.parametrize("kind", ["log", "km.toml", "store"])
def test_a_log_is_not_written_into_what_is_something_else(
    nights: Nights, logs: Logs, tracker: Tracker, kind: str, tmp_path: Path
) -> None:
    logs.append("app.log", logs.lines(3))
    sqlite3.connect(tmp_path / "store.db").execute("CREATE TABLE t (x)").connection.close()
    path = {"log": logs.path("app.log"), "km.toml": nights.config, "store": tmp_path / "store.db"}[kind]
    before = path.read_bytes()
    assert "is not a journal" in nights("--log", path).ended(2).err
    assert path.read_bytes() == before
    assert not tracker.seen


def test_reports_contain_neither_keys_nor_values(nights: Nights, logs: Logs, tmp_path: Path) -> None:
    """Bad rows, bad files and findings, with a value that only the mail of cron may contain."""
    told_secrets(logs)
    log, metrics = tmp_path / "log", tmp_path / "km.prom"
    with Tracker() as monitor:
        result = nights("--log", log, "--metrics", metrics, "--json", "--ping", monitor.url)
        assert result.code == 2
        (body,) = [hit.body.decode() for hit in monitor.seen if hit.body]
    assert "[]" not in str(result.summary["problems"])
    assert len(result.summary["problems"]) == 10
    assert result.err.count(SECRET) > 5
    for text in (log.read_text(), metrics.read_text(), result.out, body):
        assert SECRET not in text
        assert KEY not in text


def test_metrics_and_log_of_a_run(nights: Nights, logs: Logs, tmp_path: Path) -> None:
    logs.append("app.log", logs.lines(3))
    log, metrics = tmp_path / "log", tmp_path / "km.prom"
    nights("--log", log, "--metrics", metrics).ended(0)
    assert 'km_cli_backfill_rows{outcome="sent"} 3.0' in metrics.read_text()
    written = [json.loads(text) for text in log.read_text().splitlines()]
    assert [entry["what"] for entry in written] == ["start", "input", "file", "finding", "end"]
    assert (written[-1]["exit"], written[-1]["rows"]["sent"], written[-1]["files"]["read"]) == (0, 3, 1)
    log.rename(tmp_path / "log.1")
    nights("--log", log).ended(0)
    assert log.exists()


def test_a_monitor_is_pinged(nights: Nights, logs: Logs) -> None:
    """Start and success; then failure with the exit code, and the messages in the body."""
    logs.append("app.log", logs.lines(3))
    with Tracker() as monitor:
        nights("--ping", f"{monitor.url}/uuid").ended(0)
        assert [hit.path for hit in monitor.seen] == ["/uuid/start", "/uuid"]
        monitor.forget()
        nights.configure('files = ["nowhere/*"]')
        nights("--ping", f"{monitor.url}/uuid").ended(2)
        assert [hit.path for hit in monitor.seen] == ["/uuid/start", "/uuid/2"]
        assert b"there is nothing at" in monitor.seen[-1].body
        monitor.forget()
        monitor.behave = lambda _hit, _number: refuse(404)
        assert "404" in nights("--ping", f"{monitor.url}/uuid").ended(2).err


def test_a_run_that_finds_the_ledger_locked_does_not_ping(
    importer: Command, nights: Nights, logs: Logs, tracker: Tracker
) -> None:
    """The run that holds the ledger has pinged its start, and will ping its end."""
    logs.append("app.log", logs.lines(60))
    process = busy(importer, nights, tracker)
    with Tracker() as monitor:
        nights("--ping", f"{monitor.url}/uuid").ended(75)
        assert not monitor.seen
        tracker.latency = 0.0
        process.communicate()


def test_a_run_that_may_not_send_reports_pending_calls(
    nights: Nights, logs: Logs, tracker: Tracker, tmp_path: Path
) -> None:
    """An alert on pending calls must not turn green because a run tried nothing."""
    logs.append("app.log", logs.lines(3))
    tracker.behave = lambda _hit, _number: too_many("3600")
    metrics = tmp_path / "km.prom"
    for _ in range(2):
        result = nights("--metrics", metrics, "--json").ended(75)
        assert result.summary["exit"] == 75
        assert "km_cli_backfill_pending_calls 6.0" in metrics.read_text()


def test_an_import_that_goes_through_ends_the_pause(
    nights: Nights, logs: Logs, importer: Command, tracker: Tracker
) -> None:
    """A run by hand does not wait for the pause; its result counts for all runs."""
    logs.append("app.log", logs.lines(3))
    tracker.behave = lambda _hit, _number: too_many("3600")
    for _ in range(2):
        nights().ended(75)
    tracker.behave = None
    importer("import", logs.path("app.log")).ended(0)
    logs.append("app.log", logs.lines(3))
    nights().ended(0)
    check(tracker, logs)


def test_a_wrong_km_toml_is_reported_to_monitor_and_log(nights: Nights, tmp_path: Path) -> None:
    """A wrong flag is reported too: the command may be edited long after it was set up."""
    log = tmp_path / "log"
    with Tracker() as monitor:
        nights("--rat", "5", "--ping", f"{monitor.url}/uuid", "--log", log).ended(2)
        nights("--print", "crontab", "--rate", "x", "--ping", f"{monitor.url}/uuid", "--log", log).ended(2)
        nights("--ping", f"{monitor.url}/uuid", "--log", tmp_path / "nowhere" / "log").ended(2)
        nights.config.write_text("[[backfil]]")
        nights("--ping", f"{monitor.url}/uuid", "--log", log).ended(2)
        assert [hit.path for hit in monitor.seen] == ["/uuid/2"] * 3
        assert b"backfil is not a known key" in monitor.seen[-1].body
    told = [json.loads(text) for text in log.read_text().splitlines()]
    assert [entry["what"] for entry in told] == ["problem", "end", "problem", "end"]


def test_a_missing_key_is_reported_to_the_monitor(nights: Nights, importer: Command) -> None:
    importer.environment["KM_API_KEY"] = ""
    with Tracker() as monitor:
        nights("--ping", f"{monitor.url}/uuid").ended(2)
        assert [hit.path for hit in monitor.seen] == ["/uuid/2"]
        assert b"KM_API_KEY" in monitor.seen[-1].body


def test_nothing_to_do_is_an_error(km: Command, tmp_path: Path) -> None:
    """Without a km.toml, or without a source in it."""
    (tmp_path / "km.toml").write_text("")
    assert "[[backfill]]" in km("backfill", "--config", tmp_path / "km.toml").ended(2).err


# The ledger stays small


def test_runs_that_find_nothing_leave_nothing(nights: Nights, logs: Logs, importer: Command) -> None:
    """Neither unchanged files nor files that are read again make the ledger grow."""
    logs.append("a.log", logs.lines(50))
    aged(logs.path("a.log"))
    logs.append("b.log", logs.lines(50) + b'{"user": "u')
    for _ in range(2):
        nights().ended(0)
    ledger = importer.state / "ledger.db"
    size = ledger.stat().st_size
    for _ in range(8):
        nights().ended(0)
    assert ledger.stat().st_size == size
