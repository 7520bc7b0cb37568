"""Feeds one target in a process of its own: `python -m tests.proof.fuzzing TARGET [FLAG...] CORPUS`.

The flags are those of libFuzzer, which Atheris drives by the coverage of km_cli.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from tempfile import TemporaryDirectory

import atheris

import km_cli

with atheris.instrument_imports(include=["km_cli"]):
    for found in walk_packages(km_cli.__path__, "km_cli."):
        if not found.name.startswith(("km_cli.__main__", "km_cli.spark")):
            import_module(found.name)  # Commands import what they need when they run, which is too late.
    from tests.proof.targets import TARGETS


def main() -> None:
    """Fuzz until the flags say that it is enough. The process ends in here."""
    target = TARGETS[sys.argv.pop(1)]
    warnings.simplefilter("error")

    def feed(data: bytes) -> None:
        with TemporaryDirectory(prefix="fuzz-") as folder:
            target(data, Path(folder))

    atheris.Setup(sys.argv, feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
