"""A full disk behind standard error, standard output or --log: the run's own exit code stays, or is 74."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from km_cli.cli.monitoring.journal import Journal
from tests.support.command import Command
from tests.support.patience import PATIENCE
from tests.support.tracker import Tracker

FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="the device that is always full")

HEADER = "user,account,event,timestamp\n"
LOGS = {
    "good": HEADER + "ada,Acme,In,1704067200\n",
    "bad": HEADER + "ada,Acme,In,1704067200\nguest,Acme,In,1704067200\n",
    "odd": HEADER + "ada,Acme,In: twice,1704067200\n",
    "broken": HEADER + '"ada,Acme\n',
}


def run(command: Command, *words: str | Path, out: bool = False, err: bool = False) -> tuple[int, str, str]:
    """Run a command with a full disk behind its streams; return its exit code and what the others got."""
    arguments = [str(word) for word in words]
    if command.to and "--to" not in arguments and arguments[:1] in (["import"], ["backfill"]):
        arguments += ["--to", command.to]
    with FULL.open("wb") as full:
        done = subprocess.run(
            [*command.program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=full if out else subprocess.PIPE,
            stderr=full if err else subprocess.PIPE,
            env=command.surroundings(),
            cwd=command.home,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    said = done.stderr or ""
    assert "Traceback" not in said
    assert "Exception" not in said
    return done.returncode, done.stdout or "", said


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for name, text in LOGS.items():
        (tmp_path / f"{name}.csv").write_text(text)
        (tmp_path / f"{name}.toml").write_text(f'[[backfill]]\nname = "all"\nfiles = ["{name}.csv"]\n')
    return tmp_path


COMMANDS: dict[str, tuple[str, ...]] = {
    "import": ("import", "{}.csv"),
    "import -v": ("import", "{}.csv", "-v"),
    "import --json": ("import", "{}.csv", "--json"),
    "import --strict": ("import", "{}.csv", "--strict"),
    "dry-run": ("dry-run", "{}.csv"),
    "backfill": ("backfill", "--config", "{}.toml"),
}
ENDS = {
    "good": 0,
    "bad": 65,
    "odd": 0,
    "broken": 2,
    "absent": 2,
}
OTHERWISE = {("import --strict", "odd"): 65, ("backfill", "broken"): 0}
"""A finding that --strict does not allow, and an open quotation mark that a growing file may still close."""


@pytest.mark.parametrize("log", ENDS)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_standard_error(importer: Command, logs: Path, name: str, log: str) -> None:
    """What could not be said makes 74 of 0, and leaves every other code as it is."""
    words = [word.format(log) for word in COMMANDS[name]]
    code, _, said = run(Command(logs / "other", importer.to), *(_absolute(word, logs) for word in words))
    full_code, _, _ = run(importer, *words, err=True)
    assert full_code == (code or (74 if said else 0))
    assert code == OTHERWISE.get((name, log), ENDS[log])


def _absolute(word: str, folder: Path) -> str:
    (folder / "other").mkdir(exist_ok=True)
    return str(folder / word) if word.endswith((".csv", ".toml")) else word


@pytest.mark.parametrize("both", [False, True], ids=["out", "both"])
@pytest.mark.parametrize(
    "words",
    [
        ("import", "good.csv", "--json"),
        ("import", "bad.csv", "-v"),
        ("dry-run", "good.csv"),
        ("dry-run", "bad.csv", "--json"),
        ("backfill", "--config", "good.toml", "--json"),
        ("config", "show"),
        ("rules",),
        ("--version",),
        ("import", "--help"),
    ],
    ids=" ".join,
)
def test_a_full_standard_output(importer: Command, logs: Path, words: tuple[str, ...], both: bool) -> None:
    code, _, said = run(importer, *words, out=True, err=both)
    assert code == 74
    assert both or "No space left on device" in said
    assert (logs / "good.csv").exists()


@pytest.mark.usefixtures("logs")
def test_rejects_that_could_not_be_told_are_told_by_the_next_run(importer: Command, tracker: Tracker) -> None:
    assert run(importer, "import", "bad.csv", err=True)[0] == 65
    code, _, said = run(importer, "import", "bad.csv")
    assert code == 65
    assert "1 row rejected by a run that was cut off" in said
    assert run(importer, "import", "bad.csv") == (0, "", "")
    assert len(tracker.seen) == 2


def test_wrong_usage_stays_wrong_usage(km: Command) -> None:
    for words in ((), ("nonsense",), ("import",), ("import", "--nonsense"), ("rules", "nonsense")):
        assert run(km, *words, err=True)[0] == 2


def test_a_log_that_has_no_room_is_mentioned_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A disk can be so full that not even a name fits; the run does what it is there for."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("os.open", full)
        journal = Journal.open(tmp_path / "km.log", lambda: 1795489200.0, "run")
    journal.write("start")
    journal.close()
    assert capsys.readouterr().err.splitlines() == [
        f"km-cli: --log {tmp_path / 'km.log'}: No space left on device",
        "  next: the run continues; make room, or use another file",
    ]


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("first", [1, 2, 3, 9])
def test_a_ledger_for_which_there_is_no_room_is_not_made(
    importer: Command, tracker: Tracker, logs: Path, first: int
) -> None:
    """All writes into the new file fail, or all but the first ones: the next run makes it anew."""
    made = importer.state / "ledger.db.new"
    fault = ("-e", "trace=pwrite64", "-e", f"inject=pwrite64:error=ENOSPC:when={first}+")
    words = (*importer.program, "import", logs / "good.csv", "--to", tracker.url)
    done = subprocess.run(
        ["strace", "-f", "-o", logs / "strace", "-P", made, *fault, *words],
        env=importer.surroundings(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 73, done.stderr
    assert "ledger.db cannot be created: database or disk is full" in done.stderr
    assert not tracker.seen
    importer("import", logs / "good.csv").ended(0)
    assert len(tracker.seen) == 2
