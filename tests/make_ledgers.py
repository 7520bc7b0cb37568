"""Makes the ledgers of older formats in `tests/data/ledgers`, by the code that wrote them.

    git worktree add /tmp/format-2 7ae9645
    python -m tests.make_ledgers 2 /tmp/format-2
    git worktree add /tmp/format-3 7f88919
    python -m tests.make_ledgers 3 /tmp/format-3
    git worktree add /tmp/format-4 a196a90
    python -m tests.make_ledgers 4 /tmp/format-4

Each ledger has a folder: its logs, km.toml if there is one, the ledger as a run left it, and the calls that
had arrived, a line each. Tokens and salts are random, so a ledger that is made anew differs in them.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.command import KEY
from tests.support.tracker import OK, UNAVAILABLE, Behave, Hit, Reaction, Tracker, refuse

DATA = Path(__file__).parent / "data" / "ledgers"
ACCOUNT_KEY = KEY[::-1]
HEADER = "user,account,event,timestamp,plan"
PORT = 8477

ALIASES = """
[[personas]]
name = "user"
alias = "was"
[[personas]]
name = "account"
properties = []
"""


class Old(NamedTuple):
    """One ledger: how its runs were called, by log, and how the tracker behaved."""

    name: str
    number: int
    runs: tuple[tuple[str, ...], ...]
    behaves: Behave
    config: str = ""
    local: bool = False
    format: int = 2

    @property
    def data(self) -> Path:
        """The folder where it is kept."""
        return DATA / f"format-{self.format}" / self.name

    @property
    def id(self) -> str:
        """Its name in the report of a test."""
        return f"{self.format}-{self.name}"

    @property
    def address(self) -> tuple[str, int]:
        """Where its tracker listens. The ledger knows a tracker by its URL, so it must be free again."""
        return f"127.77.0.{self.number}", PORT

    @property
    def to(self) -> str:
        """The destination that the ledger belongs to."""
        return "local:ledger.db" if self.local else f"http://{self.address[0]}:{PORT}"

    @property
    def tracker(self) -> str:
        """The name under which the ledger keeps what was sent there."""
        return "local" if self.local else self.to

    def commands(self) -> Iterator[list[str]]:
        """Yield the arguments of each run; the folder of its log is the current one."""
        for run in self.runs:
            yield ["import", *run, "--to", self.to, *([] if self.local else ["--ledger", "ledger.db"])]


def _refuses_from(at: int) -> Behave:
    return lambda _hit, number: OK if number < at else refuse(403)


def _has_no_time_for(*persons: str) -> Behave:
    return lambda hit, _number: UNAVAILABLE if hit.params["_p"] in persons else OK


def _hangs_from(at: int) -> Behave:
    return lambda _hit, number: OK if number < at else Reaction(delay=60, record=False)


_ONE_BY_ONE = ("--concurrency", "1")
_REJECTS = ("--rejects", "rejects.jsonl")

_OLDS_OF_2 = [
    Old("refused", 1, (("log.csv", *_ONE_BY_ONE), ("more.csv", *_ONE_BY_ONE)), _refuses_from(9)),
    Old(
        "killed",
        2,
        (("log.csv", "--id", "id", "--batch-size", "5", *_ONE_BY_ONE, *_REJECTS),),
        _hangs_from(21),
    ),
    Old(
        "aliases",
        3,
        (("log.csv", "--allow-alias", "--attempts", "1"),),
        _has_no_time_for("u1", "u2", "Acme"),
        ALIASES,
    ),
    Old(
        "sites",
        4,
        (("log.csv", "--strategy", "sites", "--attempts", "1"),),
        _has_no_time_for("u3", "Acme"),
    ),
    Old("exports", 5, (("log.csv", *_ONE_BY_ONE), ("drifted.csv", *_ONE_BY_ONE)), _refuses_from(40)),
    Old("store", 6, (("log.csv", "--batch-size", "5"),), _refuses_from(0), local=True),
]


_OVERLAPS = {"exports": (("log.csv", *_ONE_BY_ONE), ("drifted.csv", *_ONE_BY_ONE, "--overlap", "repeats"))}
_OLDS_OF_3 = [
    old._replace(number=10 + old.number, format=3, runs=_OVERLAPS.get(old.name, old.runs))
    for old in _OLDS_OF_2
]
OLDS = [*_OLDS_OF_2, *_OLDS_OF_3]

UNSENT = Old("unsent", 7, (("log.csv", "--no-properties"),), lambda _hit, _number: OK)
"""One that has sent all of a log with a column that no call carries."""


FOLLOWED = Old(
    "followed",
    9,
    (("people.csv", "--profiles", "--at", "2024-05-01", *_ONE_BY_ONE), ("log.csv", *_ONE_BY_ONE)),
    _refuses_from(8),
    '[[personas]]\nname = "user"\n[[personas]]\nname = "account"\nset = ["plan"]\n',
    format=4,
)
"""One of format 4, whose `set` was sent once: of Acme it has arrived, that of Brick is pending."""

FOLLOWED_ROWS = [
    *(
        f"u0,Acme,In {n},2024-01-01T00:00:{n:02}Z,{plan}"
        for n, plan in enumerate(["pro", "max", "pro", "pro"])
    ),
    *(f"u0,Brick,In {n},2024-01-01T00:00:{n:02}Z,{plan}" for n, plan in ((4, "free"), (5, "max"))),
]


BUSY = Old("busy", 8, (("log.csv",),), lambda _hit, _number: OK, format=3)
"""One of format 3, with accounts that have many of one event: Acme 600, Brick 300."""


def write_logs(old: Old, folder: Path) -> None:
    """Write the logs of a ledger's runs."""
    if old is BUSY:
        _write(folder / "log.csv", busy_rows(0, 600, "Acme") + busy_rows(600, 900, "Brick"))
        return
    if old is FOLLOWED:
        _write(folder / "people.csv", ["u0,Rome,", "u1,Oslo,"], "user,city,plan")
        _write(folder / "log.csv", FOLLOWED_ROWS)
        return
    if old.name == "killed":
        rows = [f"u{n % 5},Acme,Event {n % 3},2024-01-01T00:{n:02}:00Z,pro,{n}" for n in range(30)]
        rows[3] = ",,Event,2024-01-01T00:03:00Z,pro,3"
        rows[4] = "u4,Acme,,2024-01-01T00:04:00Z,pro,4"
        _write(folder / "log.csv", rows, HEADER + ",id")
        return
    if old.name == "aliases":
        _write(
            folder / "log.csv",
            [f"u{n},Acme,Clicked,2024-01-01T00:00:{n:02}Z,,anon{n}" for n in range(6)],
            HEADER + ",was",
        )
        return
    # Several things are done in one second by one account, so that calls take other seconds than their own.
    rows = [
        f"u{n % 5},Acme,Event {n % 2},2024-01-01T00:00:{n // 4:02}.{n:03}Z,plan {n % 3}" for n in range(24)
    ]
    _write(folder / "log.csv", rows)
    if old.name == "refused":
        _write(folder / "more.csv", [f"u{n},Brick,Event {n},2024-02-01T00:00:{n:02}Z,pro" for n in range(4)])
    if old.name == "exports":
        _write(folder / "drifted.csv", [row.replace("plan 1", "plan 9") for row in rows])


