"""Bytes of every kind: a command ends as documented, tells no key, and counts each row once.

These are the inputs that fuzzing begins with and those that it has found; `python -m tests.proof --only fuzz`
makes more.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from km_cli.kissmetrics import fold_identity, is_blank
from tests.proof import drawing, fuzz, saving
from tests.proof.fuzz import feed
from tests.proof.seeds import changed_ledger, seeds
from tests.proof.targets import BORROWED, TARGETS


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_seeds_and_what_fuzzing_has_found(target: str) -> None:
    fed = 0
    for data in seeds(BORROWED.get(target, target)):
        feed(target, data)
        fed += 1
    assert fed


@pytest.mark.slow
def test_hypothesis_makes_inputs_where_atheris_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz, "find_spec", lambda _: None)
    assert fuzz.PROOF.run("csv 21", tmp_path) is None


def test_an_input_that_fails_is_made_small(tmp_path: Path) -> None:
    def fail(data: bytes) -> None:
        assert b"\xff" not in data, "no such byte"

    said = drawing.fuzz(fail, [b"user,event\nada,In\n", b"\xfe,\n"], 21, 500, tmp_path)
    assert "no such byte" in said
    assert len((tmp_path / "input").read_bytes()) < 20


def test_lines_of_km_cli_are_counted() -> None:
    """What hypothesis strives for; a line counts once."""
    once = drawing.lines_reached(lambda _: is_blank("x"), b"")
    assert once > 0
    assert drawing.lines_reached(lambda _: [is_blank("x"), is_blank("y")], b"") == once
    assert drawing.lines_reached(lambda _: [is_blank("x"), fold_identity("A")], b"") > once
    assert drawing.lines_reached(lambda _: "x".strip(), b"") == 0


def test_an_input_that_passes_is_not_left(tmp_path: Path) -> None:
    assert drawing.fuzz(lambda _: None, [b"a,b\n"], 21, 50, tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(find_spec("atheris") is None, reason="needs atheris (the dependency group proof)")
def test_inputs_that_reach_new_code_are_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From one empty line the fuzzer soon comes to other branches."""
    monkeypatch.setattr(saving, "seeds", lambda _: iter([b"\n"]))
    saved = saving.save("csv", 5, tmp_path)
    assert 0 < len(saved) <= saving.MOST
    assert {path.parent for path in saved} == {tmp_path / "csv"}
    assert b"\n" not in [path.read_bytes() for path in saved]


def test_a_change_of_a_ledger_puts_bytes_in_their_place() -> None:
    before, place = changed_ledger(b""), 5_000
    after = changed_ledger(place.to_bytes(4, "big") + b"\x02\xff\x01")
    assert len(after) == len(before)
    assert after[place : place + 2] == b"\xff\x01"
    assert after[:place] + before[place : place + 2] + after[place + 2 :] == before
