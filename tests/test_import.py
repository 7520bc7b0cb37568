"""The main job, by the real command against a real server: every call arrives, once, as it should be."""

from __future__ import annotations

import gzip
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import SAMPLES
from tests.support.command import Command
from tests.support.oracle import expected
from tests.support.tracker import BAD, Tracker

HEADER = "user,account,event,timestamp,plan\n"
CSV = {"user": "user_id", "account": "account_id", "event": "event", "timestamp": "timestamp"}
JSONL = {"user": "user.id", "account": "account.id", "event": "event", "timestamp": "timestamp"}


def counted(calls: list[dict[str, str]]) -> Counter[tuple[tuple[str, str], ...]]:
    return Counter(tuple(sorted(call.items())) for call in calls)


def write(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text(header + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


NESTED = ("--user", "user.id", "--account", "account.id")


@pytest.mark.parametrize(
    ("name", "columns", "flags"),
    [
        pytest.param("events.csv", CSV, (), marks=pytest.mark.slow),
        pytest.param("events.jsonl", JSONL, NESTED, marks=pytest.mark.slow),
    ],
)
def test_a_log_arrives_as_an_independent_expansion_expects(
    importer: Command, tracker: Tracker, name: str, columns: dict[str, str], flags: tuple[str, ...]
) -> None:
    arrives_as_expected(importer, tracker, SAMPLES / name, columns, flags)


def test_a_part_of_a_log_of_json_lines_arrives_as_expected(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    path = tmp_path / "part.jsonl"
    path.write_bytes(b"".join((SAMPLES / "events.jsonl").read_bytes().splitlines(keepends=True)[:300]))
    arrives_as_expected(importer, tracker, path, JSONL, NESTED)


def arrives_as_expected(
    importer: Command, tracker: Tracker, log: Path, columns: dict[str, str], flags: tuple[str, ...]
) -> None:
    result = importer("import", log, *flags, "--json")
    assert result.code in (0, 65)
    summary = result.summary
    assert counted(tracker.calls()) == counted(expected(log, **columns))
    assert len(tracker.seen) == len(tracker.hits) == summary["calls"]["acknowledged"]
    assert {hit.params["_k"] for hit in tracker.hits} == {"0123456789abcdef0123456789abcdef01234567"}


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """The first 600 lines of the sample."""
    path = tmp_path / "part.csv"
    path.write_bytes(b"".join((SAMPLES / "events.csv").read_bytes().splitlines(keepends=True)[:600]))
    return path


def test_a_second_import_sends_nothing(importer: Command, tracker: Tracker, part: Path) -> None:
    first = importer("import", part, "--json").ended(65).summary
    sent = len(tracker.seen)
    second = importer("import", part, "--json").ended(0).summary
    assert len(tracker.seen) == sent
    assert second["rows"]["read"] == second["rows"]["skipped"] == first["rows"]["read"]
    assert second["calls"]["planned"] == 0


def test_dry_run_foretells_the_import_and_changes_nothing(
    importer: Command, tracker: Tracker, part: Path
) -> None:
    told = importer("dry-run", part, "--json").ended(65).summary
    assert not tracker.seen
    assert not importer.state.exists()
    done = importer("import", part, "--json").ended(65).summary
    assert told["rows"] == done["rows"]
    assert told["findings"] == done["findings"]
    assert told["calls"]["planned"] == done["calls"]["planned"]


def test_dry_run_knows_what_was_sent(importer: Command, tmp_path: Path) -> None:
    log = write(tmp_path / "a.csv", "ada,Acme,Signed Up,2024-01-01T00:00:00Z,pro")
    importer("import", log).ended(0)
    before = {path: path.read_bytes() for path in importer.state.iterdir()}
    other = write(
        tmp_path / "b.csv",
        "ada,Acme,Signed Up,2024-01-01T00:00:00Z,pro",
        "bob,Acme,Signed Up,2024-01-01T00:00:00Z,pro",
    )
    told = importer("dry-run", other, "--json").ended(0).summary
    assert told["rows"] == {"read": 2, "sent": 1, "skipped": 1, "rejected": 0, "held": 0, "pending": 0}
    assert told["findings"] == {"crossover": 1, "D1": 1, "D1-alike": 1}
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--batch-size", "1"), marks=pytest.mark.slow),
        ("--batch-size", "7"),
        ("--concurrency", "1"),
    ],
)
def test_batch_size_and_concurrency_change_nothing(
    importer: Command, tracker: Tracker, part: Path, options: tuple[str, ...]
) -> None:
    importer("import", part, *options).ended(65)
    assert counted(tracker.calls()) == counted(expected(part, **CSV))


def test_several_files_gzip_and_standard_input(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress((HEADER + "ada,Acme,One,2024-01-01T00:00:00Z,\n").encode()))
    plain = write(tmp_path / "plain.csv", "ada,Acme,Two,2024-01-01T00:00:01Z,")
    piped = b'{"user":"ada","account":"Acme","event":"Three","timestamp":1704067202}\n'
    importer("import", packed, plain, "-", stdin=piped).ended(0)
    assert Counter((call["_p"], call["_n"]) for call in tracker.calls()) == Counter(
        (who, what) for who in ("ada", "Acme") for what in ("One", "Two", "Three")
    )


def test_rows_without_account_or_user(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    log = write(
        tmp_path / "log.csv",
        "ada,,Signed Up,2024-01-01T00:00:00Z,",
        ",Acme,Billed,2024-01-01T00:00:00Z,",
        ",,Lost,2024-01-01T00:00:00Z,",
    )
    summary = importer("import", log, "--json").ended(65).summary
    assert {(call["_p"], call["_n"]) for call in tracker.calls()} == {
        ("ada", "Signed Up"),
        ("Acme", "Billed"),
    }
    assert summary["rows"] == {"read": 3, "sent": 2, "skipped": 0, "rejected": 1, "held": 0, "pending": 0}
    assert importer.rejects()[0]["code"] == "no-identity"


# What a reading is (promise 5)


def test_a_growing_file_sends_only_what_is_new(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", "ada,Acme,Clicked,2024-01-01T00:00:00Z,a")
    importer("import", log).ended(0)
    with log.open("a") as file:
        file.write("ada,Acme,Clicked,2024-01-01T00:00:00Z,b\n")
    renamed = log.rename(tmp_path / "log.csv.1")
    summary = importer("import", renamed, "--json").ended(0).summary
    assert summary["calls"]["planned"] == 2, (
        "the same deed with other properties, in one reading, is another call"
    )
    assert sorted(call["plan"] for call in tracker.calls()) == ["a", "a", "b", "b"]


def test_a_packed_copy_is_the_same_reading(importer: Command, tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", "ada,Acme,Clicked,2024-01-01T00:00:00Z,a")
    importer("import", log).ended(0)
    packed = tmp_path / "log.csv.2.gz"
    packed.write_bytes(gzip.compress(log.read_bytes() + b"ada,Acme,Clicked,2024-01-01T00:00:00Z,b\n"))
    assert importer("import", packed, "--json").ended(0).summary["calls"]["planned"] == 2


def test_overlapping_exports_send_each_call_once(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    rows = [f"ada,Acme,Event {number},2024-01-01T00:00:{number:02}Z,p" for number in range(20)]
    importer("import", write(tmp_path / "one.csv", *rows[:12])).ended(0)
    importer("import", write(tmp_path / "two.csv", *reversed(rows[5:]))).ended(0)
    importer("import", write(tmp_path / "all.csv", *rows)).ended(0)
    assert len(tracker.seen) == 40


def test_properties_that_changed_meanwhile_are_not_sent_again(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    importer("import", write(tmp_path / "one.csv", "ada,Acme,Clicked,2024-01-01T00:00:00Z,free")).ended(0)
    two = write(tmp_path / "two.csv", "ada,Acme,Clicked,2024-01-01T00:00:00Z,pro")
    asked = importer("import", two, "--json").ended(65)
    assert asked.summary["reasons"] == {"conflict": 1}
    summary = importer("import", two, "--overlap", "repeats", "--json")
    assert summary.ended(0).summary["findings"]["changed"] == 2
    assert len(tracker.seen) == 2


@pytest.mark.parametrize("size", ["1", "500"])
def test_exactly_alike_goes_first_whatever_the_order(
    importer: Command, tracker: Tracker, tmp_path: Path, size: str
) -> None:
    old = "ada,Acme,Clicked,2024-01-01T00:00:00Z,old"
    importer("import", write(tmp_path / "one.csv", old)).ended(0)
    other = write(tmp_path / "two.csv", "ada,Acme,Clicked,2024-01-01T00:00:00Z,new", old)
    repeats = ("--overlap", "repeats")
    summary = importer("import", other, "--batch-size", size, *repeats, "--json").ended(0).summary
    assert sorted(call["plan"] for call in tracker.calls()) == ["new", "new", "old", "old"]
    assert summary["rows"]["read"] == 2


def test_a_changed_mapping_reads_anew_and_sends_nothing_twice(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    log = write(
        tmp_path / "log.csv",
        "ada,Acme,Clicked,2024-01-01T00:00:00Z,a",
        "bob,Acme,Clicked,2024-01-01T00:00:01Z,b",
    )
    importer("import", log).ended(0)
    importer("import", log, "--no-properties").ended(0)
    assert len(tracker.seen) == 4


def test_limit_goes_on_behind_it(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    log = write(
        tmp_path / "log.csv", *(f"u{number},A,E{number},2024-01-01T00:00:00Z," for number in range(5))
    )
    importer("import", log, "--limit", "2").ended(0)
    assert len(tracker.seen) == 4
    importer("import", log).ended(0)
    assert len(tracker.seen) == 10


# --id


def test_ids_tell_alike_events_apart_and_known_ones_again(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    header = "id,user,account,event,timestamp,plan\n"
    row = "ada,Acme,Clicked,2024-01-01T00:00:00Z"
    importer(
        "import", write(tmp_path / "a.csv", f"1,{row},a", f"2,{row},a", header=header), "--id", "id"
    ).ended(0)
    assert sorted((call["_p"], call["_t"][-1]) for call in tracker.calls()) == [
        ("Acme", "0"),
        ("Acme", "1"),
        ("ada", "0"),
        ("ada", "1"),
    ]
    again = write(tmp_path / "b.csv", f"2,{row},z", f"3,{row},a", f"1,{row},a", header=header)
    importer("import", again, "--id", "id").ended(0)
    assert len(tracker.seen) == 6
    reused = write(tmp_path / "c.csv", "1,ada,Acme,Other,2024-01-01T00:00:00Z,a", header=header)
    importer("import", reused, "--id", "id").ended(65)
    assert {reject["code"] for reject in importer.rejects()} == {"id-reused"}
    assert len(tracker.seen) == 6


def test_ids_that_come_later_are_matched_by_deed(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    importer("import", write(tmp_path / "a.csv", "ada,Acme,Clicked,2024-01-01T00:00:00Z,old")).ended(0)
    row = "ada,Acme,Clicked,2024-01-01T00:00:00Z"
    log = write(
        tmp_path / "b.csv", f"{row},new,7", f"{row},old,8", header="user,account,event,timestamp,plan,id\n"
    )
    importer("import", log, "--id", "id", "--overlap", "repeats").ended(0)
    assert sorted(call["plan"] for call in tracker.calls()) == ["new", "new", "old", "old"]


# Rejects


def test_a_corrected_reject_is_sent_and_nothing_else(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    log = write(
        tmp_path / "log.csv",
        "ada,Acme,Clicked,2024-01-01T00:00:00Z,a",
        'guest,"Acme, Inc",Clicked,2024-01-01T00:00:09Z,a',
    )
    importer("import", log).ended(65)
    (path,) = importer.state.glob("rejects-*")
    (reject,) = importer.rejects()
    assert (reject["source"], reject["line"], reject["code"]) == (str(log), 3, "I1")
    assert reject["columns"] == ["user", "account", "event", "timestamp", "plan"]
    assert reject["raw"] == 'guest,"Acme, Inc",Clicked,2024-01-01T00:00:09Z,a\n'
    corrected = tmp_path / "corrected.jsonl"
    corrected.write_text(path.read_text().replace("guest", "bob"))
    importer("import", corrected).ended(0)
    importer("import", corrected).ended(0)
    importer("import", log).ended(0)
    assert Counter((call["_p"], call["_t"]) for call in tracker.calls()) == {
        ("ada", "1704067200"): 1,
        ("Acme", "1704067200"): 1,
        ("bob", "1704067209"): 1,
        ("Acme, Inc", "1704067209"): 1,
    }


def test_rejects_keep_the_mapping_they_were_read_with(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    header = "who,firm,what,when,plan\n"
    flags = ("--user", "who", "--account", "firm", "--event", "what", "--timestamp", "when")
    rows = ("guest,Acme,Clicked,2024-07-01 12:00:00,a", "bob,Acme,Clicked,2024-07-01 12:00:01,a")
    log = write(tmp_path / "log.csv", *rows, header=header)
    importer("import", log, *flags, "--timezone", "Europe/Berlin", "--exclude-property", "plan").ended(65)
    other = tmp_path / "log.jsonl"
    other.write_text('{"user": "none", "event": "Clicked", "timestamp": 1720000000, "plan": "b"}\n' * 2)
    importer("import", other).ended(65)
    corrected = tmp_path / "corrected"
    texts = [path.read_text() for path in sorted(importer.state.glob("rejects-*"))]
    corrected.write_text("".join(texts).replace("guest", "ada").replace("none", "cy"))
    importer("import", corrected).ended(0)
    arrived = sorted(tracker.calls(), key=lambda call: call["_t"])
    assert [call for call in arrived if call["_p"] in ("ada", "cy")] == [
        {"_p": "ada", "_n": "Clicked", "_t": "1719828000", "_d": "1"},
        {"_p": "cy", "_n": "Clicked", "_t": "1720000000", "_d": "1", "plan": "b"},
    ]


def test_a_crowded_account_is_still_owed_its_part(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    rows = [f"u{number},Acme,Clicked,2024-01-01T00:00:00Z," for number in range(4)]
    summary = (
        importer("import", write(tmp_path / "log.csv", *rows), "--spread", "2", "--json").ended(65).summary
    )
    assert summary["rows"] == {"read": 4, "sent": 3, "skipped": 0, "rejected": 1, "held": 0, "pending": 0}
    (reject,) = importer.rejects()
    assert (reject["owed"], reject["code"]) == (["account"], "D1-full")
    (path,) = importer.state.glob("rejects-*")
    later = shutil.copy(path, tmp_path / "later.jsonl")
    importer("import", later, "--spread", "9").ended(0)
    assert Counter((call["_p"], call["_t"][-1]) for call in tracker.calls()) == Counter(
        [(f"u{number}", "0") for number in range(4)] + [("Acme", str(number)) for number in range(4)]
    )


@pytest.mark.parametrize(
    ("collisions", "seconds", "code"),
    [("spread", ["0", "1"], 0), ("keep", ["0", "0"], 0), ("reject", ["0"], 65)],
)
def test_collisions(
    importer: Command, tracker: Tracker, tmp_path: Path, collisions: str, seconds: list[str], code: int
) -> None:
    log = write(
        tmp_path / "log.csv",
        "ada,Acme,Clicked,2024-01-01T00:00:00Z,",
        "bob,Acme,Clicked,2024-01-01T00:00:00Z,",
    )
    importer("import", log, "--collisions", collisions).ended(code)
    assert sorted(call["_t"][-1] for call in tracker.calls() if call["_p"] == "Acme") == seconds


# Sites and keys


def test_a_site_keeps_its_key(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", "ada,Acme,Clicked,2024-01-01T00:00:00Z,")
    importer("import", log).ended(0)
    importer.environment["KM_API_KEY"] = "another"
    assert "another API key" in importer("import", log).ended(2).err
    importer("import", log, "--site", "test").ended(0)
    assert [hit.params["_k"] for hit in tracker.hits][2:] == ["another", "another"]


def test_nothing_under_the_state_folder_holds_the_key(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    tracker.behave = lambda _hit, _number: BAD
    log = write(tmp_path / "log.csv", "ada,Acme,Clicked,2024-01-01T00:00:00Z,")
    importer("import", log).ended(65)
    for path in importer.state.iterdir():
        assert b"0123456789abcdef0123456789abcdef01234567" not in path.read_bytes()


def test_flags_lie_over_the_mapping_of_a_reject(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(
        '{"user_id": "internal-8", "email": "bob@x", "event": "In", "timestamp": 1704067200, '
        '"plan": {"a": "b"}}\n'
    )
    importer("import", log, "--user", "email", "--exclude-property", "user_id").ended(65)
    (path,) = importer.state.glob("rejects-*")
    importer("import", shutil.copy(path, tmp_path / "again.jsonl"), "--flatten").ended(0)
    assert [(call["_p"], call["plan.a"], "user_id" in call) for call in tracker.calls()] == [
        ("bob@x", "b", False)
    ]


def test_a_part_owed_stays_owed_however_often_it_is_corrected(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    rows = [f"u{number},Acme,Clicked,2024-01-01T00:00:00Z," for number in range(2)]
    importer("import", write(tmp_path / "log.csv", *rows), "--spread", "0").ended(65)
    for old, new in (("2024-01-01T00:00:00Z", "nonsense"), ("nonsense", "2024-01-01T00:00:09Z")):
        path = max(importer.state.glob("rejects-*"), key=lambda path: path.stat().st_mtime_ns)
        corrected = tmp_path / f"{new[:4]}.jsonl"
        corrected.write_text(path.read_text().replace(old, new))
        importer("import", corrected)
    assert sorted((call["_p"], call["_t"][-1]) for call in tracker.calls()) == [
        ("Acme", "0"),
        ("Acme", "9"),
        ("u0", "0"),
        ("u1", "0"),
    ]


def test_a_rejects_file_leaves_no_reading_behind(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    bad = '{"user": "guest", "event": "In", "timestamp": 1704067200, "plan": "a"}\n'
    log = tmp_path / "log.jsonl"
    log.write_text(bad)
    importer("import", log).ended(65)
    (path,) = importer.state.glob("rejects-*")
    rejects = Path(shutil.copy(path, tmp_path / "rejects.jsonl"))
    importer("import", rejects).ended(65)
    log.write_text(bad + bad.replace("guest", "bob").replace('"a"', '"b"'))
    importer("import", log).ended(0)
    rejects.write_text(rejects.read_text().replace("guest", "bob"))
    importer("import", rejects).ended(0)
    assert sorted(call["plan"] for call in tracker.calls()) == ["a", "b"]


def test_the_rejects_file_is_for_its_owner_and_lines_torn_by_a_crash_stay_apart(
    importer: Command, tmp_path: Path
) -> None:
    rejects = tmp_path / "rejects.jsonl"
    log = write(tmp_path / "log.csv", "guest,Acme,Clicked,2024-01-01T00:00:00Z,")
    importer("import", log, "--rejects", rejects).ended(65)
    assert rejects.stat().st_mode & 0o077 == 0
    rejects.write_text(rejects.read_text()[:-20])
    importer(
        "import", write(tmp_path / "b.csv", "none,Acme,Clicked,2024-01-01T00:00:00Z,"), "--rejects", rejects
    )
    assert '"line": 2' in rejects.read_text().splitlines()[1]
