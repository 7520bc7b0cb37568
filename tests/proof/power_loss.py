"""Power loss: the disk forgets some of what was not synced, and the next run goes on.

A run is recorded once in a process, by a file system on FUSE (`power/filesystem.py`). Each case is a state
that the disk may have after the power failed at some step (`power/losses.py`): it is laid out as plain files,
and km-cli goes on with it. A case is `SCENE NUMBER`; a failure keeps its recording in a file, and then it is
`SCENE NUMBER FILE`, since another recording has other steps.
"""

from __future__ import annotations

import atexit
import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from shutil import which

from tests.proof.base import Failure, Proof
from tests.proof.power.losses import Model, lost_at, state_of
from tests.proof.power.recording import Place, Recording, kept_in, listening, record
from tests.proof.power.resuming import wrong_after
from tests.proof.power.scenes import BY_NAME, SCENES, write_logs
from tests.proof.power.trace import Arrived, Named, Synced, Trace
from tests.proof.running import replay
from tests.support.tracker import Tracker

_AGAIN = "-again"
_TWICE = ("import", "local", "bulk-json", "bulk-csv.gz")
NAMES = (*(scene.name for scene in SCENES), *(name + _AGAIN for name in _TWICE))
"""The scenes, and runs that go on after a power loss and then lose the power once more."""
_LOSSES = 16
"""How many states are made of the recording of a run that goes on."""

_MEMORY = Path("/dev/shm")
_open = ExitStack()
atexit.register(_open.close)


def cases(seed: int) -> Iterator[str]:
    """Yield a case of each name by turns, without end."""
    return (f"{NAMES[number % len(NAMES)]} {seed * 1_000_000 + number}" for number in count())


def run(case: str, folder: Path) -> Failure | None:
    """Go on after one power loss."""
    del folder  # The disk has to stay where it was recorded.
    name, number, *file = case.split()
    group = int(number) // (len(NAMES) * _LOSSES) if name.endswith(_AGAIN) else 0
    recording, tracker = kept(file[0]) if file else recorded(name, group)
    draw = random.Random(f"{name} {number}")
    model, step = draw.choice(list(Model)), choose_step(recording.trace, draw)
    state = lost_at(recording.trace, step, model, draw)
    wrong = wrong_after(BY_NAME[recording.scene], recording, state, tracker)
    if not wrong:
        return None
    again = replay("power_loss", f"{name} {number} {file[0] if file else _keep(name, group)}")
    heads = f"{model.value} disk, power lost before step {step:,} of {len(recording.trace.steps):,}"
    return Failure("\n".join([heads, *wrong, f"with the recording: {again}"]))


def choose_step(trace: Trace, draw: random.Random) -> int:
    """Choose the step before which the power fails: of two, one is beside a sync or a change of names.

    The run begins with the first note of the tracker's requests.
    """
    begin = next(at for at, step in enumerate(trace.steps) if isinstance(step, Arrived)) + 1
    if draw.random() < 0.5:
        return draw.randint(begin, len(trace.steps))
    edges = [at for at, step in enumerate(trace.steps) if at >= begin and isinstance(step, Synced | Named)]
    return draw.choice(edges) + draw.randint(0, 1)


@cache
def missing() -> str:
    """Return the reason why no file system can be mounted here; empty if one can."""
    if not find_spec("mfusepy"):
        return "needs mfusepy: pip install --group proof"
    if not which("fusermount3"):
        return "needs Debian's fuse3"
    from tests.proof.power.filesystem import Filesystem

    with tempfile.TemporaryDirectory(prefix="power-") as folder:
        try:
            with Filesystem().mounted(Path(folder)):
                return ""
        except RuntimeError:
            return "needs to mount a file system by FUSE"


@lru_cache(maxsize=32)
def recorded(name: str, group: int = 0) -> tuple[Recording, Tracker]:
    """Record a scene, once in this process; its folder is in memory if that is possible.

    `SCENE-again` is the recording of the run that goes on after a power loss, one for each group.
    """
    if name.endswith(_AGAIN):
        first, tracker = recorded(name.removesuffix(_AGAIN))
        return record_again(first, tracker, random.Random(f"{name} {group}")), tracker
    parent = _MEMORY if _MEMORY.is_dir() else None
    folder = _open.enter_context(tempfile.TemporaryDirectory(prefix="power-", dir=parent))
    tracker = _open.enter_context(listening())
    return record_scene(name, Path(folder), tracker), tracker


def record_scene(name: str, folder: Path, tracker: Tracker) -> Recording:
    """Record a scene in a folder, and check that it ends well while the power is there."""
    scene, place = BY_NAME[name], Place(folder, tracker.url)
    write_logs(place.logs)
    tracker.forget()
    files = scene.before(place)
    recording, results = record(name, place, tracker, scene.commands, state_of(files, len(tracker.seen)))
    for result in results:
        assert result.code in (0, 65), result
    return recording


def record_again(first: Recording, tracker: Tracker, draw: random.Random) -> Recording:
    """Lose the power somewhere in a recording, and record how the run goes on."""
    step = choose_step(first.trace, draw)
    state = lost_at(first.trace, step, draw.choice(list(Model)), draw)
    tracker.forget()
    for hits in (tracker.seen, tracker.hits):
        hits.extend(first.hits[: state.requests])
    recording, _ = record(first.scene, first.place, tracker, BY_NAME[first.scene].commands, state)
    return recording


@cache
def kept(file: str) -> tuple[Recording, Tracker]:
    """Return a recording that was kept, in the same folder and with the same address of the tracker."""
    recording = kept_in(Path(file))
    recording.place.folder.mkdir(parents=True, exist_ok=True)
    write_logs(recording.place.logs)
    return recording, _open.enter_context(listening(recording.place.url))


@cache
def _keep(name: str, group: int) -> Path:
    """Write a recording to a file that stays."""
    path = Path(tempfile.mkdtemp(prefix="proof-power-"), f"{name}.recording")
    recorded(name, group)[0].keep(path)
    return path


PROOF = Proof(
    "power_loss", "the power fails, and unsynced changes are lost or torn", cases, run, 180, missing
)
