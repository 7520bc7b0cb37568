"""Saves what fuzzing finds: `python -m tests.proof.saving --seconds 60 [TARGET...]`.

Atheris fuzzes each target so long. Of its inputs those that reach code which no seed reaches are kept in
`corpus/TARGET`, the smallest first; `test_fuzz.py` feeds them from then on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.proof.seeds import CORPUS, seeds
from tests.proof.targets import BORROWED, TARGETS

MOST = 12
"""So many inputs of a target are kept, so that the tests stay quick."""
_ROOT = Path(__file__).parents[2]


def save(target: str, seconds: int, corpus: Path = CORPUS) -> list[Path]:
    """Fuzz a target, and return the new files of the corpus. Raises CalledProcessError if an input fails."""
    with TemporaryDirectory(prefix="saving-") as name:
        known, found = Path(name, "known"), Path(name, "found")
        for folder in (known, found):
            folder.mkdir()
        corpus /= BORROWED.get(target, target)
        for number, data in enumerate(seeds(corpus.name)):
            (known / f"{number:06}").write_bytes(data)
        _fuzz(target, f"-max_total_time={seconds}", "-max_len=4000", found, known)
        new = sorted(found.iterdir(), key=lambda path: (path.stat().st_size, path.name))
        return [_kept(path.read_bytes(), corpus) for path in new[:MOST]]


def _fuzz(target: str, *words: str | Path) -> None:
    command = [sys.executable, "-m", "tests.proof.fuzzing", target, *map(str, words)]
    subprocess.run(command, cwd=_ROOT, capture_output=True, check=True)


def _kept(data: bytes, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / sha256(data).hexdigest()[:12]
    path.write_bytes(data)
    return path


def main(words: Sequence[str] | None = None) -> None:
    """Save the inputs of the targets that are named, or of all."""
    parser = argparse.ArgumentParser("python -m tests.proof.saving", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(sorted(TARGETS)))
    asked = parser.parse_args(words)
    for target in asked.targets or sorted(TARGETS):
        print(f"{target}: {len(save(target, asked.seconds))} new inputs", flush=True)


if __name__ == "__main__":
    main()
