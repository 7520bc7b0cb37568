"""Fuzzing: inputs that are made up by chance, led by the coverage of the code.

Atheris, with libFuzzer, makes them; where it is not installed, hypothesis does. A case is `TARGET SEED`: some
hundred inputs that are made from the seeds of the target. The case `TARGET =HEX` is one input.
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
from tests.proof.drawing import SECONDS
from tests.proof.seeds import seeds
from tests.proof.targets import BORROWED, TARGETS

_INPUTS = 500
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
    crashes = folder / "crashes"
    crashes.mkdir()
    words = (_atheris if find_spec("atheris") else _hypothesis)(target, word, folder, crashes)
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "TMPDIR": str(folder)}
    words = [sys.executable, "-m", *words]
    done = subprocess.run(words, capture_output=True, text=True, cwd=_ROOT, env=environment, check=False)
    if done.returncode == 0:
        return None
    found = [path.read_bytes().hex() for path in crashes.iterdir()]
    alone = "".join(f"\nthe input alone: --only fuzz --case '{target} ={data}'" for data in found)
    return Failure(f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}{alone}")


def _atheris(target: str, seed: str, folder: Path, crashes: Path) -> list[str]:
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, data in enumerate(seeds(BORROWED.get(target, target))):
        (corpus / f"{number:06}").write_bytes(data)
    return [
        "tests.proof.fuzzing", target, f"-runs={_INPUTS}", f"-seed={seed}", "-max_len=4000",
        f"-timeout={SECONDS}", f"-artifact_prefix={crashes}/", str(corpus),
    ]  # fmt: skip


def _hypothesis(target: str, seed: str, _folder: Path, crashes: Path) -> list[str]:
    return ["tests.proof.drawing", target, seed, str(crashes)]


def feed(target: str, data: bytes) -> None:
    """Give one input to a target, in a folder of its own. Raises AssertionError, or whatever escapes."""
    with TemporaryDirectory(prefix="fuzz-") as folder:
        TARGETS[target](data, Path(folder))


PROOF = Proof("fuzz", "any bytes as logs, km.toml, ledgers, plans, answers", _cases, _run, 4)
