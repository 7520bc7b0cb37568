"""The real cron runs the printed line while a log is written, rotated and truncated."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import KEY, Command
from tests.support.installing import PROXIED, printed
from tests.support.patience import PATIENCE
from tests.support.tracker import Tracker

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (shutil.which("cron") and os.geteuid() == 0), reason="needs cron, and root"),
]

SENDMAIL = Path("/usr/sbin/sendmail")
"""The program to which Debian's cron gives its mails."""

OURS = "#!/bin/sh\n# Stands for sendmail in a test of km-cli.\n"
"""The beginning of a script that a test puts there. A test that was killed has left it behind."""

WRITES_FOR = 230
"""Seconds; in the last turns of cron that fall into it there is always something new."""

SETTLES_FOR = 25
"""Seconds that a run may take after its minute has begun."""

TURNS = 3
"""Minutes in which a slow machine may come round to it."""


class Cron:
    """The real cron. `mails` holds all that it would have mailed so far."""

    def __init__(self, folder: Path) -> None:
        self._mails = folder / "mails"
        self._mails.touch()

    @property
    def mails(self) -> str:
        return self._mails.read_text(encoding="utf-8")

    @contextmanager
    def runs(self, crontab: str) -> Iterator[None]:
        """Run this printed crontab every minute."""
        every_minute = crontab.replace("\n0 3 * * * ", "\n* * * * * ")
        assert every_minute != crontab
        # Cron knows by a time in whole seconds that its tables changed: one that comes in the second in which
        # it read them, after another change in that second, would never run.
        time.sleep(1.1)
        subprocess.run(["crontab", "-"], input=every_minute, text=True, check=True, timeout=PATIENCE)
        try:
            yield
        finally:
            subprocess.run(["crontab", "-r"], check=True, timeout=PATIENCE)

    @contextmanager
    def mailing(self) -> Iterator[None]:
        """Take the place of sendmail, so that mails end here."""
        SENDMAIL.write_text(f"{OURS}cat >> '{self._mails}'\n", encoding="utf-8")
        SENDMAIL.chmod(0o755)
        try:
            yield
        finally:
            SENDMAIL.unlink()


def is_running() -> bool:
    """Tell whether there is a daemon already: a second one would not start."""
    for name in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):  # it ended meanwhile
            if name.read_text(encoding="utf-8") == "cron\n":
                return True
    return False


@pytest.fixture
def cron(tmp_path: Path) -> Iterator[Cron]:
    """The daemon; the crontab that existed before is restored afterwards."""
    if SENDMAIL.exists() and not SENDMAIL.read_bytes().startswith(OURS.encode()):
        pytest.skip("mails would leave: there is a sendmail here")
    kept = subprocess.run(["crontab", "-l"], capture_output=True, timeout=PATIENCE)
    daemon = None if is_running() else subprocess.Popen(["cron", "-f"])
    one = Cron(tmp_path)
    try:
        with one.mailing():
            yield one
    finally:
        if not kept.returncode:
            subprocess.run(["crontab", "-"], input=kept.stdout, check=True, timeout=PATIENCE)
        if daemon:
            daemon.terminate()
            daemon.wait(PATIENCE)


