"""Fuzzing: inputs that are made up by chance, led by the coverage of the code (Atheris, with libFuzzer).

A case is `TARGET SEED`: five hundred inputs that are made from the seeds of the target. The case
`TARGET =HEX` is one input.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.proof.base import Failure, Proof
from tests.proof.seeds import seeds
from tests.proof.targets import BORROWED, TARGETS

_INPUTS = 500
_SECONDS = 120
"""An input that takes longer hangs, even on a busy machine."""
_ROOT = Path(__file__).parents[2]


def _cases(seed: int) -> Iterator[str]:
    chance = random.Random(seed)
    while True:
        for target in chance.sample(sorted(TARGETS), len(TARGETS)):
            yield f"{target} {chance.randrange(1, 1 << 31)}"


def _run(case: str, folder: Path) -> Failure | None:
    target, word = case.split()
    if word.startswith("="):
        feed(target, bytes.fromhex(word[1:]))
        return None
    corpus, crashes = folder / "corpus", folder / "crashes"
    for path in (corpus, crashes):
        path.mkdir()
    for number, data in enumerate(seeds(BORROWED.get(target, target))):
        (corpus / f"{number:06}").write_bytes(data)
    words = [
        sys.executable, "-m", "tests.proof.fuzzing", target, f"-runs={_INPUTS}", f"-seed={word}",
        "-max_len=4000", f"-timeout={_SECONDS}", f"-artifact_prefix={crashes}/", str(corpus),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "TMPDIR": str(folder)}
    done = subprocess.run(words, capture_output=True, text=True, cwd=_ROOT, env=environment, check=False)
    if done.returncode == 0:
        return None
    found = [path.read_bytes().hex() for path in crashes.iterdir()]
    alone = "".join(f"\nthe input alone: --only fuzz --case '{target} ={data}'" for data in found)
    return Failure(f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}{alone}")


def feed(target: str, data: bytes) -> None:
    """Give one input to a target, in a folder of its own. Raises AssertionError, or whatever escapes."""
    with TemporaryDirectory(prefix="fuzz-") as folder:
        TARGETS[target](data, Path(folder))


def _missing() -> str:
    return "" if find_spec("atheris") else "needs atheris (the dependency group proof)"


PROOF = Proof("fuzz", "any bytes as logs, km.toml, ledgers, plans, answers", _cases, _run, 4, _missing)