def busy_rows(first: int, last: int, account: str) -> list[str]:
    """Return rows of one account, a minute each, by 300 users."""
    times = ((n, f"2024-01-{n // 1440 + 1:02}T{n // 60 % 24:02}:{n % 60:02}:00Z") for n in range(first, last))
    return [f"u{n % 300},{account},Paid,{time},{'pro' if n % 2 else ''}" for n, time in times]


def _write(path: Path, rows: list[str], header: str = HEADER) -> None:
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")


def make(old: Old, checkout: Path) -> None:
    """Make one ledger, and keep it with its logs and the calls that arrived."""
    kept = old.data
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    write_logs(old, kept)
    if old.config:
        (kept / "km.toml").write_text(old.config, encoding="utf-8")
    folder = (
        Path(tempfile.gettempdir()) / "km-ledgers"
    )  # its name is in the ledger, with those of rejects files
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(kept, folder)
    with Tracker(old.behaves, address=old.address) as tracker:
        for command in old.commands():
            _run(checkout, folder, command, tracker, old)
    for name in ("ledger.db", "ledger.db-wal"):
        if (folder / name).exists():
            (kept / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes(), 9, mtime=0))
    (kept / "arrived.txt").write_text("".join(f"{wire(hit)}\n" for hit in tracker.hits), encoding="ascii")
    shutil.rmtree(folder)


def _run(checkout: Path, folder: Path, command: list[str], tracker: Tracker, old: Old) -> None:
    environment = {**os.environ, "HOME": str(folder), "PYTHONPATH": str(checkout)}
    environment |= {"KM_API_KEY": KEY, "KM_ACCOUNT_API_KEY": ACCOUNT_KEY}
    process = subprocess.Popen([sys.executable, "-m", "km_cli", *command], cwd=folder, env=environment)
    if old.name == "killed":
        while len(tracker.seen) < 22:
            pass
        process.kill()
    if old.local:
        while not (folder / "ledger.db-wal").exists() or (folder / "ledger.db-wal").stat().st_size < 200_000:
            pass
        process.kill()
    process.wait()


def wire(hit: Hit) -> str:
    """Return a call as it stands in an outbox: without the key."""
    return f"{hit.path}?{hit.query.partition('&')[2]}"


if __name__ == "__main__":
    for one in (*OLDS, UNSENT, BUSY, FOLLOWED):
        if one.format == int(sys.argv[1]):
            make(one, Path(sys.argv[2]).resolve())
