"""Writes the commands' real help into the README: `python -m tests.make_readme`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
_BEGIN = "<!-- help: made by tests/make_readme.py -->\n"
_END = "<!-- end of help -->\n"


def output(*arguments: str) -> str:
    """Return what the command prints, at the width that the README has."""
    environment = {**os.environ, "COLUMNS": "80"}
    words = [sys.executable, "-m", "km_cli", *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout


def commands(*above: str) -> list[str]:
    """Return the names of all commands below some, in the order of the help: `config show` for one."""
    listed = output(*above, "--help").partition("Commands:\n")[2]
    found = [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "]
    below = ([" ".join((*above, name)), *commands(*above, name)] for name in found)
    return [name for names in below for name in names]


def with_help(text: str) -> str:
    """Return the README with the help text as it is now."""
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    blocks = [f"### km-cli {name}\n\n```text\n{output(*name.split(), '--help')}```\n" for name in commands()]
    return before + _BEGIN + "\n" + "\n".join(blocks) + "\n" + _END + after


if __name__ == "__main__":
    README.write_text(with_help(README.read_text(encoding="utf-8")), encoding="utf-8")
