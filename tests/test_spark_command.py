"""`km-cli spark`: what it refuses before Spark starts. `test_spark_sending.py` runs jobs."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command import Command

LOG = "user,account,event,timestamp\nada,Acme,Clicked,2024-03-01T09:05:00Z\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    return path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(b"s" * 32)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return path


def test_the_help_of_each_command_begins_with_its_purpose(km: Command) -> None:
    for words, purpose in {
        ("spark",): "Import logs on Apache Spark, on many machines.",
        ("spark", "import"): "Send the events of SOURCE that have not been sent yet.",
        ("spark", "dry-run"): "Show what spark import would send. Sends nothing, writes nothing.",
    }.items():
        assert purpose in km(*words, "--help").ended(0).out.splitlines()[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--secret-file is missing: the receipts hold digests of people"),
        (("--to", "local"), "--to local is a file of one machine, and the tasks of Spark run on many"),
        (("--order-by", "timestamp"), "--order-by is for tables"),
        (("table:events",), "table:events needs --order-by"),
        (("--limit", "3", "table:events", "--order-by", "time"), "--limit is for files"),
        (("-",), "cannot read standard input"),
        (("--allow-alias", "--user", "nowhere", "--rate", "nan"), "--rate nan is not a number"),
    ],
)
def test_a_command_that_cannot_work_ends_before_spark_starts(
    km: Command, log: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    result = km("spark", "import", log, "--receipts", tmp_path / "receipts", *words)
    assert result.code == 2, result
    assert message in result.err
    assert not (tmp_path / "receipts").exists()


def test_a_missing_key_is_reported_by_its_variable(
    km: Command, log: Path, secret: Path, tmp_path: Path
) -> None:
    words = ("--receipts", tmp_path / "receipts", "--secret-file", secret)
    result = replace(km, environment={"KM_API_KEY": ""})("spark", "import", log, *words)
    assert result.code == 2
    assert "KM_API_KEY is not set" in result.err


def test_a_secret_that_others_can_read_is_refused(
    km: Command, log: Path, secret: Path, tmp_path: Path
) -> None:
    secret.chmod(0o644)
    result = km("spark", "import", log, "--receipts", tmp_path / "receipts", "--secret-file", secret)
    assert result.code == 2
    assert "can be read by others" in result.err
