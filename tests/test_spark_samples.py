"""The sample for Spark runs on two executors, and sends what one machine sends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SAMPLES
from tests.support.command import KEY, Command
from tests.support.spark import needs_spark, surroundings
from tests.support.tracker import Tracker


@pytest.mark.spark
def test_the_sample_sends_the_calls_of_one_machine(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    needs_spark()
    importer("import", SAMPLES / "teams.csv", "--exclude-property", "contact").ended(0)
    expected = {hit.wire for hit in tracker.hits}
    tracker.forget()
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(32)))
    secret.chmod(0o600)
    environment = {**importer.surroundings(), **surroundings(tmp_path / "spark"), "KM_API_KEY": KEY}
    script = str(SAMPLES / "spark" / "import_events.py")
    ended = subprocess.run(
        [sys.executable, script, tracker.url, str(tmp_path / "receipts"), str(secret)],
        env=environment,
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=False,
        timeout=550,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "rows: 5 sent, 0 skipped, 0 rejected\ncalls: 9 acknowledged, 0 pending\n"
    assert {hit.wire for hit in tracker.hits} == expected
    assert len(tracker.hits) == len(expected)
    assert KEY not in ended.stdout + ended.stderr
