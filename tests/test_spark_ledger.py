"""From a ledger to receipts and back: nothing is sent twice, and nothing new is lost."""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.command import Command
from tests.support.drawing import examples
from tests.support.people import configure, write
from tests.support.schemas import validator
from tests.support.tracker import Tracker

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

if find_spec("pyarrow") is None:
    pytest.skip("needs pyarrow", allow_module_level=True)

ROWS = (
    "ada@example.com,Acme,Clicked,@1,pro",
    "bob@example.com,Acme,Clicked,@1,max",
    "ada@example.com,,Signed Up,@3",
)
SECRET = bytes(range(32))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    path.chmod(0o600)
    return path


def round_trip(km: Command, tmp_path: Path, secret: Path, name: str = "new") -> Path:
    """Go from the ledger to receipts and back; return the new ledger."""
    receipts, ledger = tmp_path / f"{name}-receipts", tmp_path / f"{name}.db"
    out = km("ledger", "export", "--receipts", receipts, "--secret-file", secret, "--json").ended(0).summary
    validator("ledger-export").validate(out)
    words = ("--receipts", receipts, "--secret-file", secret, "--ledger", ledger)
    made = km("ledger", "import", *words, "--json").ended(0).summary
    validator("ledger-import").validate(made)
    assert made["calls"] == out["calls"]
    return ledger


def test_calls_to_another_destination_make_no_empty_receipts(
    importer: Command, tracker: Tracker, tmp_path: Path, secret: Path
) -> None:
    """An empty folder would let Spark send everything again."""
    importer("import", write(tmp_path / "log.csv", *ROWS)).ended(0)
    words = ("ledger", "export", "--receipts", tmp_path / "receipts", "--secret-file", secret)
    said = importer(*words, "--to", "kissmetrics").ended(2).err
    assert "has no calls to https://trk.kissmetrics.io" in said or "has no calls to kissmetrics" in said
    assert f"--to {tracker.url}" in said
    assert not (tmp_path / "receipts").exists()
    importer(*words).ended(0)
    assert (tmp_path / "receipts").stat().st_mode & 0o077 == 0, "it holds rows in clear"


def test_nothing_is_sent_twice(importer: Command, tracker: Tracker, tmp_path: Path, secret: Path) -> None:
    """The same log sends nothing, one that grew sends what is new, in the seconds that are free."""
    log = write(tmp_path / "log.csv", *ROWS)
    importer("import", log).ended(0)
    ledger = round_trip(importer, tmp_path, secret)
    assert importer("ledger", "check", "--ledger", ledger).ended(0)
    before = len(tracker.hits)
    again = importer("import", log, "--ledger", ledger, "--json").ended(0).summary
    assert again["calls"]["planned"] == 0
    copy = write(tmp_path / "copy.csv", *ROWS[1:], "cy@example.com,Acme,Clicked,@1,pro")
    grown = importer("import", copy, "--ledger", ledger, "--json").ended(0).summary
    assert grown["calls"]["acknowledged"] == 2
    new = [hit.params for hit in tracker.hits[before:]]
    assert {one["_p"] for one in new} == {"cy@example.com", "Acme"}
    bare = importer("import", copy, "--json").ended(0).summary
    assert bare["calls"]["planned"] == 2
    assert [one["_t"] for one in new if one["_p"] == "Acme"] == [
        hit.params["_t"] for hit in tracker.hits[-2:] if hit.params["_p"] == "Acme"
    ], "the ledger with keyed digests chooses the second that the other one chooses"


FIRST = "timestamp,user,account,event,id,plan,seats,was"
PROFILES = """
[columns]
id = "id"
[[personas]]
name = "user"
column = "user"
properties = ["seats"]
set = ["plan"]
[[personas]]
name = "account"
column = "account"
properties = ["plan"]
set = ["seats"]
prefix = "acct "
"""
JOINED = """
[[personas]]
name = "user"
column = "user"
alias = "was"
properties = ["plan"]
[[personas]]
name = "account"
column = "account"
events = ["In", "Out"]
properties = ["seats"]
"""
rows = st.tuples(
    st.integers(0, 3),
    st.sampled_from(["ada", "bo", "Bo", "cy, x", ""]),
    st.sampled_from(["Acme", "Beta: one", ""]),
    st.sampled_from(["In", "in", "Out", "Bought: it"]),
    st.sampled_from(["", "1", "2", "3"]),
    st.sampled_from(["", "pro", "free"]),
    st.sampled_from(["", "1", "2"]),
    st.sampled_from(["", "", "bo", "dee", "ada", "Acme"]),
)