@pytest.fixture
def km(tmp_path: Path) -> Command:
    return Command(tmp_path, environment=PROXIED)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder of logs, which the km.toml above it names."""
    text = '[[backfill]]\nname = "app"\nfiles = ["logs/app.log*"]\n'
    (tmp_path / "km.toml").write_text(text, encoding="utf-8")
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def crontab(km: Command, tracker: Tracker) -> str:
    """Print it, and write the file of the secrets as its comments say."""
    text = printed(km, km.home, "--to", tracker.url).ended(0).out
    (made,) = [line.removeprefix("#") for line in text.splitlines() if "umask" in line]
    subprocess.run(
        ["/bin/sh", "-c", made], env={**os.environ, "KM_API_KEY": KEY}, check=True, timeout=PATIENCE
    )
    return text


def turns_pass_until(is_done: Callable[[], bool]) -> bool:
    """Wait for the next minute and the run in it; repeat that a few times until the condition holds."""
    for _ in range(TURNS):
        time.sleep(60 - time.time() % 60 + SETTLES_FOR)
        if is_done():
            return True
    return False


class Application(threading.Thread):
    """Writes a log as services do, and has it rotated as logrotate does. `rows` is all that it wrote."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.rows: list[dict[str, Any]] = []
        self.log = folder / "app.log"
        self.failure: Exception | None = None
        self._file = self.log.open("ab", buffering=0)

    def run(self) -> None:
        try:
            self._write_on()
        except Exception as error:  # noqa: BLE001  the test tells it
            self.failure = error
        self._file.close()

    def _write_on(self) -> None:
        began = time.monotonic()
        rotations = [(45, self.rename), (105, self.copy_and_truncate), (150, self.rename), (195, self.rename)]
        while (passed := time.monotonic() - began) < WRITES_FOR:
            if rotations and passed > rotations[0][0]:
                rotations.pop(0)[1]()
            # Cron begins with the minute: it finds half a line then.
            is_met = 58 < time.time() % 60 < 59
            self.write(pause=4 if is_met else 0.3 if len(self.rows) % 10 == 0 else 0)
            time.sleep(0.15)

    def write(self, pause: float = 0) -> None:
        """Write a row, in two pieces if there is a pause between them."""
        number = len(self.rows)
        row = {
            "user": f"user{number % 40}@example.com",
            "account": f"account {number % 9}",
            "event": ("Ran", "Looked", "Saved")[number % 3],
            "timestamp": datetime.now(UTC).isoformat(),
            "number": str(number),
            "text": f"ü {number}",
        }
        line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        cut = line.index("ü".encode()) + 1  # within a character
        if pause:
            self._file.write(line[:cut])
            time.sleep(pause)
            self._file.write(line[cut:])
        else:
            self._file.write(line)
        self.rows.append(row)

    def rename(self) -> None:
        """Move the log away; the application writes on into it until it is told."""
        self._make_room()
        self.log.rename(self.log.with_name("app.log.1"))
        self.log.touch()
        for _ in range(5):
            self.write()
        self._file.close()
        self._file = self.log.open("ab", buffering=0)

    def copy_and_truncate(self) -> None:
        """Copy the log, and empty it under the application."""
        self._make_room()
        shutil.copyfile(self.log, self.log.with_name("app.log.1"))
        os.truncate(self.log, 0)

    def _make_room(self) -> None:
        """Move packed logs on by one, and pack the one that is not."""
        numbers = sorted(
            (int(path.name.split(".")[2]) for path in self.log.parent.glob("*.gz")), reverse=True
        )
        for number in numbers:
            packed = self.log.with_name(f"app.log.{number}.gz")
            packed.rename(self.log.with_name(f"app.log.{number + 1}.gz"))
        plain = self.log.with_name("app.log.1")
        if plain.exists():
            with plain.open("rb") as read, gzip.open(self.log.with_name("app.log.2.gz"), "wb") as packed_file:
                shutil.copyfileobj(read, packed_file)
            plain.unlink()


Deed = tuple[str, str, tuple[tuple[str, str], ...]]


def owed(rows: list[dict[str, Any]]) -> Counter[Deed]:
    """Who did what, with which properties: each row's user and its account, once."""
    return Counter(
        (row[who], row["event"], (("number", row["number"]), ("text", row["text"])))
        for row in rows
        for who in ("user", "account")
    )


def arrived(tracker: Tracker) -> Counter[Deed]:
    return Counter(
        (
            call["_p"],
            call["_n"],
            tuple(sorted((name, value) for name, value in call.items() if name[0] != "_")),
        )
        for call in tracker.calls()
    )


def test_what_is_written_arrives_once(km: Command, cron: Cron, tracker: Tracker, logs: Path) -> None:
    application = Application(logs)
    with cron.runs(crontab(km, tracker)):
        application.start()
        application.join()
        assert application.failure is None
        early = len(tracker.hits)
        turns_pass_until(lambda: arrived(tracker) == owed(application.rows))
    assert 0 < early < len(tracker.hits), "it was sent little by little"
    assert {path.name for path in logs.iterdir()} == {
        "app.log",
        "app.log.1",
        "app.log.2.gz",
        "app.log.3.gz",
        "app.log.4.gz",
    }
    sent, written = arrived(tracker), owed(application.rows)
    assert (written - sent, sent - written) == (Counter(), Counter())
    assert {hit.params["_k"] for hit in tracker.hits} == {KEY}
    assert cron.mails == "", "silent when all is well"


def test_what_is_wrong_is_mailed(km: Command, cron: Cron, tracker: Tracker, logs: Path) -> None:
    with cron.runs(crontab(km, tracker)):
        logs.rmdir()
        assert turns_pass_until(lambda: "next:" in cron.mails), cron.mails
    assert "km-cli:" in cron.mails
    assert "app.log" in cron.mails
    assert KEY not in cron.mails
    assert not tracker.hits
