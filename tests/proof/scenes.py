"""Runs that are disturbed: each with a log, a state before it, and all that must be so in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.proof.power.judging import in_bulk_files, in_store, of_tracker
from tests.support.accounting import Call, complaints, rejected_in
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

_LOGS = ("day.csv", "later.csv")
BACKFILL = '[[backfill]]\nname = "all"\nfiles = ["*.csv"]\n'
Wire = tuple[str, str, str, bytes]


class Stage:
    """A folder, a tracker, and the command that sends to it or writes into the folder."""

    def __init__(self, folder: Path, tracker: Tracker, scene: Scene) -> None:
        self.folder = folder
        self.tracker = tracker
        to = scene.target.to.format(folder=folder, url=tracker.url)
        self.command = Command(folder, to, {"KM_CLI_TRANSPORT": scene.transport})

    def write(self, name: str, text: str) -> None:
        """Write a file of the folder."""
        (self.folder / name).write_text(text, encoding="utf-8")


class Target(NamedTuple):
    """Where calls go, and how they are read there without km-cli's code."""

    to: str
    """For `--to`."""
    calls: Callable[[Stage], list[Call]]
    """Return the calls that count, each as often as it does."""
    exact: Callable[[Stage], Sequence[Wire | Call]]
    """Return all that arrived: requests to the byte, in their order, or the calls of files."""
    litter: str = ""
    """Files that must not be left behind."""


def _in_files(stage: Stage) -> list[Call]:
    return in_bulk_files(stage.folder)


def _in_store(stage: Stage) -> list[Call]:
    path = stage.folder / "local.db"
    return in_store(path) if path.exists() else []


_TRACKER = Target(
    "{url}",
    lambda stage: of_tracker(stage.tracker.hits),
    lambda stage: [hit.wire for hit in stage.tracker.seen],
)
_JSON = Target("file:{folder}/out.json", _in_files, _in_files, "*.part")
_CSV_GZ = _JSON._replace(to="file:{folder}/out.csv.gz")
_LOCAL = Target("local:{folder}/local.db", _in_store, _in_store)


class Scene(NamedTuple):
    """A run that is disturbed."""

    name: str
    prepare: Callable[[Stage], None]
    """Bring the folder into the state before the run."""
    words: tuple[str, ...]
    """The command line; names with a dot are files of the folder."""
    target: Target = _TRACKER
    transport: str = "requests"

    def command_line(self, stage: Stage) -> list[str]:
        """Return the words of the run."""
        return [str(stage.folder / word) if "." in word else word for word in self.words]

    def run(self, stage: Stage) -> Result:
        """Run it undisturbed, in this process."""
        return stage.command(*self.command_line(stage))

    def logs(self, stage: Stage) -> list[Path]:
        """Return the files that are read."""
        return [path for name in _LOGS if (path := stage.folder / name).exists()]


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
        Scene("backfill-curl", _a_day_later, (*_BACKFILL, "--concurrency", "4"), transport="curl"),
        Scene("resume-curl", _pending, (*_IMPORT, "--concurrency", "4"), transport="curl"),
        Scene("bulk-json", _one_log, _IMPORT, _JSON),
        Scene("bulk-csv.gz", _one_log, _IMPORT, _CSV_GZ),
        Scene("local", _one_log, _IMPORT, _LOCAL),
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
        stage = Stage(folder, tracker, scene)
        scene.prepare(stage)
        yield stage


class Undisturbed(NamedTuple):
    """A run that nothing disturbs: how it ends, and all that arrives."""

    code: int
    exact: frozenset[Wire | Call]


@cache
def undisturbed(scene: Scene) -> Undisturbed:
    """Play a scene without any disturbance; it must be right, too."""
    with TemporaryDirectory() as folder, played(scene, Path(folder)) as stage:
        code = scene.run(stage).code
        wrong = missing_or_twice(scene, stage)
        assert not wrong, wrong
        return Undisturbed(code, frozenset(scene.target.exact(stage)))


def after_all(scene: Scene, stage: Stage) -> list[str]:
    """Run twice more, and return all that is wrong then."""
    again = scene.run(stage)
    if again.code not in (0, 65):
        return [f"the next run ends with {again.code}: {again.err}"]
    wrong = missing_or_twice(scene, stage)
    usual, arrived = undisturbed(scene).exact, scene.target.exact(stage)
    wrong += [f"never sent: {one}" for one in usual.difference(arrived)]
    wrong += [f"not byte for byte a call of an undisturbed run: {one}" for one in set(arrived) - usual]
    last = scene.run(stage)
    more = len(scene.target.exact(stage)) - len(arrived)
    if last.code or more:
        wrong.append(f"the run after it ends with {last.code}, sends {more} calls")
    if scene.target.litter:
        wrong += [f"{path.name} is left" for path in stage.folder.glob(scene.target.litter)]
    return wrong + _telling(again) + _telling(last)


def missing_or_twice(scene: Scene, stage: Stage) -> list[str]:
    """Count the rows by code that knows nothing of km-cli, and compare them with calls and rejects."""
    rejected = rejected_in(*sorted(stage.folder.rglob("rejects-*")))
    logs = scene.logs(stage)
    bad = {(str(path), line) for path in logs for line in _bad_lines(path)}
    wrong = complaints(logs, FORM, scene.target.calls(stage), rejected=rejected)
    if rejected.keys() != bad:
        wrong.append(f"rejected lines are {sorted(rejected)}, and should be {sorted(bad)}")
    return wrong


def _bad_lines(path: Path) -> Sequence[int]:
    """Return the lines whose user is no person."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, 1) if line.startswith("guest,")]


def _telling(result: Result) -> list[str]:
    return [f"it shows {word}" for word in ("Traceback", KEY) if word in result.out + result.err]
