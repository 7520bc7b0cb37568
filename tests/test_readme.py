"""The README says what is so: its help is the real one, its examples print what it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.make_readme import README, with_help
from tests.support.command import Command

TEXT = README.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```console\n\$ km-cli (.*?)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_help_is_the_real_one() -> None:
    assert with_help(TEXT) == TEXT, "run: python -m tests.make_readme"


@pytest.mark.parametrize(("line", "shown"), EXAMPLES, ids=[line for line, _ in EXAMPLES])
def test_examples_print_what_is_shown(line: str, shown: str, tmp_path: Path) -> None:
    result = Command(tmp_path)(*shlex.split(line))
    assert result.err == ""
    assert shown in result.out


def test_every_exit_code_is_told() -> None:
    from km_cli.errors import Exit

    told = {
        int(code)
        for line in re.findall(r"^\| ([\d /]+) \|", TEXT, re.MULTILINE)
        for code in line.split(" / ")
    }
    assert told == {code.value for code in Exit}
