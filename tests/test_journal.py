"""The journal of unattended runs: one write for each line, whatever happened to the file before."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from km_cli.cli.monitoring.journal import Journal
from km_cli.cli.monitoring.ping import Ping
from km_cli.cli.monitoring.reporter import Reporter
from km_cli.errors import UsageError
from km_cli.run.tally import Tally
from tests.support.drawing import examples
from tests.support.patience import PATIENCE
from tests.support.permissions import refusable
from tests.support.room import room_for

RUN = "5f4a3c2e-0000-4000-8000-000000000001"
NIGHT = 1795489200.1239


def opened(path: Path | None, run: str = RUN) -> Journal:
    return Journal.open(path, lambda: NIGHT, run)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_a_line_has_time_run_and_what(tmp_path: Path) -> None:
    path = tmp_path / "km.log"
    journal = opened(path)
    journal.write("end", exit_code=0, rows={"read": 3}, files=["a.csv"], seconds=1.5, why=None)
    journal.close()
    assert path.read_bytes() == (
        b'{"time": "2026-11-24T03:00:00.123Z", "run": "5f4a3c2e-0000-4000-8000-000000000001", "what": "end", '
        b'"exit_code": 0, "rows": {"read": 3}, "files": ["a.csv"], "seconds": 1.5, "why": null}\n'
    )


def test_runs_append_and_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "km.log"
    for run in ("one", "two"):
        journal = opened(path, run)
        journal.write("start")
        journal.close()
    assert [line["run"] for line in lines(path)] == ["one", "two"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_mode_of_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """Such as logrotate's `create 0640` made it."""
    path = tmp_path / "km.log"
    path.touch()
    path.chmod(0o640)
    journal = opened(path)
    journal.write("start")
    journal.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_without_a_path_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    journal = opened(None)
    journal.write("start")
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_moved_away_is_made_again_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "km.log"
    journal = opened(path, "one")
    journal.write("start")
    path.rename(tmp_path / "km.log.1")
    journal.write("end")
    journal.close()
    journal = opened(path, "two")
    journal.write("start")
    journal.close()
    assert [line["what"] for line in lines(tmp_path / "km.log.1")] == ["start", "end"]
    assert [line["run"] for line in lines(path)] == ["two"]


def test_a_torn_line_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "km.log"
    path.write_bytes(b'{"time": "1"}\n{"torn')
    journal = opened(path)
    journal.write("start")
    journal.write("end")
    journal.close()
    whole, torn, *rest = path.read_bytes().splitlines()
    assert (whole, torn) == (b'{"time": "1"}', b'{"torn')
    assert [json.loads(line)["what"] for line in rest] == ["start", "end"]


