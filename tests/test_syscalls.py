"""The proof by system calls hits the calls that it names, and sees what a disturbed run leaves behind."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proof.scenes import SCENES, Stage, after_all, played
from tests.proof.strace import counted
from tests.proof.syscalls import _disturbed, _is_said, places

LINES = """\
7 openat(AT_FDCWD, "/a", O_RDONLY) = 3</a>
7 write(3</a>, "x", 1) = 1
8 sendto(4<socket:[1]>, "GET", 3, 0, NULL, 0 <unfinished ...>
7 write(3</a>, "y", 1) = 1
8 <... sendto resumed>) = 3
8 write(3</a>, "z", 1) = 1
7 --- SIGCHLD {si_signo=SIGCHLD} ---
7 +++ exited with 0 +++
"""


def test_calls_are_counted_by_name_and_thread() -> None:
    found = counted(LINES.splitlines())
    numbers = {place: len(lines) for place, lines in found.items()}
    assert numbers == {("openat", 1): 1, ("write", 1): 2, ("sendto", 1): 1, ("write", 2): 1}


@pytest.mark.parametrize(
    ("err", "is_said"),
    [
        ("km-cli: the ledger cannot be written: disk I/O error\n  next: repair the disk\n", True),
        ("km-cli: log.csv: Input/output error\n  next: run again\n", True),
        ("km-cli: log.csv: Input/output error\n", False),
        ("km-cli: something went wrong\n  next: run again\n", False),
        ("km-cli: something went wrong\nInput/output error\n  next: run again\n", False),
    ],
)
def test_an_error_has_to_be_named_with_a_next_step(err: str, is_said: bool) -> None:
    assert _is_said(err, "EIO") == is_said


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A ledger with ten pending calls."""
    with played(SCENES["resume"], tmp_path) as stage:
        yield stage


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


@needs_strace
@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "call", "number", "sent"),
    [("killed-before", "sendto", 3, 2), ("killed-after", "sendto", 3, 3), ("EIO", "fdatasync", 1, None)],
)
def test_the_call_is_hit(stage: Stage, how: str, call: str, number: int, sent: int | None) -> None:
    """With one call in flight, a kill before the third one leaves two at the tracker, after it three."""
    scene = SCENES["resume"]
    assert {"sendto", "fdatasync", "pwrite64", "unlink"} <= {name for name, _ in places(scene)}
    ended = _disturbed(scene, stage, how, call, number)
    assert ended.is_hit
    if sent is None:
        assert ended.code == 74
    else:
        assert ended.code == -signal.SIGKILL
        stage.tracker.stop()  # It has read all that came.
        assert len(stage.tracker.seen) == sent
        stage.tracker.start()
    assert after_all(scene, stage) == []


@pytest.mark.slow
def test_a_lost_call_and_a_call_too_many_are_seen(stage: Stage) -> None:
    """The judge is not blind."""
    scene = SCENES["resume"]
    scene.run(stage).ended(0)
    assert after_all(scene, stage) == []
    lost = stage.tracker.hits.pop()
    stage.tracker.seen.remove(lost)
    assert any(text.startswith("lost: ") for text in after_all(scene, stage))
    assert any(text.startswith("never sent: ") for text in after_all(scene, stage))
