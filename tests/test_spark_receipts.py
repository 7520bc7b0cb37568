"""The receipts folder of Spark jobs: its lease, its manifests, and whom it belongs to. Without Spark."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from km_cli.errors import Exit, KmError, LedgerBusy, LedgerError, UsageError, WriteError
from km_cli.spark.delivery import Delivery, delivery_of
from km_cli.spark.files import Exists, LocalFiles, is_local, local_path
from km_cli.spark.receipts import DONE, PLANNED, Receipts

SECRET = b"s" * 32
KEYS = {"main": "0123456789abcdef0123456789abcdef01234567"}


def opened(folder: Path, **changes: object) -> Receipts:
    asked = {"secret": SECRET, "to": "kissmetrics", "keys": KEYS, **changes}
    return Receipts.open(str(folder), LocalFiles(), **asked)  # type: ignore[arg-type]


def put_into_force(receipts: Receipts, job: str, notes: Mapping[str, object]) -> None:
    """Write a plan, as Spark does, and put it into force."""
    plan = Path(receipts.plan_path(job))
    plan.mkdir(parents=True, exist_ok=True)
    (plan / "part-00000.parquet").write_bytes(b"PAR1")
    receipts.planned(job, notes)


def test_a_new_folder_has_no_jobs_and_opening_writes_nothing(tmp_path: Path) -> None:
    receipts = opened(tmp_path / "receipts")
    assert receipts.manifest.jobs == ()
    assert not (tmp_path / "receipts").exists()


def test_a_job_is_planned_and_then_done_and_each_step_is_a_new_manifest(tmp_path: Path) -> None:
    receipts = opened(tmp_path)
    with receipts.lease():
        job = receipts.begin()
        put_into_force(receipts, job, {"readings": [1]})
        assert [(one.name, one.state) for one in opened(tmp_path).unfinished()] == [(job, PLANNED)]
        receipts.done(job)
    (known,) = opened(tmp_path).manifest.jobs
    assert (known.state, known.notes) == (DONE, {"readings": [1]})
    assert sorted(os.listdir(tmp_path)) == ["jobs", "manifest-000001.json", "manifest-000002.json"]


def test_a_job_knows_whether_one_before_it_has_calls_left(tmp_path: Path) -> None:
    receipts = opened(tmp_path)
    with receipts.lease():
        for job in ("a", "b", "c"):
            put_into_force(receipts, job, {})
        receipts.done("b")
        assert [receipts.has_unfinished_before(job) for job in ("a", "c")] == [False, True]
        receipts.done("a")
        assert not receipts.has_unfinished_before("c")


def test_a_plan_is_durable_before_it_is_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    receipts, fsync, synced = opened(tmp_path / "receipts"), os.fsync, []

    def looking(file: int) -> None:
        if not list(Path(receipts.path).glob("manifest-*")):
            synced.append(Path(f"/proc/self/fd/{file}").resolve())
        fsync(file)

    monkeypatch.setattr(os, "fsync", looking)
    with receipts.lease():
        put_into_force(receipts, "job", {})
    made = [tmp_path / "receipts", *(tmp_path / "receipts").rglob("jobs*"), *tmp_path.rglob("jobs/**/*")]
    assert {tmp_path, *made} <= set(synced)


def test_only_one_job_holds_the_lease_and_the_error_names_the_holder(tmp_path: Path) -> None:
    with opened(tmp_path).lease():
        with (
            pytest.raises(LedgerBusy, match=f"process {os.getpid()} on ") as caught,
            opened(tmp_path).lease(),
        ):
            pytest.fail("two jobs hold it")
        assert caught.value.exit is Exit.TEMPORARY
        assert "--break-lease" in caught.value.hint
    with opened(tmp_path).lease():
        pass


def test_many_that_ask_at_once_get_one_lease(tmp_path: Path) -> None:
    """All begin together; each of them holds the lease until all others have an answer."""
    begin, asked, got = threading.Barrier(8), threading.Barrier(8), []

    def ask() -> None:
        begin.wait()
        try:
            with opened(tmp_path).lease():
                got.append(True)
                asked.wait()
        except LedgerBusy:
            asked.wait()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [True]


def test_a_lease_that_is_taken_ends_the_job_that_had_it_and_is_left_alone(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    with first.lease(), second.lease(is_broken=True):
        with pytest.raises(LedgerBusy, match="took the lease"):
            put_into_force(first, "job", {})
        put_into_force(second, "job", {})
    assert [job.name for job in opened(tmp_path).manifest.jobs] == ["job"]


def test_a_lease_that_is_half_written_still_counts(tmp_path: Path) -> None:
    (tmp_path / "lease.json").write_text('{"tok')
    with pytest.raises(LedgerBusy, match="a job"), opened(tmp_path).lease():
        pytest.fail("it was ignored")


def test_a_job_sees_what_another_one_did_before_it_got_the_lease(tmp_path: Path) -> None:
    early = opened(tmp_path)
    other = opened(tmp_path)
    with other.lease():
        put_into_force(other, "first", {})
        other.done("first")
    with early.lease():
        put_into_force(early, "second", {})
    assert [job.name for job in opened(tmp_path).manifest.jobs] == ["first", "second"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"to": "https://tracker.example.com"}, "receipts of kissmetrics, not those of https://tracker"),
        ({"secret": b"t" * 32}, "another secret"),
        ({"keys": {"main": "another-key"}}, "knows the site 'main' with another API key"),
    ],
)
def test_a_folder_belongs_to_one_destination_one_secret_and_one_key_a_site(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    receipts = opened(tmp_path)
    with receipts.lease():
        put_into_force(receipts, "job", {})
    with pytest.raises(UsageError, match=message):
        opened(tmp_path, **change)
    opened(tmp_path, keys={"other": "another-key"})
    opened(tmp_path, keys={})


def test_neither_key_nor_secret_stands_in_the_folder(tmp_path: Path) -> None:
    receipts = opened(tmp_path)
    with receipts.lease():
        put_into_force(receipts, "job", {})
        texts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(texts) == 3
    for text in texts:
        assert KEYS["main"].encode() not in text
        assert SECRET not in text


def test_plans_of_jobs_that_died_are_removed_and_those_in_force_stay(tmp_path: Path) -> None:
    receipts = opened(tmp_path)
    with receipts.lease():
        for job in ("kept", "died"):
            os.makedirs(receipts.plan_path(job))
        put_into_force(receipts, "kept", {})
        receipts.clean()
        assert os.listdir(tmp_path / "jobs") == ["kept"]


def test_old_manifests_go_and_the_highest_is_in_force(tmp_path: Path) -> None:
    receipts = opened(tmp_path)
    with receipts.lease():
        for number in range(30):
            put_into_force(receipts, f"job-{number:02}", {})
    names = sorted(tmp_path.glob("manifest-*"))
    assert names[-1].name == "manifest-000030.json"
    assert len(names) == 20
    assert len(opened(tmp_path).manifest.jobs) == 30


def test_a_damaged_manifest_is_an_error_and_not_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "manifest-000001.json").write_text("{}")
    with pytest.raises(LedgerError, match="is damaged"):
        opened(tmp_path)
    (tmp_path / "manifest-000001.json").write_text('{"km_cli_receipts": 99}')
    with pytest.raises(UsageError, match="newer version"):
        opened(tmp_path)


def test_a_file_is_created_once_and_appears_as_a_whole(tmp_path: Path) -> None:
    files, path = LocalFiles(), f"file://{tmp_path}/folder/one.json"
    files.create(path, b"first")
    with pytest.raises(Exists):
        files.create(path, b"second")
    assert files.read(path) == b"first"
    files.write(path, b"third")
    assert files.read(path) == b"third"
    assert files.names(f"{tmp_path}/folder") == ["one.json"]
    files.remove(f"{tmp_path}/folder")
    assert files.names(f"{tmp_path}/folder") == []
    assert files.read(path) is None


def test_a_folder_that_cannot_be_written_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=f"cannot write {tmp_path}/file/lease.json"):
        LocalFiles().create(f"{tmp_path}/file/lease.json", b"")


@pytest.mark.parametrize(
    ("path", "local"),
    [("/data/r", "/data/r"), ("file:/data/r", "/data/r"), ("file:///data/a%20b", "/data/a b"), ("r", "r")],
)
def test_local_paths_have_two_spellings(path: str, local: str) -> None:
    assert is_local(path)
    assert local_path(path) == Path(local)


@pytest.mark.parametrize("path", ["s3a://bucket/r", "hdfs://host/r", "dbfs:/r", "abfss://c@a/r"])
def test_paths_of_other_storages_are_not_local(path: str) -> None:
    assert not is_local(path)


GIVEN = {"to": "kissmetrics", "receipts": "/r", "partitions": "4"}


def test_options_say_all_that_a_task_needs_and_come_back_as_they_were() -> None:
    delivery = delivery_of({**GIVEN, "keyEnv": "MAIN_KEY", "maxInFlight": "10", "rate": "2"})
    assert (delivery.share, delivery.share_of_rate) == (2, 0.5)
    assert delivery_of(delivery.options()) == delivery
    assert isinstance(delivery, Delivery)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": "abc"}, "an API key must not be an option"),
        ({"KM_API_KEY": "abc"}, "an API key must not be an option"),
        ({"keyenf": "abc"}, "there is no option keyenf"),
        ({"partitions": ""}, "the option partitions is missing"),
        ({"partitions": "0"}, "partitions is '0', which is no number above 0"),
        ({"rate": "fast"}, "rate is 'fast', which is no number above 0"),
        ({"timeout": "nan"}, "timeout is 'nan', which is no number above 0"),
        ({"transport": "carrier pigeon"}, "transport is 'carrier pigeon'"),
        ({"sites": "main"}, "the option sites cannot be read"),
        ({"to": "local"}, "--to local is a file of one machine"),
        ({"to": "http://example.com"}, "the key would travel unencrypted"),
    ],
)
def test_wrong_options_are_named_and_a_key_is_never_repeated(options: dict[str, str], message: str) -> None:
    with pytest.raises(KmError, match=message) as caught:
        delivery_of({**GIVEN, **options})
    assert "abc" not in f"{caught.value} {caught.value.hint}"


def test_a_relative_path_means_the_same_folder_in_every_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks run in folders of their own."""
    monkeypatch.chdir(tmp_path)
    assert opened(Path("receipts")).receipts_path("job") == f"{tmp_path}/receipts/jobs/job/receipts"


def test_a_manifest_can_be_read_by_other_programs(tmp_path: Path) -> None:
    receipts = opened(tmp_path)
    with receipts.lease():
        put_into_force(receipts, "job", {"readings": []})
    found = json.loads((tmp_path / "manifest-000001.json").read_text())
    assert found["km_cli_receipts"] == 1
    assert found["jobs"] == [{"name": "job", "state": "planned", "notes": {"readings": []}}]
