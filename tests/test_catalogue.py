"""The conformance suite of rules, by the real dry run: the example shows its rule, the near miss does not.

It runs over every description in the catalogue, and over a toy rule that is one function.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

import km_cli
from km_cli.rules import CATALOGUE, About, Example, Severity, registry
from km_cli.rules.base import Name, NameRule, log
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


# A rule in one function


def _shouts(name: Name, _earlier: tuple[str, ...]) -> str:
    return f"the {name.kind} {name.text!r} shouts" if name.text.isupper() else ""


TOY = NameRule(
    About(
        "toy",
        Severity.CHANGED,
        "A name in capital letters only.",
        "Write it in small letters.",
        "no page",
        Example(log("09:00:00Z,ada,Acme,PAID"), log("09:00:00Z,ada,Acme,Paid")),
    ),
    _shouts,
)


@pytest.fixture
def with_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry with its line for the toy."""
    monkeypatch.setattr(registry, "RULES", (*registry.RULES, TOY))
    monkeypatch.setitem(CATALOGUE, "toy", TOY.about)


WITHOUT_EXAMPLE = [
    "bad-reject", "changed", "conflict", "hashed", "invalid-text", "invalid-utf8", "members", "other-source",
    "owed", "pruned", "record-too-long", "refused", "still-bad", "too-many-properties",
]  # fmt: skip
"""They take bytes that are no text, a very long row, a key, an earlier command, or a destination's answer."""

NO_REJECTS = {"anonymous", "alias-left-out"}
"""Codes of rows that are skipped."""

ABOUTS = [*(about for about in CATALOGUE.values() if about.example.fires), TOY.about]


@pytest.mark.usefixtures("with_toy")
@pytest.mark.parametrize("about", ABOUTS, ids=lambda about: about.code)
def test_a_rule_fires_and_has_a_near_miss(folder: Path, about: About) -> None:
    fired = summary(folder, about.example.fires, about)
    assert about.code in {*fired["findings"], *fired["reasons"]}, fired
    near = summary(folder, about.example.near, about)
    assert about.code not in {*near["findings"], *near["reasons"]}, near


@pytest.mark.usefixtures("with_toy", "folder")
def test_a_toy_is_explained_like_any_other() -> None:
    _, text, _ = run(["rules", "toy"], os.environ)
    assert "toy: A name in capital letters only." in text
    assert "the event 'PAID' shouts" in text


def test_an_unknown_code_proposes_the_nearest() -> None:
    code, _, err = run(["rules", "nosuch"], os.environ)
    assert code == 2
    assert err == (
        "km-cli: there is no rule 'nosuch'\n"
        "  next: did you mean no-such-event? km-cli rules lists all codes\n"
    )


def test_a_finding_without_an_example_takes_more_than_a_log() -> None:
    without = [
        code
        for code, about in CATALOGUE.items()
        if not about.example.fires and about.severity is not Severity.FACT
    ]
    assert without == WITHOUT_EXAMPLE


REJECTS = re.compile(
    r"""(?:BadRow|BadIdentity|NotPlanned|Reject)\(\s*(?:\w+(?:\.\w+)?,\s*)?"([\w-]+)\"""", re.MULTILINE
)
"""The code of a reject, where it is made."""


def test_every_reject_has_a_description_and_no_two_things_have_one_code() -> None:
    texts = [path.read_text(encoding="utf-8") for path in Path(km_cli.__file__).parent.rglob("*.py")]
    codes = {code for text in texts for code in REJECTS.findall(text)}
    assert len(codes) > 15
    assert not [code for code in codes - NO_REJECTS if CATALOGUE[code].severity is not Severity.REJECTED]


def test_the_gravest_comes_first() -> None:
    words = [severity.value for severity in Severity]
    assert words == ["rejected", "lost", "merged", "changed", "note", "fact"]


def test_every_rule_says_what_it_means_how_to_cure_it_and_where_it_is_from() -> None:
    for about in CATALOGUE.values():
        assert about.meaning
        assert about.cure
        assert about.source or about.severity in (Severity.NOTE, Severity.REJECTED)
        assert all(len(text) <= 110 for text in (about.meaning, about.cure)), about.code


FACTS = [
    *(f"W{number}" for number in range(1, 12)),
    *(f"Q{number}" for number in range(1, 6)),
    *(f"D{number}" for number in range(1, 11)),
    *(f"I{number}" for number in range(1, 7)),
    "reserved",
]


@pytest.mark.parametrize("fact", FACTS)
def test_every_fact_is_explained(folder: Path, fact: str) -> None:  # noqa: ARG001
    about = CATALOGUE[fact]
    assert about.source
    text = " ".join(run(["rules", fact.lower()], os.environ)[1].split())
    for part in (f"{fact}: {about.meaning}", about.source, about.cure, about.disagreement):
        assert part in text


@pytest.mark.parametrize("fact", ["W1", "W7", "Q1", "Q2", "Q5", "D1", "D4", "D5-long", "D8", "I6"])
def test_where_pages_disagree_the_rule_says_so(fact: str) -> None:
    assert CATALOGUE[fact].disagreement
