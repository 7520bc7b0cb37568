"""The command that installs a missing library: right for any Python that runs km-cli."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from importlib import util
from pathlib import Path

import pytest

from km_cli.install_hint import PACKAGES, install_command

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def test_the_packages_are_those_of_the_extras() -> None:
    """A version that the extra does not take is not installed by the command, either."""
    extras = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    assert {extra: tuple(map(_named, found)) for extra, found in extras.items()} == PACKAGES


def _named(requirement: str) -> str:
    """Return the package of a requirement, with the version that is too new."""
    package, limit = re.match(r"([\w-]+(?:\[\w+\])?)[^<]*(<.*)?", requirement).groups("")
    return package + limit


def test_it_installs_into_the_environment_of_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path with a space is one word for a shell."""
    monkeypatch.setattr(sys, "executable", "/home/ada/my tools/bin/python")
    words = ["/home/ada/my tools/bin/python", "-m", "pip", "install", "altair", "vl-convert-python"]
    assert shlex.split(install_command("report")) == words


def test_where_there_is_no_pip_it_is_that_of_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    find = util.find_spec
    monkeypatch.setattr("km_cli.install_hint.find_spec", lambda name: None if name == "pip" else find(name))
    assert install_command("zst") == f"uv pip install --python {shlex.quote(sys.executable)} zstandard"
