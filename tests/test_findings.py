"""Findings and rejects on the screen: the gravest first, each once, with its count, first place and cure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from km_cli.rules import CATALOGUE
from km_cli.run.places import MOST_RANGES, Places
from tests.support.command import Command
from tests.support.screens import check_screen
from tests.support.terminal import Terminal

HEADER = "timestamp,user,account,event,deposit\n"
LOG = (
    "2024-03-01T09:00:00Z,ada,Acme,In,$9\n"
    "2024-03-01T09:01:00Z,guest,Acme,In,\n"
    "2024-03-01T09:02:00Z,bo,EMPTY,In,$8\n"
    "2024-03-01T09:03:00Z,cy,Acme,In,1\n"
    "2024-03-01T09:03:00Z,dot,Acme,Out,2\n"
    "2024-03-01T09:04:00Z,eve,Acme,Seen,$7\n"
)
HEAD = re.compile(r"^  (\S) (\w+) +([\d,]+)  (.*) \((\S+)\)$")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with findings of every severity, if calls cannot be moved."""
    path = tmp_path / "log.csv"
    path.write_text(HEADER + LOG, encoding="utf-8")
    return path


def heads(out: str) -> list[tuple[str, str, int, str, str]]:
    """Return sign, word, count, sentence and code of each finding."""
    found = map(HEAD.match, out.partition("\nfindings\n")[2].splitlines())
    return [(one[1], one[2], int(one[3].replace(",", "")), one[4], one[5]) for one in found if one]


@pytest.mark.parametrize("words", [("dry-run",), ("import", "-v")])
def test_the_gravest_come_first_with_sign_and_word(km: Command, log: Path, words: tuple[str, ...]) -> None:
    command, *flags = words
    result = km(command, log, "--to", "local", "--spread", "0", *flags).ended(65)
    found = heads(result.out)
    assert [(sign, word, count, code) for sign, word, count, _, code in found] == [
        ("x", "rejected", 1, "I1"),
        ("!", "lost", 1, "D2-lost"),
        ("&", "merged", 1, "I1-doubt"),
        ("~", "changed", 3, "D5"),
        ("-", "note", 3, "crossover"),
    ]
    assert all(meaning == CATALOGUE[code].meaning for *_, meaning, code in found)


def test_each_has_its_first_place_and_its_cure(km: Command, log: Path) -> None:
    lines = km("dry-run", log, "--to", "local").ended(65).out.splitlines()
    at = next(at for at, line in enumerate(lines) if line.endswith("(D5)"))
    assert lines[at + 1] == (
        f"      first: {log}, line 2: the value of 'deposit' has a currency sign: '$9' is no number"
    )
    assert lines[at + 2] == f"      do: {CATALOGUE['D5'].cure}"
    at = next(at for at, line in enumerate(lines) if line.endswith("(I1)"))
    assert lines[at + 1].startswith(f"      first: {log}, line 3: the identity 'guest' is a placeholder")


def test_a_reject_that_is_a_finding_too_is_shown_once(km: Command, tmp_path: Path) -> None:
    """The part of a row that has no free second."""
    path = tmp_path / "log.csv"
    path.write_text(HEADER + "".join(f"2024-03-01T09:00:00Z,u{n},Acme,In,\n" for n in range(3)))
    result = km("dry-run", path, "--to", "local", "--spread", "0").ended(65)
    assert [(word, count) for _, word, count, _, code in heads(result.out) if code == "D1-full"] == [
        ("rejected", 2)
    ]
    assert result.out.count("(D1-full)") == 1


@pytest.mark.parametrize("command", ["dry-run", "import"])
def test_v_lists_all_lines(km: Command, log: Path, command: str) -> None:
    """A finding of one line needs no list."""
    out = km(command, log, "--to", "local", "-v").ended(65).out
    assert f"      lines of {log}: 2, 4, 7\n" in out
    assert out.count("lines of") == sum(count > 1 for _, _, count, _, _ in heads(out))
    if command == "dry-run":
        assert "lines of" not in km(command, log, "--to", "local").ended(65).out


# Places


def test_lines_that_follow_each_other_are_a_range() -> None:
    places = Places()
    for source, line in (("a", 2), ("a", 3), ("a", 3), ("b", 4), ("a", 4), ("a", 9), ("a", 0), ("a", 1234)):
        places.add(source, line)
    assert places.by_source() == {"a": "2-4, 9, 1,234", "b": "4"}
    assert places.more == 0


def test_places_are_bounded() -> None:
    """Those beyond are counted; a range that is there still grows."""
    places = Places()
    for number in range(MOST_RANGES + 5):
        places.add("a", 1 + 2 * number)
    assert places.more == 5
    places.add("a", 2 * MOST_RANGES)
    assert places.more == 5
    assert places.by_source()["a"].endswith(f", {2 * MOST_RANGES - 1:,}-{2 * MOST_RANGES:,}")


# Colour


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "is_coloured"),
    [
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_word_and_the_sign_have_a_colour(
    km: Command, log: Path, environment: dict[str, str], is_coloured: bool, columns: int
) -> None:
    """The sentence has none, so that it can be read on light and on dark."""
    terminal = Terminal(km, "dry-run", log, "--to", "local:x.db", columns=columns, environment=environment)
    assert terminal.ended() == 65
    for plain, code in (("  x rejected", 31), ("  & merged", 35), ("  ~ changed", 33)):
        expected = f"\x1b[{code}m{plain}\x1b[0m" if is_coloured else plain
        assert f"\n{expected} " in terminal.shown
    assert "\n  - note " in terminal.shown


# Screens


COMMANDS = {
    "findings": ("dry-run", "log.csv", "--to", "local:x.db", "--show", "0"),
    "summary": ("import", "log.csv", "--to", "local:x.db", "--rejects", "rejects.jsonl"),
    "show": ("show", "--to", "local:x.db"),
    "timeline": ("show", "Acme", "--to", "local:x.db"),
}
"""Each screen is kept as text, as those of `test_screens.py`."""

_TIME = re.compile(r"[\d,]+ per second, [\d.]+ s|\d+\.\d s")


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_screen_is_the_one_that_is_kept(km: Command, log: Path, name: str, columns: int) -> None:
    """In windows of three widths. What takes its time is left out."""
    if name in ("show", "timeline"):
        km.alone("import", log, "--to", f"local:{log.parent}/x.db").ended(65)
    environment = {"PAGER": "cat"}
    terminal = Terminal(km, *COMMANDS[name], columns=columns, environment=environment)
    assert terminal.ended() in (0, 65)
    shown = _TIME.sub("(time)", "".join(f"{line.rstrip()}\n" for line in terminal.shown.splitlines()))
    check_screen(f"{name}-{columns}", shown)
