"""A process of our own is made fit for a run; the process of another program is left alone."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from km_cli.cli import group
from km_cli.cli.outcome import exit_code_of
from tests.support.command import Command
from tests.support.inprocess import environment

LOG = "timestamp,user,event\n2024-03-01T09:00:00Z,ada,Paid\n"


@pytest.mark.parametrize("owns_process", [True, False])
def test_a_dry_run_looks_for_cycles_seldom(
    owns_process: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the same way as an import, so it would lose the same 15 %."""
    thresholds: list[tuple[int, ...]] = []
    monkeypatch.setattr(gc, "set_threshold", lambda *numbers: thresholds.append(numbers))
    log = tmp_path / "log.csv"
    log.write_text(LOG)
    own = environment(Command(tmp_path).surroundings())._replace(owns_process=owns_process)
    words = ["dry-run", str(log), "--ledger", str(tmp_path / "ledger.db")]
    assert exit_code_of(group, words, own) == 0
    assert bool(thresholds) is owns_process