@pytest.mark.slow
@settings(max_examples=examples(16), deadline=None)
@given(
    first=st.lists(rows, min_size=1, max_size=12),
    second=st.lists(rows, min_size=1, max_size=12),
    flags=st.sampled_from([(), ("--overlap", "separate"), ("--overlap", "repeats"), ("--as-new",)]),
    config=st.sampled_from(["", PROFILES, JOINED]),
)
def test_the_next_log_is_planned_as_by_the_first_ledger(
    first: list[Any], second: list[Any], flags: tuple[str, ...], config: str
) -> None:
    """Calls to the byte, findings, rejects and forecast are those that the ledger itself would give."""
    with TemporaryDirectory() as name, Tracker() as tracker:
        home = Path(name)
        km = Command(home, to=tracker.url)
        if config:
            configure(km, config)
        allowed = ("--allow-alias",) if config == JOINED else ()
        secret = home / "secret"
        secret.write_bytes(SECRET)
        secret.chmod(0o600)
        logs = [log_of(home / f"{number}.csv", some) for number, some in enumerate((first, second))]
        km("import", logs[0], "--rejects", home / "rejects", *allowed)
        if not tracker.hits:
            return
        ledger = round_trip(km, home, secret)
        km("ledger", "check", "--ledger", ledger).ended(0)
        flags = (*flags, *allowed)
        assert planned(km, logs, flags, ledger) == planned(km, logs, flags, None)


def log_of(path: Path, some: list[Any]) -> Path:
    lines = [
        f'2024-03-01T09:00:0{at}Z,"{user}","{account}",{",".join(rest)}' for at, user, account, *rest in some
    ]
    path.write_text("\n".join([FIRST, *lines]) + "\n")
    return path


def planned(km: Command, logs: list[Path], flags: tuple[str, ...], ledger: Path | None) -> list[Any]:
    """What a dry run tells of these logs, and the calls themselves."""
    words = ("dry-run", *logs, *flags, *(("--ledger", ledger) if ledger else ()))
    told = km(*words, "--json")
    summary = (
        {name: value for name, value in (told.summary or {}).items() if name != "seconds"} if told.out else {}
    )
    return [told.code, summary, km(*words, "--as", "jsonl").out]


def test_aliases_stay_known(importer: Command, tmp_path: Path, secret: Path) -> None:
    """An alias is not sent again, and its people get no second one. People are counted as before."""
    configure(importer, JOINED)
    header, words = "user,account,event,timestamp,plan,seats,was", ("--allow-alias", "--json")
    rows = ["ada,Acme,In,@0,,,anon", "anon,Acme,In,@1,,,", "bo,Acme,In,@2,,,dee"]
    log = write(tmp_path / "log.csv", *rows, header=header)
    importer("import", log, *words).ended(0)
    before = importer("dry-run", log, *words).summary["forecast"]
    ledger = round_trip(importer, tmp_path, secret)
    importer("ledger", "check", "--ledger", ledger).ended(0)
    again = importer("dry-run", log, *words, "--ledger", ledger).ended(0).summary
    assert (again["calls"]["planned"], again["forecast"]) == (0, before)
    other = write(tmp_path / "other.csv", "cy,Acme,In,@3,,,anon", "dee,Acme,In,@4,,,ada", header=header)
    rejected = importer("dry-run", other, *words, "--ledger", ledger).ended(65).summary
    assert rejected["reasons"] == {"I2": 2}


def test_from_one_machine_to_spark_and_back(
    spark: SparkSession, importer: Command, tracker: Tracker, tmp_path: Path, secret: Path
) -> None:
    """One machine sends the first log, Spark the second, and one machine the third: each call once."""
    from km_cli.spark.job import run_job
    from km_cli.spark.place import Place
    from km_cli.spark.planning import FileSource
    from tests.support.spark_plans import settings_to

    more = ("cy@example.com,Acme,Clicked,@1,pro", "ada@example.com,Acme,Paid,@2,pro")
    logs = [
        write(tmp_path / f"{number}.csv", *some)
        for number, some in enumerate((ROWS, (*ROWS[1:], *more), (*more, "dot@example.com,Acme,Clicked,@1")))
    ]
    importer("import", *logs, "--ledger", tmp_path / "all.db").ended(0)
    expected = Counter(hit.wire for hit in tracker.hits)
    tracker.forget()

    importer("import", logs[0]).ended(0)
    receipts = tmp_path / "receipts"
    words = ("--receipts", receipts, "--secret-file", secret)
    importer("ledger", "export", *words).ended(0)
    settings = settings_to(tracker.url, tmp_path)
    run_job(spark, [FileSource(str(log)) for log in logs[:2]], settings, Place(str(receipts), SECRET)).check()
    importer("ledger", "import", *words, "--ledger", tmp_path / "new.db").ended(0)
    importer("import", *logs, "--ledger", tmp_path / "new.db").ended(0)
    assert Counter(hit.wire for hit in tracker.hits) == expected
    importer("ledger", "check", "--ledger", tmp_path / "new.db").ended(0)
