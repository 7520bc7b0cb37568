"""The samples are what their generator writes, and hold what they are for."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.oracle import Judgement, judged, merged

SAMPLES = Path(__file__).parent.parent / "samples"
SCRIPT = Path(__file__).parent / "make_samples.py"
NOW = 1_719_792_000  # 2024-07-01


def test_the_generator_writes_these_very_bytes(tmp_path: Path) -> None:
    """Same script, same bytes, and less than 1 MB of them."""
    subprocess.run([sys.executable, SCRIPT, tmp_path], check=True)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["events.csv", "events.jsonl"]
    for name in names:
        assert (tmp_path / name).read_bytes() == (SAMPLES / name).read_bytes(), name
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 1_000_000


@pytest.fixture(scope="module")
def web() -> Judgement:
    return judged(
        SAMPLES / "events.csv",
        user="user_id",
        account="account_id",
        event="event",
        timestamp="timestamp",
        now=NOW,
    )


@pytest.fixture(scope="module")
def mobile() -> Judgement:
    return judged(
        SAMPLES / "events.jsonl",
        user="user.id",
        account="account.id",
        event="event",
        timestamp="timestamp",
        now=NOW,
    )


def test_what_the_web_log_holds(web: Judgement) -> None:
    """Rows, bad ones, duplicates, collisions; the README's numbers come from here."""
    assert (web.rows, len(web.calls), len(web.rejected)) == (4_056, 7_406, 7)
    assert (web.repeated, web.moved, web.merging, web.owed) == (13, 55, 0, [])


def test_what_the_mobile_log_holds(mobile: Judgement) -> None:
    """The same for the nested one."""
    assert (mobile.rows, len(mobile.calls), len(mobile.rejected)) == (1_460, 2_906, 6)
    assert (mobile.repeated, mobile.moved, mobile.merging, mobile.owed) == (2, 19, 0, [])


def test_twice_is_once(web: Judgement) -> None:
    """A file read again adds nothing."""
    path = SAMPLES / "events.csv"
    again = judged(
        [path, path], user="user_id", account="account_id", event="event", timestamp="timestamp", now=NOW
    )
    assert again.calls == web.calls
    assert len(merged(web.calls)) == 14_057