@pytest.mark.parametrize(
    "torn",
    [
        b"\0" * 300,
        b'{"ti',
        b'{"ti\n{"time": "2026-11-24T03:00:00.123Z", "run": "x"}\n',
        b"\0" * 90 + b'\n{"time": "2"}\n',
    ],
    ids=["zeros", "begun", "beginning", "zeros before"],
)
def test_a_log_that_a_crash_damaged_is_gone_on_with(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "km.log"
    path.write_bytes(torn)
    journal = opened(path)
    journal.write("start")
    journal.close()
    assert path.read_bytes().startswith(torn)
    assert json.loads(path.read_bytes().splitlines()[-1])["what"] == "start"


def test_a_full_disk_is_complained_about_once_and_the_lines_after_it_are_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "km.log"
    journal = opened(path)
    journal.write("start")
    with room_for(path.stat().st_size + 20):
        for _ in range(3):
            journal.write("lost")
    journal.write("end")
    journal.close()
    first, torn, last = path.read_bytes().splitlines()
    assert (json.loads(first)["what"], len(torn), json.loads(last)["what"]) == ("start", 20, "end")
    assert capsys.readouterr().err.splitlines() == [
        f"km-cli: --log {path}: only a part of a line was written",
        "  next: the run continues; make room, or use another file",
    ]


def test_a_failure_is_complained_about_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "km.log"
    journal = opened(path)
    with open(path, "rb") as unwritable:
        os.dup2(unwritable.fileno(), journal._file or -1)
    journal.write("start")
    journal.write("end")
    journal.close()
    journal.close()
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"km-cli: --log {path}: Bad file descriptor"
    assert len(said) == 2


def test_a_standard_error_that_fails_too_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "km.log"
    journal = opened(path)
    with open(path, "rb") as unwritable:
        os.dup2(unwritable.fileno(), journal._file or -1)
    with monkeypatch.context() as patched, open(os.devnull, "w") as nowhere:
        nowhere.close()
        patched.setattr("sys.stderr", nowhere)
        journal.write("start")
    journal.close()


BROKEN: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "folder": (lambda path: path.mkdir(), "Is a directory", "give a file, or leave --log out"),
    "fifo": (os.mkfifo, "is not a regular file", "give a file, or leave --log out"),
    "device": (lambda path: path.symlink_to("/dev/null"), "is not a regular file", "give a file"),
    "loop": (lambda path: path.symlink_to(path), "symbolic links", "give a file"),
    "file in a file": (lambda path: path.parent.rmdir() or path.parent.touch(), "Not a directory", "give"),
    "no folder": (lambda path: path.parent.rmdir(), "No such file or directory", "create its folder first"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_journal_that_cannot_be_opened_is_an_error(kind: str, tmp_path: Path) -> None:
    make, said, hint = BROKEN[kind]
    path = tmp_path / "logs" / "km.log"
    path.parent.mkdir()
    make(path)
    with pytest.raises(UsageError, match=said) as caught:
        opened(path)
    assert str(caught.value).startswith(f"--log {path}")
    assert hint in caught.value.hint


def test_a_file_that_may_not_be_written_is_refused() -> None:
    with refusable() as folder:
        path = folder / "km.log"
        path.touch()
        path.chmod(0o400)
        with pytest.raises(UsageError, match="Permission denied") as caught:
            opened(path)
    assert "allow this user" in caught.value.hint


def test_a_name_that_no_file_has_is_refused() -> None:
    with pytest.raises(UsageError, match="null"):
        opened(Path("a\0b"))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=examples(40),
    deadline=None,
)
@given(
    what=st.text(),
    fields=st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda name: name not in ("self", "what")),
        st.recursive(
            st.text(st.characters(categories=None)) | st.floats() | st.integers() | st.none() | st.booleans(),
            lambda value: st.lists(value) | st.dictionaries(st.text(st.characters(categories=None)), value),
        ),
    ),
)
def test_any_field_gives_one_line_that_any_reader_understands(
    tmp_path: Path, what: str, fields: dict[str, Any]
) -> None:
    """Surrogates, line breaks, NaN: each line is ASCII, and strict JSON."""
    path = tmp_path / "km.log"
    path.unlink(missing_ok=True)
    journal = opened(path)
    journal.write(what, **fields)
    journal.write("next")
    journal.close()
    first, second, nothing = path.read_bytes().split(b"\n")
    assert nothing == b""
    read = json.loads(first.decode("ascii"), parse_constant=pytest.fail)
    json.dumps(read, ensure_ascii=False).encode()  # no lone surrogates
    assert fields.keys() <= read.keys()
    assert json.loads(second)["what"] == "next"


def test_a_file_name_that_is_no_unicode_is_written_with_backslashes(tmp_path: Path) -> None:
    path = tmp_path / "km.log"
    journal = opened(path)
    journal.write("read", file=Path(os.fsdecode(b"caf\xe9.csv")))
    journal.close()
    assert lines(path)[0]["file"] == "caf\\udce9.csv"


def test_runs_that_overlap_never_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "km.log"
    program = (
        "import sys, time; from pathlib import Path; from km_cli.cli.monitoring.journal import Journal\n"
        "journal = Journal.open(Path(sys.argv[1]), time.time, sys.argv[2])\n"
        "for number in range(200): journal.write('line', number=number, much='x' * 9000)\n"
    )
    runs = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in "abc"]
    assert [run.wait(PATIENCE) for run in runs] == [0, 0, 0]
    read = lines(path)
    for name in "abc":
        assert [line["number"] for line in read if line["run"] == name] == list(range(200))


class _Watch:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> float:
        return NIGHT + self.passed

    def monotonic(self) -> float:
        return 1000.0 + self.passed


def test_a_long_run_writes_its_progress_once_a_minute(tmp_path: Path) -> None:
    path, clock, tally = tmp_path / "km.log", _Watch(), Tally()
    reporter = Reporter(opened(path), Ping("", ""), None, clock)
    for second in range(0, 200, 7):
        clock.passed = float(second)
        tally.calls.retried = second
        reporter.progress(tally)
    told = lines(path)
    assert [line["what"] for line in told] == ["progress"] * 3
    assert [line["seconds"] for line in told] == [63.0, 126.0, 189.0]
    assert [line["calls"]["retried"] for line in told] == [63, 126, 189]
    assert told[0]["rows"]["read"] == 0
