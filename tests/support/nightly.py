"""A folder of logs and a km.toml that names them, for backfills; what was written and what arrived."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.support.command import Command, Result
from tests.support.tracker import Tracker

DAY = 86_400.0
BEGIN = 1_730_000_000
"""The second of the first row."""

Call = tuple[str, str, str]


class Logs:
    """JSON lines in `folder`, row by row; knows what all of them become."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = 0
        folder.mkdir(exist_ok=True)

    def path(self, name: str) -> Path:
        """A file of it."""
        return self.folder / name

    def lines(self, count: int, since: int | None = None) -> bytes:
        """The next rows as lines; or, `since` a row on, the same as before."""
        first = self.rows if since is None else since
        self.rows = max(self.rows, first + count)
        return b"".join(map(line, range(first, first + count)))

    def append(self, name: str, data: bytes) -> None:
        """Add bytes to a file."""
        with self.path(name).open("ab") as file:
            file.write(data)

    def csv(self, rows: Iterable[int]) -> bytes:
        """Rows as CSV."""
        return b"user,account,event,timestamp,n\n" + b"".join(
            f"u{n % 7},a{n % 3},E,{BEGIN + 60 * n},{n}\n".encode() for n in rows
        )

    def calls(self, rows: Iterable[int] | None = None) -> Counter[Call]:
        """What the rows become: person, second, the property that tells rows apart."""
        found: Counter[Call] = Counter()
        for n in range(self.rows) if rows is None else rows:
            found[f"u{n % 7}", str(BEGIN + 60 * n), str(n)] += 1
            found[f"a{n % 3}", str(BEGIN + 60 * n), str(n)] += 1
        return found


def line(n: int) -> bytes:
    """Row n; no two are in one minute, so that nothing is moved."""
    row = {"user": f"u{n % 7}", "account": f"a{n % 3}", "event": "E", "timestamp": BEGIN + 60 * n, "n": n}
    return json.dumps(row).encode() + b"\n"


def arrived(tracker: Tracker) -> Counter[Call]:
    """What a tracker recorded, in the same form; a call that came twice counts twice."""
    return Counter((call["_p"], call["_t"], call["n"]) for call in tracker.calls())


def arrived_once(tracker: Tracker) -> Counter[Call]:
    """The same where answers were lost: what came twice, to the byte, counts once."""
    forms = {hit.wire: hit.params for hit in tracker.hits}
    return Counter((call["_p"], call["_t"], call["n"]) for call in forms.values())


def aged(path: Path, seconds: float = 60.0, now: float | None = None) -> Path:
    """Make a file look as if it was touched so long ago."""
    moment = (os.stat(path).st_mtime if now is None else now) - seconds
    os.utime(path, (moment, moment))
    return path


class Nights:
    """A command and its km.toml; each call is one run."""

    def __init__(self, command: Command, logs: Logs, *sources: str) -> None:
        self._command = command
        self.logs = logs
        self.config = command.home / "km.toml"
        self.configure(*(sources or ('files = ["logs/*"]',)))

    def configure(self, *sources: str, more: str = "") -> None:
        """Write km.toml: a source for each, named s1, s2, …"""
        tables = [f'[[backfill]]\nname = "s{n}"\n{source}\n' for n, source in enumerate(sources, start=1)]
        self.config.write_text(more + "\n" + "\n".join(tables), encoding="utf-8")

    @property
    def words(self) -> tuple[str | Path, ...]:
        """The command without more options."""
        return ("backfill", "--config", self.config)

    def __call__(self, *options: str | Path) -> Result:
        """Run once."""
        return self._command(*self.words, *options)

    def files(self, *options: str | Path, code: int = 0) -> dict[str, int]:
        """Run once; return the files by what became of them, without those that none became."""
        found = self(*options, "--json").ended(code).summary["files"]
        return {state: count for state, count in found.items() if count}
