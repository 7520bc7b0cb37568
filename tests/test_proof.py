"""The proof itself: its frame on a toy, and a short stride of each kind."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest

from tests.proof import __main__ as command
from tests.proof.base import Failure, Passed, Proof
from tests.proof.registry import NAMES, proof
from tests.proof.running import replay, run_kind

# The frame


def _cases(seed: int) -> Iterator[str]:
    return (f"{seed} {number}" for number in range(10))


def _run(case: str, folder: Path) -> Failure | None:
    assert list(folder.iterdir()) == []
    number = int(case.split()[1])
    if number == 3:
        return Failure("three is lost")
    assert number != 7, "seven is there twice"
    return None


TOY = Proof("toy", "numbers arrive", _cases, _run, short=10)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("tests.proof.toy")
    module.PROOF = TOY  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(command, "NAMES", ("toy",))


def test_failures_and_exceptions_are_counted_with_their_cases() -> None:
    told: list[str] = []
    outcome = run_kind(TOY, seed=5, seconds=60, tell=told.append)
    assert (outcome.cases, outcome.is_whole) == (10, True)
    assert [one.case for one in outcome.failures] == ["5 3", "5 7"]
    assert "three is lost" in told[0]
    assert "seven is there twice" in told[1]
    assert "again: python -m tests.proof --only toy --case '5 3'" in told[0]


def test_cases_without_end_stop_when_the_time_is_over() -> None:
    endless = TOY._replace(cases=lambda _: map(str, count()), run=lambda _case, _folder: None)
    outcome = run_kind(endless, seed=1, seconds=0.05)
    assert not outcome.is_whole
    assert outcome.cases > 0


def test_an_interrupt_keeps_the_table_of_the_cases_so_far() -> None:
    def interrupted(case: str, _folder: Path) -> Failure | None:
        if case == "1 2":
            raise KeyboardInterrupt
        return None

    outcome = run_kind(TOY._replace(run=interrupted), seed=1, seconds=60, tell=lambda _: None)
    assert (outcome.cases, outcome.is_whole) == (2, False)


@pytest.mark.usefixtures("toy")
def test_the_command_prints_a_table_and_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--seed", "5"]) == 1
    *_, heads, _, line = capsys.readouterr().out.splitlines()
    assert heads == "| what | cases | failures | seed | minutes |"
    assert line == "| `toy`: numbers arrive | all 10 | 2 | 5 | 0.0 |"


@pytest.mark.usefixtures("toy")
def test_the_table_counts_what_a_kind_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    days = TOY._replace(run=lambda _case, _folder: Passed(150.0), unit="days")
    monkeypatch.setattr(sys.modules["tests.proof.toy"], "PROOF", days)
    assert command.main(["--seed", "5"]) == 0
    assert "| all 10 (1,500 days) | 0 | 5 |" in capsys.readouterr().out


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(("case", "code"), [("5 2", 0), ("5 3", 1), ("5 7", 1)])
def test_the_printed_command_line_runs_a_case_alone(
    capsys: pytest.CaptureFixture[str], case: str, code: int
) -> None:
    assert command.main(["--only", "toy", "--case", case]) == code
    assert (replay("toy", case) in capsys.readouterr().out) == (code == 1)


def test_a_kind_that_cannot_run_says_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, toy: None
) -> None:
    del toy
    absent = TOY._replace(missing=lambda: "needs a toy")
    monkeypatch.setattr(sys.modules["tests.proof.toy"], "PROOF", absent)
    assert command.main(["--only", "toy"]) == 1
    assert "toy: not run here, it needs a toy" in capsys.readouterr().err


# A short stride of each kind, in parts, so that several workers share them

PARTS = 4


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", NAMES)
def test_a_stride(name: str, part: int) -> None:
    kind = proof(name)
    if reason := kind.missing():
        pytest.skip(reason)

    def stride(seed: int) -> Iterator[str]:
        mine = (case for number, case in enumerate(kind.cases(seed)) if number % PARTS == part)
        return (case for _, case in zip(range(part, kind.short, PARTS), mine, strict=False))

    outcome = run_kind(kind._replace(cases=stride), seed=21, seconds=math.inf)
    assert outcome.failures == ()
    assert outcome.is_whole
    assert outcome.cases > 0


@pytest.mark.parametrize("minutes", ["0", "-1", "nan"])
def test_a_proof_without_time_is_refused(minutes: str) -> None:
    """It would run no case, and look like a proof."""
    with pytest.raises(SystemExit) as ended:
        command.main(["--only", "mutants", "--minutes", minutes])
    assert ended.value.code == 2
