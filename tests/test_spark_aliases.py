"""On real Spark: km.toml as it is, with aliases, hashed columns and members; and --limit."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from km_cli.errors import TooManyRejects
from tests.support.command import KEY, Command
from tests.support.onemachine import settings_of
from tests.support.spark_plans import SECRET, opened
from tests.support.tracker import BAD, OK, Tracker

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HASH_KEY = b"a key of 32 bytes, for hashing .."
TOML = """
[columns]
hash = ["user", "was"]
drop = ["phone"]
skip = ["Signed Inn"]
hash_key_file = "hash.key"
[members]
file = "users.csv"
user = "who"
account = "org"
[sites.main]
key_file = "key"
[[personas]]
name = "user"
alias = "was"
[[personas]]
name = "account"
"""
HEADER = "user,account,event,timestamp,plan,was,phone"
FIRST = (
    "ada@mail,Acme,Signed In,2024-03-01T09:00:00Z,pro,ada@home,555-0100",
    "bo@mail,Acme,Signed In,2024-03-01T09:00:00Z,pro,,555-0101",
    "eve@mail,Beta,Signed In,2024-03-01T09:00:01Z,pro,eve@home,555-0102",
    "cy@mail,Beta,Signed In,2024-03-01T09:00:02Z,pro,,555-0103",
    "dot@mail,,Signed In,2024-03-01T09:00:02Z,pro,,555-0109",
    "ada@home,Acme,Out,2024-03-01T09:00:03Z,pro,,555-0104",
    "cy@mail,Beta,Out,2024-03-01T09:00:04Z,pro,ada@home,555-0105",
)
SECOND = (
    "dot@mail,,Signed In,2024-03-01T09:00:02Z,pro,,555-0109",
    "ada@mail,Acme,Out,2024-03-01T10:00:00Z,pro,ada@home,555-0106",
    "bo@mail,Acme,Out,2024-03-01T10:00:00Z,pro,ada@mail,555-0107",
    "cy@mail,Beta,Signed In,2024-03-01T10:00:01Z,pro,cy@home,555-0108",
)
CLEAR = ("@mail", "@home", "555-01")


def digest(text: str) -> str:
    return "h_" + hmac.new(HASH_KEY, text.encode(), hashlib.sha256).hexdigest()


def private(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)


def test_the_calls_of_one_machine_in_its_order(
    spark: SparkSession, importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """Aliases go last. One whose person is refused would be without data, and is rejected too.

    A user moves to another account before the second log, which has a row of the first log again. Too many
    rejects in a third log: nothing of it is sent.
    """
    from km_cli.spark.job import run_job
    from km_cli.spark.place import Place
    from km_cli.spark.planning import FileSource

    config = tmp_path / "km.toml"
    config.write_text(TOML)
    private(tmp_path / "hash.key", HASH_KEY)
    private(tmp_path / "key", KEY.encode())
    logs = [tmp_path / "first.csv", tmp_path / "second.csv"]
    for log, rows in zip(logs, (FIRST, SECOND), strict=True):
        log.write_text("\n".join([HEADER, *rows, ""]))
    eve = digest("eve@mail")
    tracker.behave = lambda hit, _: BAD if hit.params["_p"] == eve and hit.path != "/a" else OK
    words = ("--to", tracker.url, "--config", config, "--allow-alias")
    receipts = tmp_path / "receipts"
    job, found = "", set()
    for log, account, more in zip(logs, ("Acme", "Beta"), (("--limit", "6"), ()), strict=True):
        (tmp_path / "users.csv").write_text(f"who,org\ndot@mail,{account}\n")
        one = importer("import", log, *words[2:], *more, "--json")
        expected = Counter(hit.wire for hit in tracker.hits)
        tracker.forget()
        settings = settings_of([*words, *more, log])
        result = run_job(spark, [FileSource(str(log))], settings, Place(str(receipts), SECRET))
        result.check()
        paths = [hit.path for hit in tracker.hits]
        assert paths.index("/a") == len(paths) - 1, paths
        assert Counter(hit.wire for hit in tracker.hits) == expected
        summary = one.summary
        assert summary["rows"]["rejected"] == result.tally.rows.rejected
        assert summary["calls"]["rejected"] == result.tally.calls.rejected
        assert summary["reasons"] == dict(result.tally.reasons)
        assert summary["findings"] == dict(result.tally.findings)
        found.update(summary["findings"])
        tracker.forget()
        job = job or result.job
    assert {"no-such-event", "members", "I3"} <= found
    folder = opened(receipts, tracker.url).folder(job)
    (refused,) = spark.read.parquet(f"{folder}/refused").collect()
    assert refused["owed"] == ["user", "user.alias"]
    assert not any(text in refused["raw"].decode() for text in CLEAR)
    bad = tmp_path / "third.csv"
    bad.write_text("\n".join([HEADER, FIRST[-1], "bo@mail,Acme,Paid,2024-03-01T11:00:00Z,pro,,", ""]))
    strict = settings_of([*words, "--max-rejects", "0", bad])
    with pytest.raises(TooManyRejects, match=r"third\.csv, line "):
        run_job(spark, [FileSource(str(log)) for log in (logs[1], bad)], strict, Place(str(receipts), SECRET))
    assert tracker.hits == []
    for path in receipts.rglob("*"):
        if path.is_file() and "rejects" not in path.parts:
            assert not any(text.encode() in path.read_bytes() for text in CLEAR), path
