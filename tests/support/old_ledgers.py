"""Ledgers of older formats, as `tests/make_ledgers.py` made them, ready for another run."""

from __future__ import annotations

import errno
import gzip
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import chdir, closing, contextmanager
from pathlib import Path

from tests.make_ledgers import ACCOUNT_KEY, Old
from tests.support.command import Command, Result
from tests.support.patience import PATIENCE
from tests.support.tracker import Behave, Tracker

OPENING = tuple(
    f"/ledger/{name}.py"
    for name in ("migrations", "opening", "durable", "lock", "from_2_to_3", "from_3_to_4")
)
"""The modules that open a ledger."""


def unpacked(old: Old, home: Path) -> Path:
    """Put the ledger and its logs into a folder; return the folder."""
    folder = home / old.name
    shutil.copytree(old.data, folder)
    for packed in folder.glob("*.gz"):
        plain = packed.with_suffix("")
        plain.write_bytes(gzip.decompress(packed.read_bytes()))
        plain.chmod(0o600)
        packed.unlink()
    return folder


def pending(folder: Path) -> list[str]:
    """Return the calls in a ledger's outbox, read by SQLite alone, from a copy."""
    looked_at = folder / "looked-at"
    looked_at.mkdir()
    for file in folder.glob("ledger.db*"):
        if not file.name.endswith("-shm"):
            shutil.copy(file, looked_at)
    found = payloads(looked_at / "ledger.db")
    shutil.rmtree(looked_at)
    return found


def payloads(path: Path) -> list[str]:
    """Return the calls in the outbox of a ledger of any format, oldest first."""
    with closing(sqlite3.connect(path)) as database:
        columns = [column for _, column, *_ in database.execute("PRAGMA table_info(outbox)")]
        if "payload" in columns:
            rows = database.execute("SELECT payload FROM outbox ORDER BY call")
            return [str(payload, "ascii") for (payload,) in rows]
        rows = database.execute("SELECT body FROM outbox UNION ALL SELECT body FROM outbox_aliases")
        return [payload for (body,) in rows for payload in packed_in(body)]


def packed_in(body: bytes) -> Iterator[str]:
    """Yield the calls of a record of format 4, decoded here by themselves.

    Before them are 44 bytes, which end with the sizes of three texts, and these texts. Each call has 45
    bytes, which begin with its place and the sizes of its persona and itself. Last comes the check sum.
    """
    at = 44 + sum(int.from_bytes(body[size : size + 4]) for size in (32, 36, 40))
    while at < len(body) - 4:
        persona, size = int.from_bytes(body[at + 2 : at + 4]), int.from_bytes(body[at + 4 : at + 8])
        at += 45 + persona + size
        yield str(body[at - size : at], "ascii")


def runs(old: Old, folder: Path, verb: str = "import") -> list[Result]:
    """Run the commands that made the ledger once more; `dry-run` instead of `import` if asked."""
    command = command_of(old, folder)
    with chdir(folder):
        return [command(*words) for words in words_of(old, verb)]


def dry_runs_alone(old: Old, folder: Path, temporary: Path) -> list[Result]:
    """Run dry runs in processes of their own: SQLite reads once where temporary files go."""
    command = command_of(old, folder)
    command.environment["TMPDIR"] = str(temporary)
    return [command.alone(*words, cwd=folder) for words in words_of(old, "dry-run")]


def words_of(old: Old, verb: str) -> Iterator[list[str]]:
    """Yield the arguments of each run. A dry run has no rejects file."""
    for words in old.commands():
        if verb == "dry-run" and "--rejects" in words:
            at = words.index("--rejects")
            words = words[:at] + words[at + 2 :]
        yield [verb, *words[1:]]


def command_of(old: Old, folder: Path) -> Command:
    """Return the command that goes on with a ledger."""
    assert folder.name == old.name
    return Command(folder, environment={"KM_ACCOUNT_API_KEY": ACCOUNT_KEY})


def start_with_room(size: int, old: Old, folder: Path) -> subprocess.Popen[str]:
    """Start the first of the commands that made the ledger; files cannot grow above so many bytes."""
    command = command_of(old, folder)
    return command.start_with_room(size, *next(old.commands()), cwd=folder)


@contextmanager
def tracker_of(old: Old, behave: Behave | None = None) -> Iterator[Tracker]:
    """Run a tracker where the ledger's was; another test may have that place for a while."""
    for _ in range(int(10 * PATIENCE)):
        tracker = Tracker(behave, address=old.address)
        try:
            tracker.start()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            time.sleep(0.1)
            continue
        with closing_tracker(tracker):
            yield tracker
        return
    raise RuntimeError(f"{old.address} stays taken")


@contextmanager
def closing_tracker(tracker: Tracker) -> Iterator[None]:
    """Stop a tracker that was started, and raise its failures."""
    try:
        yield
    except BaseException as error:
        tracker.__exit__(type(error), error, error.__traceback__)
        raise
    tracker.__exit__(None, None, None)
