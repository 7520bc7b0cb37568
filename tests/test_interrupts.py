"""Interrupts: the first lets calls in flight finish, the second stops at once. Nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from km_cli.run import interrupts
from km_cli.run.stopping import Stop
from tests.support.command import Command, wait_until_it_finishes
from tests.support.oracle import expected
from tests.support.patience import PATIENCE
from tests.support.resuming import CSV, check_arrived, finished, part_of_the_samples
from tests.support.tracker import OK, Hit, Reaction, Tracker, held


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log that is imported."""
    return part_of_the_samples(tmp_path_factory.mktemp("log"))


class Signals:
    """Sends a signal when request number `at` arrives. It and the three before it get no answer for now.

    `process` is the process that gets the signal; the tracker waits until the test has set it.
    """

    def __init__(self, number: int, at: int) -> None:
        self._signal = number
        self._at = at
        self.process: Future[subprocess.Popen[str]] = Future()

    def __call__(self, _hit: Hit, number: int) -> Reaction:
        if number == self._at:
            os.kill(self.process.result().pid, self._signal)
        return held() if number > self._at - 4 else OK


def started(process: subprocess.Popen[str], behave: Signals) -> subprocess.Popen[str]:
    """Wait until the process says that it finishes the calls in flight."""
    behave.process.set_result(process)
    wait_until_it_finishes(process)
    return process


class Patient(Command):
    """The command, giving calls in flight an hour instead of ten seconds."""

    @property
    def program(self) -> list[str]:
        """The words that run it."""
        return [sys.executable, "-c", _PATIENTLY]


_PATIENTLY = """
from km_cli.cli import main
from km_cli.run import sending
sending._GRACE = 3600.0
main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_what_is_in_flight_finish(
    importer: Command, tracker: Tracker, log: Path, number: int, code: int
) -> None:
    tracker.behave = behave = Signals(number, 37)
    process = started(importer.start("import", log, "--concurrency", "4", "--json"), behave)
    while process.poll() is None:  # It sends until it looks whether to stop: a few calls more with each turn.
        tracker.answer_all()
        time.sleep(0.2)
    out, err = process.communicate()
    assert process.returncode == code, err
    assert "Traceback" not in err
    calls = json.loads(out)["calls"]
    assert 38 <= len(tracker.seen) == calls["acknowledged"] < len(expected(log, **CSV))
    tracker.behave = None
    summary = finished(importer, log)
    assert summary["calls"]["resumed"] == calls["planned"] - calls["acknowledged"] > 0
    assert len(tracker.seen) == len(expected(log, **CSV)), "nothing was sent twice"
    check_arrived(tracker, log)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_ends_it_at_once(
    importer: Command, tracker: Tracker, log: Path, number: int, code: int
) -> None:
    """After the first one alone, it would wait for the answers for an hour."""
    tracker.behave = behave = Signals(number, 3)
    patient = Patient(importer.home, importer.to)
    process = started(patient.start("import", log, "--concurrency", "4"), behave)
    assert process.poll() is None, "once is not enough"
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, err
    assert "Traceback" not in err
    tracker.behave = None
    finished(importer, log)
    check_arrived(tracker, log)


@pytest.mark.slow
def test_a_signal_while_nothing_is_answered_has_an_end(
    importer: Command, tracker: Tracker, log: Path
) -> None:
    """Calls in flight get ten seconds."""
    tracker.behave = behave = Signals(signal.SIGINT, 3)
    process = started(importer.start("import", log, "--concurrency", "4"), behave)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    tracker.behave = None
    finished(importer, log)
    check_arrived(tracker, log)


def test_a_terminal_that_goes_away_stops_it_but_for_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        stop = Stop()
        with interrupts.catching_signals(stop) as caught:
            signal.raise_signal(signal.SIGHUP)
        assert (stop.requested, caught.signal) == (True, signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        stop = Stop()
        with interrupts.catching_signals(stop) as caught:
            signal.raise_signal(signal.SIGHUP)
        assert (stop.requested, caught.signal) == (False, 0)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_closed_standard_error_is_no_reason_to_fail() -> None:
    """The handler runs in the middle of anything, a transaction for one: it must not raise."""
    stop, kept_open = Stop(), os.dup(2)
    reads, writes = os.pipe()
    os.close(reads)
    os.dup2(writes, 2)
    try:
        with interrupts.catching_signals(stop) as caught:
            signal.raise_signal(signal.SIGTERM)
    finally:
        os.dup2(kept_open, 2)
        os.close(kept_open)
        os.close(writes)
    assert stop.requested
    assert caught.signal == signal.SIGTERM


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="it shows whether a process waits")
@pytest.mark.parametrize("command", ["import", "import --strict", "dry-run"])
@pytest.mark.parametrize("writer", [False, True], ids=["nobody writes", "nothing is written"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_that_waits_for_a_fifo(
    importer: Command, tracker: Tracker, tmp_path: Path, command: str, writer: bool, number: int, code: int
) -> None:
    """The run waits in open() for a writer, then in read(); one signal ends either."""
    fifo = tmp_path / "log.csv"
    os.mkfifo(fifo)
    words = command.split()
    process = importer.start(words[0], fifo, *words[1:])
    try:
        if command == "import":
            _wait_for_handler(process, number)
        end = os.open(fifo, os.O_WRONLY) if writer else _waited(process)
        os.kill(process.pid, number)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    if end:
        os.close(end)
    assert process.returncode in (code, -number), err
    if command == "import":
        assert process.returncode == code, err
        assert "interrupted" in err
    assert "Traceback" not in err
    assert not tracker.seen


def _wait_for_handler(process: subprocess.Popen[str], number: int) -> None:
    """Wait until a process handles a signal itself, Python's own handler of SIGINT included."""
    while True:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt"))
        if caught >> number - 1 & 1:
            return
        time.sleep(0.01)


def _waited(process: subprocess.Popen[str]) -> int:
    """Wait until a process sleeps and goes on sleeping. One that waits for its turn does not."""
    before, looks = ("", 0.0), 0
    while looks < 5:
        now = _state(process.pid)
        looks = looks + 1 if now == before and now[0] == "S" and now[1] else 0
        before = now
        time.sleep(0.1)
    return 0


def _state(process: int) -> tuple[str, float]:
    """Return the state of a process, `S` if it sleeps, and the processor time that it has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return fields[0], float(fields[11]) + float(fields[12])


def test_a_fifo_is_read_to_its_end(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """However slow the writer is, and in whatever pieces it writes."""
    fifo = tmp_path / "log.csv"
    os.mkfifo(fifo)
    process = importer.start("import", fifo, "--json")
    with fifo.open("wb", buffering=0) as file:
        for piece in (
            b"user,account,event,time",
            b"stamp\nada,Acme,In,17040",
            b"67200\nbob,Acme,In,1704067201\n",
        ):
            file.write(piece)
            time.sleep(0.3)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert json.loads(out)["rows"]["sent"] == 2
    assert len(tracker.seen) == 4
