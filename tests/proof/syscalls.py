"""Every system call by which a run changes anything: it is killed before it and after it, and it fails once.

A case is `SCENE killed-before CALL NUMBER`, `SCENE killed-after CALL NUMBER` or `SCENE ERROR CALL NUMBER`.
"""

from __future__ import annotations

import atexit
import errno
import os
import random
import re
import shutil
import signal
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.proof.base import Failure, Passed, Proof
from tests.proof.scenes import SCENES, Scene, Stage, after_all, played, scenes, undisturbed
from tests.proof.strace import Ended, counted, failing, killed_after, killed_before, survey
from tests.support.command import KEY, Command, Result
from tests.support.killing import Fork, Killer

_open = ExitStack()
atexit.register(_open.close)

_SYNC = ("EIO", "ENOSPC")
_NAME = ("EIO", "ENOSPC")
_SEND = ("EIO", "EINTR", "EAGAIN", "ECONNRESET")
ERRORS: dict[str, tuple[str, ...]] = {
    "write": ("ENOSPC", "EIO", "EINTR"),
    "pwrite64": ("ENOSPC", "EIO", "EINTR"),
    **dict.fromkeys(("fsync", "fdatasync", "sync_file_range"), _SYNC),
    "ftruncate": ("EIO", "ENOSPC", "EINTR"),
    **dict.fromkeys(("rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir"), _NAME),
    **dict.fromkeys(("sendto", "sendmsg"), _SEND),
    "openat": ("EMFILE", "EINTR"),
    "socket": ("EMFILE",),
    "accept4": ("EMFILE", "EINTR"),
}
"""The calls that are disturbed, and the errors with which each fails."""

WORDS = {
    "EIO": ("disk I/O error",),
    "ENOSPC": ("database or disk is full", "disk I/O error"),
    "EMFILE": (
        "too many files are open",
        "unable to open database file",
        "attempt to write a readonly database",
    ),
}
"""Other words for an error. SQLite tells a full disk from a broken one when it writes, not when it syncs.
A file that it cannot open for writing it opens for reading."""

SURVIVED = frozenset({"EINTR", "EAGAIN"})
"""Errors that are no errors: the call has to be made again."""

ONLY_FAIL = frozenset({"openat", "socket", "accept4"})
"""Calls that change nothing: a kill there is the kill before the next write."""

NETWORK = frozenset({"sendto", "sendmsg", "socket", "accept4"})


@cache
def places(scene: Scene) -> Mapping[tuple[str, int], tuple[str, ...]]:
    """Return the calls of an undisturbed run, by name and number among those of a thread, with their errors.

    Of the files that are opened, only those of the run count: Python opens its own modules.
    """
    with TemporaryDirectory() as folder, played(scene, Path(folder)) as stage:
        found = counted(surveyed(scene, stage))
    return {
        (call, number): _errors(scene, call, texts)
        for (call, number), texts in found.items()
        if call != "openat" or any(folder in text for text in texts)
    }


def surveyed(scene: Scene, stage: Stage) -> list[str]:
    """Run a scene undisturbed; return a line for each of its calls."""
    return survey(_begun(scene, stage), tuple(ERRORS), stage.folder / "strace")


def _errors(scene: Scene, call: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Return the errors with which a call may fail.

    Python does not list a folder again that was interrupted, and no file system of a disk interrupts it. To
    the wake-up of its thread, also a `sendto`, EAGAIN means that the other thread has one already.
    """
    unreal = set()
    if any("O_DIRECTORY" in text for text in texts):
        unreal.add("EINTR")
    if scene.transport == "curl":
        unreal.add("EAGAIN")
    return tuple(error for error in ERRORS[call] if error not in unreal)


def cases(seed: int) -> Iterator[str]:
    """Yield every case of every scene: one of each kind of call in turn, as nine of ten are `pwrite64`."""
    found: dict[str, list[str]] = defaultdict(list)
    for scene in scenes():
        for (call, number), errors in places(scene).items():
            kills = () if call in ONLY_FAIL else ("killed-before", "killed-after")
            found[call] += [f"{scene.name} {how} {call} {number}" for how in (*kills, *errors)]
    mixed = [random.Random(seed).sample(sorted(found[call]), len(found[call])) for call in sorted(found)]
    for turn in zip_longest(*mixed):
        yield from (case for case in turn if case)


def run(case: str, folder: Path) -> Failure | Passed:
    """Disturb a run as the case says; look at its end, and at that of the next ones.

    With several calls in flight, not every run makes a call of that number.
    """
    name, how, call, number = case.split()
    scene = SCENES[name]
    usual = undisturbed(scene).code
    with played(scene, folder) as stage:
        ended, is_hit = disturbed(scene, stage, how, call, int(number))
        wrong = [*_wrong_end(ended, how, call, usual), *after_all(scene, stage)]
    if not wrong:
        return Passed(float(is_hit))
    return Failure("\n".join((*wrong, f"the disturbed run ended with {ended.code}:", ended.out + ended.err)))


def disturbed(scene: Scene, stage: Stage, how: str, call: str, number: int) -> Ended:
    """Run a scene with one disturbance."""
    run, log = _begun(scene, stage), stage.folder / "strace"
    if how == "killed-before":
        return killed_before(run, call, number, log)
    if how == "killed-after":
        return killed_after(run, call, number, log)
    return failing(run, call, number, how, log)


def _begun(scene: Scene, stage: Stage) -> Fork:
    """Start the run of a scene; it waits."""
    return _killer().start(stage.command, *scene.command_line(stage))


@cache
def _killer() -> Killer:
    """Return the process that forks all runs of this process."""
    return _open.enter_context(Killer())


def _wrong_end(ended: Result, how: str, call: str, usual: int) -> list[str]:
    """Return what is wrong with the end of the disturbed run itself."""
    said = ended.out + ended.err
    wrong = [f"it shows {word}" for word in ("Traceback", "Exception", KEY) if word in said]
    if how.startswith("killed"):
        fine = {usual, -signal.SIGKILL}
    elif how in SURVIVED:
        fine = {usual}
    else:
        fine = {usual, 69, 74, 75} if call in NETWORK else {usual, 73, 74}
    if ended.code not in fine:
        wrong.append(f"it ends with {ended.code}, and should with one of {sorted(fine)}")
    if ended.code not in (usual, -signal.SIGKILL) and not _is_said(ended.err, how):
        wrong.append(f"it does not say {how} and a next step")
    return wrong


def _is_said(err: str, error: str) -> bool:
    """Tell whether a message names the error, in the words of the system or of SQLite, and a next step."""
    reasons = (os.strerror(getattr(errno, error)), *WORDS.get(error, ()))
    says = "|".join(map(re.escape, reasons))
    return re.search(rf"^km-cli: .*({says}).*\n  next: .+", err, re.MULTILINE) is not None


def missing() -> str:
    """Return why it cannot run here."""
    if not shutil.which("strace"):
        return "needs strace"
    with TemporaryDirectory() as folder:
        try:
            run = _killer().start(Command(Path(folder)), "--version")
            survey(run, ("write",), Path(folder) / "strace")
        except RuntimeError:
            return "needs the right to trace processes"
    return ""


PROOF = Proof(
    "syscalls", "every system call, killed at and failing", cases, run, 300, missing, unit="reached"
)
