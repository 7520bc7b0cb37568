"""Every rule: its example's log shows it, and the near miss does not, by the real dry run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from km_cli.rules import CATALOGUE, About, Severity
from tests.support.inprocess import run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with nothing known."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def summary(folder: Path, text: str, about: About) -> dict[str, Any]:
    """What a dry run of a log says of it."""
    (folder / "log").write_text(text, encoding="utf-8")
    (folder / "km.toml").write_text(about.example.km_toml, encoding="utf-8")
    code, out, err = run(["dry-run", "log", "--json", *about.example.flags], os.environ)
    assert code in (0, 65), err
    return json.loads(out)


@pytest.mark.parametrize("code", [code for code, about in CATALOGUE.items() if about.example.fires])
def test_a_rule_fires_and_has_a_near_miss(folder: Path, code: str) -> None:
    about = CATALOGUE[code]
    shown = set(about.shows_as or (code,))
    fired = summary(folder, about.example.fires, about)
    assert shown & {*fired["findings"], *fired["reasons"]}, fired
    near = summary(folder, about.example.near, about)
    assert not shown & {*near["findings"], *near["reasons"]}, near


def test_what_has_no_example_takes_more_than_a_log() -> None:
    without = [code for code, about in CATALOGUE.items() if not about.example.fires]
    assert without == ["changed", "conflict", "members", "refused"]


def test_every_rule_says_what_it_means_how_to_cure_it_and_where_it_is_from() -> None:
    for about in CATALOGUE.values():
        assert about.meaning
        assert about.cure
        assert about.source or about.severity is Severity.NOTE
        assert all(len(text) <= 110 for text in (about.meaning, about.cure)), about.code


@pytest.mark.parametrize(
    "fact", ["W3", "W6", *(f"D{number}" for number in range(1, 9)), "I1", "I2", "I3", "I4", "reserved"]
)
def test_every_fact_has_a_rule(fact: str) -> None:
    assert fact in CATALOGUE
