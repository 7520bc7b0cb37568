"""The README says what is so: its help is the real one, its examples print what it shows."""

from __future__ import annotations

import re
import shlex
from contextlib import closing
from pathlib import Path

import pytest

from km_cli.standin import Store
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


COUNTS = re.findall(r"^\| (toggle|property|sites) \| (main|accounts) \| (.*) \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize(("strategy", "site", "cells"), COUNTS)
def test_kissmetrics_counts_what_is_told(strategy: str, site: str, cells: str, tmp_path: Path) -> None:
    """Persons who did it, and how often, as the local store has it."""
    store = tmp_path / "local.db"
    log = README.parent / "samples" / "teams.csv"
    Command(tmp_path)("import", log, "--strategy", strategy, "--to", f"local:{store}").ended(0)
    with closing(Store(store)) as kept:
        did = [(one.event, one.person) for one in kept.events() if one.product == site]
    for event, cell in zip(("Signed Up", "Invited", "Viewed Tour"), cells.split(" | "), strict=True):
        persons = [person for name, person in did if name == event]
        numbers = [int(number) for number in re.findall(r"^\d+|\d+(?= times?$)", cell)]
        assert numbers == ([len(set(persons)), len(persons)] if persons else [0]), (event, cell)


def test_every_exit_code_is_told() -> None:
    from km_cli.errors import Exit

    told = {
        int(code)
        for line in re.findall(r"^\| ([\d /]+) \|", TEXT, re.MULTILINE)
        for code in line.split(" / ")
    }
    assert told == {code.value for code in Exit}
