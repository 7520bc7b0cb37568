"""Copies of km-cli that break a delivery promise: a test must fail on each of them.

A case is the name of a patch beside this file. The patch says in its first lines which promise it breaks and
which test finds it:

    Promise: 3
    Breaks: any answer of 200 acknowledges a call
    Found by: tests/test_outcomes.py -k refused_as_a_whole

A patch that does not apply any more is a failure: make it anew, so that the promise stays guarded.
"""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.proof.base import Failure, Proof
from tests.support.patience import PATIENCE

PATCHES = Path(__file__).parent
ROOT = PATCHES.parents[2]
_COPIED = ("km_cli", "tests", "samples", "pyproject.toml", "README.md")
_FAILED = 1
"""Pytest's exit code if a test failed. It has others if no test was found or none could begin."""


class Mutant(NamedTuple):
    """A patch, and what its first lines say."""

    patch: Path
    promise: int
    breaks: str
    found_by: tuple[str, ...]


def mutant(name: str) -> Mutant:
    """Read a patch."""
    patch = PATCHES / f"{name}.patch"
    head, _, _ = patch.read_text(encoding="utf-8").partition("\n\n")
    said = dict(line.split(": ", 1) for line in head.splitlines())
    return Mutant(patch, int(said["Promise"]), said["Breaks"], tuple(shlex.split(said["Found by"])))


def names() -> list[str]:
    """Return the names of all patches."""
    return sorted(path.stem for path in PATCHES.glob("*.patch"))


def cases(seed: int) -> Iterator[str]:
    """Yield every patch, mixed."""
    yield from random.Random(seed).sample(names(), len(names()))


def run(case: str, folder: Path) -> Failure | None:
    """Patch a copy of the tree and run the test that must fail there."""
    one = mutant(case)
    for name in _COPIED:
        copied = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copied(ROOT / name, folder / name)
    applied = subprocess.run(
        ["git", "apply", one.patch], cwd=folder, capture_output=True, text=True, check=False
    )
    if applied.returncode:
        return Failure(f"the patch does not apply any more: make it anew\n{applied.stderr}")
    tested = _test(folder, one.found_by)
    if tested.returncode == _FAILED and "ERROR " not in tested.stdout:
        return None
    said = "\n".join(tested.stdout.splitlines()[-30:])
    return Failure(
        f"promise {one.promise} is broken and not missed ({one.breaks}): "
        f"pytest {shlex.join(one.found_by)} ends with {tested.returncode}\n{said}"
    )


def _test(folder: Path, found_by: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *found_by],
        cwd=folder,
        env={**variables, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def missing() -> str:
    """Return why it cannot run here."""
    return "" if shutil.which("git") else "needs git"


PROOF = Proof("mutants", "each promise broken on purpose, and found", cases, run, short=1000, missing=missing)
