"""The runs whose disk loses its power: their commands, how they go on, and the calls that must be there."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from tests.proof.power.judging import in_bulk_files, in_store, of_tracker
from tests.proof.power.recording import Place
from tests.support.accounting import Call
from tests.support.rowcount import Form, Level
from tests.support.tracker import Hit

FORM = Form((Level("user", "user"), Level("account", "account")))
COLUMNS = "timestamp,user,account,event,plan"
LOGS = ("a.csv", "b.csv")

_OPTIONS = "--batch-size 20 --json"
_TO_TRACKER = "--to {url} --concurrency 4 " + _OPTIONS
_PLAN = "{disk}/plan.toml"


class Scene(NamedTuple):
    """A run. Command lines have `{disk}`, `{logs}` and `{url}` in the places of folders and tracker."""

    name: str
    commands: tuple[str, ...]
    arrived: Callable[[Place, Sequence[Hit]], Iterable[Call]]
    """Return the calls that are at the destination, each as often as it is there."""
    resumed: Callable[[Place], Sequence[str]] | None = None
    """Return the commands that go on after the loss; None: the same ones."""
    ledger: str = ""
    """Options of `ledger check`."""
    before: Callable[[Place], Mapping[str, bytes]] = lambda _place: {}
    """Return the files that are on the disk when the run begins, by name."""

    def again(self, place: Place) -> Sequence[str]:
        """Return the commands that a person gives after the power loss."""
        return self.commands if self.resumed is None else self.resumed(place)


def write_logs(folder: Path) -> None:
    """Write two logs that overlap: of the common rows, some were changed since. Some rows are bad."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(21)
    rows = [_row(number, draw) for number in range(150)]
    later = [row.replace(",pro", ",free") if number % 7 == 0 else row for number, row in enumerate(rows)]
    for name, some in zip(LOGS, (rows[:100], later[70:]), strict=True):
        (folder / name).write_text("\n".join([COLUMNS, *some, ""]), encoding="utf-8")
    sources = "\n".join(f'[[backfill]]\nname = "{log[0]}"\nfiles = ["{folder / log}"]' for log in LOGS)
    (folder / "km.toml").write_text(sources, encoding="utf-8")


def _row(number: int, draw: random.Random) -> str:
    """A row of three in a second; every tenth has neither user nor account."""
    who = "," if number % 10 == 3 else f"u{draw.randrange(5)},{draw.choice(('acme', 'beta', ''))}"
    minutes, seconds = divmod(number // 3, 60)
    event, plan = draw.choice(("Invited", "Paid", "In")), draw.choice(("pro", "free", ""))
    return f"2024-03-01T12:{minutes:02}:{seconds:02}Z,{who},{event},{plan}"


def bad_lines(path: Path) -> set[int]:
    """Return the lines of a log that have neither user nor account."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, start=1) if ",,," in line}


def _imports(to: str) -> tuple[str, ...]:
    return tuple(f"import {{logs}}/{log} {to}" for log in LOGS)


def _planned(place: Place) -> list[str]:
    """A plan that is there is taken; without one, it is made first."""
    make, take = (f"{word} {_TO_TRACKER}" for word in _PLAN_WORDS)
    return [take] if (place.disk / "plan.toml").exists() else [make, take]


_PLAN_WORDS = (
    f"dry-run {{logs}}/a.csv {{logs}}/b.csv --out {_PLAN}",
    f"import {{logs}}/a.csv {{logs}}/b.csv --plan {_PLAN}",
)


def _bulk(ending: str, more: str = "") -> Scene:
    commands = _imports(f"--to file:{{disk}}/out.{ending} --part-size 3K {_OPTIONS}{more}")
    return Scene(f"bulk-{ending}", commands, lambda place, _hits: in_bulk_files(place.disk))


def _used_ledger(place: Place, change: str) -> dict[str, bytes]:
    """Import the first log, change its ledger, and return that with the lock, which says "closed"."""
    ledger = place.logs / "before.db"
    words = f"import {{logs}}/a.csv --ledger {ledger} --rejects {{logs}}/rejects.jsonl {_TO_TRACKER}"
    place.command()(*place.words(words)).ended(65)
    with closing(sqlite3.connect(ledger)) as database:
        database.executescript(change)
    lock = ledger.with_name(f"{ledger.name}.lock")
    return {"ledger.db": ledger.read_bytes(), "ledger.db.lock": lock.read_bytes()}


_TO_FORMAT_5 = (
    "DROP TABLE horizons; DROP TABLE bulk_parts; UPDATE meta SET value = '5' WHERE key = 'version';"
)
_LIKE_A_BACKUP = "PRAGMA journal_mode = DELETE;"


def _at_tracker(name: str, *commands: str, **more: Any) -> Scene:
    return Scene(name, commands, lambda _place, hits: of_tracker(hits), **more)


_PRUNE = "ledger prune --older-than 2024-04-01 --yes --to {url}"
_OWN_LEDGER = "--ledger {disk}/ledger.db"

SCENES = (
    _at_tracker("import", *_imports(_TO_TRACKER)),
    Scene(
        "local",
        _imports("--to local:{disk}/local.db " + _OPTIONS),
        lambda place, _hits: in_store(place.disk / "local.db"),
        ledger="--to local:{disk}/local.db",
    ),
    _bulk("json"),
    _at_tracker(
        "plan", *(f"{one} {_TO_TRACKER}" for one in (_PLAN_WORDS[0], *_PLAN_WORDS)), resumed=_planned
    ),
    _at_tracker("backfill", f"backfill --config {{logs}}/km.toml {_TO_TRACKER}"),
    _bulk("csv.gz", " --rejects {disk}/new/folder/rejects.jsonl"),
    _at_tracker("prune", *_imports(_TO_TRACKER), _PRUNE),
    _at_tracker(
        "migrate",
        *_imports(f"{_TO_TRACKER} {_OWN_LEDGER}"),
        before=lambda place: _used_ledger(place, _TO_FORMAT_5 + _LIKE_A_BACKUP),
        ledger=_OWN_LEDGER,
    ),
)
BY_NAME = {scene.name: scene for scene in SCENES}
