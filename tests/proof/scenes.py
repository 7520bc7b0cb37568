"""Runs that are disturbed: each with a log, a state before it, and all that must be so in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.support.accounting import calls_of, complaints, rejected_in
from tests.support.command import KEY, Command, Result
from tests.support.rowcount import Form, Level
from tests.support.tracker import Tracker, refuse

FORM = Form((Level("user", "user"), Level("account", "account")))
HEADER = "user,account,event,timestamp,plan\n"
EARLY = """\
ada,Acme,Signed Up,2024-01-01T00:00:00Z,pro
bo,Acme,Invited,2024-01-01T00:00:01Z,pro
guest,Acme,Invited,2024-01-01T00:00:01Z,pro
cy,Acme,Invited,2024-01-01T00:00:01Z,free
"""
LATE = """\
ada,Beta,Paid,2024-01-01T00:00:02Z,
dee,,Paid,2024-01-01T00:00:03Z,pro
guest,Beta,Paid,2024-01-01T00:00:04Z,pro
,Beta,Paid,2024-01-01T00:00:05Z,free
"""
"""Two accounts act twice in one second, one user is no person (I1), and personas are missing."""

BACKFILL = '[[backfill]]\nname = "all"\nfiles = ["*.csv"]\n'
Wire = tuple[str, str, str, bytes]


class Stage:
    """A folder, a tracker, and the command that sends to it."""

    def __init__(self, folder: Path, tracker: Tracker, transport: str) -> None:
        self.folder = folder
        self.tracker = tracker
        self.command = Command(folder, tracker.url, {"KM_CLI_TRANSPORT": transport})

    def write(self, name: str, text: str) -> None:
        """Write a file of the folder."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def wires(self) -> set[Wire]:
        """Return the bytes of the calls that arrived."""
        return {hit.wire for hit in self.tracker.seen}


class Scene(NamedTuple):
    """A run that is disturbed."""

    name: str
    prepare: Callable[[Stage], None]
    """Bring the folder into the state before the run."""
    words: tuple[str, ...]
    """The command line; names with a dot are files of the folder."""
    transport: str = "requests"

    def command_line(self, stage: Stage) -> list[str]:
        """Return the words of the run."""
        return [str(stage.folder / word) if "." in word else word for word in self.words]

    def run(self, stage: Stage) -> Result:
        """Run it undisturbed, in this process."""
        return stage.command(*self.command_line(stage))

    def logs(self, stage: Stage) -> list[Path]:
        """Return the files that are read."""
        return sorted(stage.folder.glob("*.csv"))


def _one_log(stage: Stage) -> None:
    stage.write("day.csv", HEADER + EARLY + LATE)


def _pending(stage: Stage) -> None:
    """Every call is durable, and none is sent."""
    _one_log(stage)
    stage.tracker.behave = lambda _hit, _number: refuse(403)
    stage.command("import", stage.folder / "day.csv").ended(69)
    stage.tracker.behave = None
    stage.tracker.forget()


def _a_day_later(stage: Stage) -> None:
    """A first backfill has read one file. Since then it has grown, and there is another one."""
    stage.write("km.toml", BACKFILL)
    stage.write("day.csv", HEADER + EARLY)
    stage.command("backfill", "--config", stage.folder / "km.toml").ended(65)
    stage.write("day.csv", HEADER + EARLY + LATE)
    stage.write("later.csv", HEADER + LATE.replace("2024-01-01", "2024-01-02"))


_IMPORT = ("import", "day.csv", "--batch-size", "3")
_BACKFILL = ("backfill", "--config", "km.toml", "--batch-size", "3")

SCENES = {
    scene.name: scene
    for scene in (
        Scene("import", _one_log, (*_IMPORT, "--concurrency", "1")),
        Scene("import-4", _one_log, (*_IMPORT, "--concurrency", "4")),
        Scene("backfill", _a_day_later, (*_BACKFILL, "--concurrency", "1")),
        Scene("resume", _pending, (*_IMPORT, "--concurrency", "1")),
        Scene("backfill-curl", _a_day_later, (*_BACKFILL, "--concurrency", "4"), "curl"),
        Scene("resume-curl", _pending, (*_IMPORT, "--concurrency", "4"), "curl"),
    )
}


def scenes() -> list[Scene]:
    """Return the scenes that can be played here."""
    has_curl = find_spec("pycurl") is not None
    return [scene for scene in SCENES.values() if has_curl or scene.transport != "curl"]


@contextmanager
def played(scene: Scene, folder: Path) -> Iterator[Stage]:
    """Prepare a scene in an empty folder."""
    with Tracker() as tracker:
        stage = Stage(folder, tracker, scene.transport)
        scene.prepare(stage)
        yield stage


class Undisturbed(NamedTuple):
    """A run that nothing disturbs: how it ends, and the bytes of all calls that arrive."""

    code: int
    wires: frozenset[Wire]


@cache
def undisturbed(scene: Scene) -> Undisturbed:
    """Play a scene without any disturbance; it must be right, too."""
    with TemporaryDirectory() as folder, played(scene, Path(folder)) as stage:
        code = scene.run(stage).code
        wrong = missing_or_twice(scene, stage)
        assert not wrong, wrong
        return Undisturbed(code, frozenset(stage.wires()))


def after_all(scene: Scene, stage: Stage) -> list[str]:
    """Run twice more, and return all that is wrong then."""
    again = scene.run(stage)
    if again.code not in (0, 65):
        return [f"the next run ends with {again.code}: {again.err}"]
    wrong = missing_or_twice(scene, stage)
    usual = undisturbed(scene).wires
    wrong += [f"never sent: {wire}" for wire in usual - stage.wires()]
    wrong += [f"not byte for byte a call of an undisturbed run: {wire}" for wire in stage.wires() - usual]
    sent = len(stage.tracker.seen)
    last = scene.run(stage)
    if (last.code, len(stage.tracker.seen)) != (0, sent):
        wrong.append(f"the run after it ends with {last.code}, sends {len(stage.tracker.seen) - sent} calls")
    return wrong + _telling(again) + _telling(last)


def missing_or_twice(scene: Scene, stage: Stage) -> list[str]:
    """Count the rows by code that knows nothing of km-cli, and compare them with calls and rejects."""
    calls = calls_of(stage.tracker.hits, {KEY: "main"})
    rejected = rejected_in(*sorted(stage.command.state.glob("rejects-*")))
    logs = scene.logs(stage)
    bad = {(str(path), line) for path in logs for line in _bad_lines(path)}
    wrong = complaints(logs, FORM, calls, rejected=rejected)
    if rejected.keys() != bad:
        wrong.append(f"rejected lines are {sorted(rejected)}, and should be {sorted(bad)}")
    return wrong


def _bad_lines(path: Path) -> Sequence[int]:
    """Return the lines whose user is no person."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, 1) if line.startswith("guest,")]


def _telling(result: Result) -> list[str]:
    return [f"it shows {word}" for word in ("Traceback", KEY) if word in result.out + result.err]
