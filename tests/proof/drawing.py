"""Feeds one target without Atheris: `python -m tests.proof.drawing TARGET SEED FOLDER`.

hypothesis changes the seeds of the target, and strives for inputs that reach many lines of km_cli. An input
that fails is made small and left in the folder; so is one that hangs. Then the exit code is 1.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, given, seed, settings, target

import km_cli
from tests.proof.seeds import seeds
from tests.proof.targets import BORROWED, TARGETS

INPUTS = 200
"""Fewer than Atheris feeds in the same time: each line that is reached is counted here."""
SECONDS = 120
"""An input that takes longer hangs, even on a busy machine."""
_LONGEST, _SHORT = 4_000, 40
_CODE = os.path.dirname(km_cli.__file__)


def fuzz(
    feed: Callable[[bytes], object], begin: Sequence[bytes], number: int, inputs: int, crashes: Path
) -> str:
    """Feed so many inputs; return the traceback of a failure, whose smallest input is then in the folder."""
    kept = crashes / "input"

    @seed(number)
    @settings(
        max_examples=inputs,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.target, Phase.shrink),
    )
    @given(_changed(begin))
    def feed_each(data: bytes) -> None:
        kept.write_bytes(data)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        try:
            target(float(lines_reached(feed, data)), label="lines of km_cli")
        finally:
            faulthandler.cancel_dump_traceback_later()
        kept.unlink()

    try:
        feed_each()
    except Exception:  # noqa: BLE001 - whatever escapes is a failure of the target
        return traceback.format_exc()
    return ""


def _changed(begin: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Draw one of the first inputs with some changes: a place, bytes that go, and bytes that come."""
    pieces = st.one_of(st.binary(max_size=8), st.sampled_from(sorted(_pieces(begin))))
    gone = st.one_of(st.integers(0, 16), st.integers(0, _LONGEST))
    changes = st.lists(st.tuples(st.integers(0, _LONGEST), gone, pieces), max_size=6)
    return st.builds(_change, st.sampled_from(begin), changes)


def _pieces(begin: Iterable[bytes]) -> set[bytes]:
    """Return what the first inputs are made of, to put it elsewhere."""
    pieces = (piece for data in begin for piece in data.replace(b",", b"\n").split(b"\n"))
    return {b"", *(piece for piece in pieces if len(piece) < _SHORT)}


def _change(data: bytes, changes: Iterable[tuple[int, int, bytes]]) -> bytes:
    for place, gone, come in changes:
        at = place % (len(data) + 1)
        data = data[:at] + come + data[at + gone :]
    return data[:_LONGEST]


def lines_reached(feed: Callable[[bytes], object], data: bytes) -> int:
    """Feed an input; return how many lines of km_cli ran in this thread."""
    reached: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_CODE):
            return None
        if event == "line":
            reached.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        feed(data)
    finally:
        sys.settrace(before)
    return len(reached)


def main(name: str, number: str, crashes: str) -> int:
    """Feed the target of this name."""
    warnings.simplefilter("error")

    def feed(data: bytes) -> None:
        with TemporaryDirectory(prefix="fuzz-") as folder:
            TARGETS[name](data, Path(folder))

    said = fuzz(feed, list(seeds(BORROWED.get(name, name))), int(number), INPUTS, Path(crashes))
    print(said, file=sys.stderr)
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
