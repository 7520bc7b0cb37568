"""`--to file:PATH`: bulk files have the calls that the tracker would get, each once, in parts that sort."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from km_cli.destinations import parse_target
from km_cli.errors import UsageError
from km_cli.ledger import BulkPart, Ledger
from km_cli.standin import Store
from tests.conftest import SAMPLES
from tests.support.bulk import calls_in, finished, form_of_hit, read
from tests.support.command import Command, Result
from tests.support.people import configure, write
from tests.support.tracker import Tracker

PEOPLE = """
[[personas]]
name = "user"
alias = "was"
set = ["tier"]
[[personas]]
name = "account"
"""


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """The command, with a home of its own and no key."""
    home = tmp_path / "home"
    home.mkdir()
    return Command(home, environment={"KM_API_KEY": ""})


@pytest.fixture(params=["json", "csv"])
def to(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each format."""
    return f"file:{tmp_path}/out.{request.param}"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The beginning of the samples: crowded seconds, rejected rows, several columns; nothing CSV refuses."""
    lines = (SAMPLES / "events.csv").read_bytes().splitlines(keepends=True)[:180]
    path = tmp_path / "events.csv"
    path.write_bytes(b"".join(line for line in lines if b'"' not in line and b"\\" not in line))
    return path


def ended(result: Result) -> Result:
    """The samples have bad rows."""
    return result.ended(65 if result.code == 65 else 0)


def test_the_files_have_the_calls_that_the_tracker_gets(
    command: Command, importer: Command, tracker: Tracker, log: Path, tmp_path: Path, to: str
) -> None:
    summary = ended(command("import", log, "--to", to, "--json")).summary
    sent = ended(importer("import", log, "--json")).summary
    assert calls_in(tmp_path, "out") == Counter(form_of_hit(hit.path, hit.params) for hit in tracker.seen)
    for part in ("rows", "calls", "findings", "reasons"):
        assert summary[part] == sent[part]
    for one in summary["parts"]:
        assert (one["site"], one["bytes"]) == ("main", Path(one["file"]).stat().st_size)
        assert one["calls"] == len(read(Path(one["file"])))
    again = ended(command("import", log, "--to", to, "--json")).summary
    assert (again["calls"]["planned"], "parts" in again) == (0, False)


def test_aliases_and_properties_that_are_set(
    command: Command, importer: Command, tracker: Tracker, tmp_path: Path, to: str
) -> None:
    header = "user,account,event,timestamp,plan,was,tier"
    rows = ["ada,Acme,In,@0,pro,anon,gold", "bob,Acme,In,@1,,,silver", "ada,,Out,@2,,,gold", "cy,,In,@3,,c1,"]
    log = write(tmp_path / "log.csv", *rows, header=header)
    for one in (command, importer):
        configure(one, PEOPLE)
    command("import", log, "--to", to, "--allow-alias").ended(0)
    importer("import", log, "--allow-alias").ended(0)
    assert calls_in(tmp_path, "out") == Counter(form_of_hit(hit.path, hit.params) for hit in tracker.seen)
    calls = [call for path in finished(tmp_path, "out") for call in read(path)]
    aliases = [at for at, call in enumerate(calls) if "_p2" in call]
    assert len(aliases) == 2
    for at in aliases:
        assert any(call["_p"] == calls[at]["_p"] for call in calls[:at]), "an alias needs data before it (I3)"


def test_json_files_imported_again_are_a_direct_import(command: Command, log: Path, tmp_path: Path) -> None:
    ended(command("import", log, "--to", f"file:{tmp_path}/out.json"))
    ended(command("import", log, "--to", f"local:{tmp_path}/direct.db"))
    command(
        "import", *finished(tmp_path, "out"), "--to", f"local:{tmp_path}/again.db", "--overlap", "separate"
    ).ended(0)
    kept = []
    for name in ("direct.db", "again.db"):
        with closing(Store(tmp_path / name)) as store:
            kept.append((sorted(map(tuple, store.events())), sorted(map(tuple, store.properties()))))
    assert kept[0] == kept[1]
    assert len(kept[0][0]) > 150


def test_a_row_that_csv_cannot_hold_is_rejected_and_goes_into_json(command: Command, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(
        "user,account,event,timestamp,note\n"
        "ada,Acme,In,1709283600,fine\n"
        'bob,Acme,In,1709283600,"one, two"\n'
        "cy,Acme,In,1709283600,fine\n"
    )
    summary = command("dry-run", log, "--to", f"file:{tmp_path}/out.csv", "--json").ended(65).summary
    assert summary["reasons"] == {"unfit": 1}
    assert not finished(tmp_path, "out")
    result = command("import", log, "--to", f"file:{tmp_path}/out.csv", "--json").ended(65)
    assert result.summary["calls"]["acknowledged"] == 4
    assert result.summary["reasons"] == {"unfit": 1}
    (reject,) = command.rejects()
    assert reject["line"] == 3
    assert "the value of the property 'note', 'one, two' has a comma" in reject["reason"]
    seconds = [
        int(call["_t"]) for path in finished(tmp_path, "out") for call in read(path) if call["_p"] == "Acme"
    ]
    assert sorted(seconds) == [1709283600, 1709283601], "the rejected row takes no second"
    (rejects,) = command.state.glob("rejects-*")
    command("import", rejects, "--to", f"file:{tmp_path}/rest.json").ended(0)
    (rest,) = finished(tmp_path, "rest")
    assert [call["_p"] for call in read(rest)] == ["bob", "Acme"]


def test_a_row_that_was_sent_before_is_not_judged(command: Command, tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", 'ada,Acme,In,@0,"a, b"')
    command("import", log, "--to", f"file:{tmp_path}/out.json").ended(0)
    with log.open("a") as file:
        file.write("bob,Acme,In,1709283600,pro\n")
    copy = tmp_path / "copy.csv"
    copy.write_bytes(log.read_bytes())
    summary = command("import", copy, "--to", f"file:{tmp_path}/out.csv", "--json").ended(0).summary
    assert (summary["rows"]["sent"], summary["rows"]["skipped"]) == (1, 1)


def test_parts_have_at_most_the_size_that_is_given(
    command: Command, log: Path, tmp_path: Path, to: str
) -> None:
    summary = ended(command("import", log, "--to", to, "--part-size", "2K", "--json")).summary
    files = finished(tmp_path, "out")
    assert len(files) == len(summary["parts"]) > 5
    assert all(path.stat().st_size <= 2000 for path in files)
    assert sum(len(read(path)) for path in files) == summary["calls"]["acknowledged"]
    other = Command(tmp_path / "other")
    ended(other("import", log, "--to", to.replace("out.", "whole."), "--batch-size", "7"))
    assert calls_in(tmp_path, "out") == calls_in(tmp_path, "whole")


def test_a_line_that_is_longer_than_a_part_has_one_of_its_own(command: Command, tmp_path: Path) -> None:
    rows = [f"u{number},,In,@{number},{'x' * (4000 if number == 1 else 10)}" for number in range(4)]
    log = write(tmp_path / "log.csv", *rows)
    command("import", log, "--to", f"file:{tmp_path}/out.json", "--part-size", "2K").ended(0)
    assert [len(read(path)) for path in finished(tmp_path, "out")] == [1, 1, 2]


@pytest.mark.parametrize("size", ["100M", "2K"])
def test_gzip(command: Command, log: Path, tmp_path: Path, to: str, size: str) -> None:
    ended(command("import", log, "--to", to + ".gz", "--batch-size", "50", "--part-size", size))
    other = Command(tmp_path / "other")
    ended(other("import", log, "--to", to.replace("out.", "plain.")))
    assert calls_in(tmp_path, "out") == calls_in(tmp_path, "plain")
    assert all(path.suffix == ".gz" for path in finished(tmp_path, "out"))


def test_each_site_has_files_of_its_own(command: Command, tmp_path: Path, to: str) -> None:
    log = write(tmp_path / "log.csv", "ada,Acme,In,@0,pro")
    command("import", log, "--to", to, "--strategy", "sites").ended(0)
    persons = {
        path.name.partition("0")[0]: [call["_p"] for call in read(path)] for path in finished(tmp_path, "out")
    }
    assert persons == {"outmain": ["ada"], "outaccounts": ["Acme"]}


def test_the_calls_count_as_sent_to_kissmetrics(command: Command, log: Path, tmp_path: Path) -> None:
    """The ledger belongs to the sites (promise 8). A trial has a ledger of its own."""
    to = f"file:{tmp_path}/trial.json"
    ended(command("import", log, "--to", to, "--ledger", command.home / "trial.db"))
    planned = ended(command("dry-run", log, "--json")).summary["calls"]["planned"]
    assert planned == sum(calls_in(tmp_path, "trial").values())
    ended(command("import", log, "--to", f"file:{tmp_path}/out.csv"))
    assert ended(command("dry-run", log, "--json")).summary["calls"]["planned"] == 0
    assert command("retry", "--to", f"file:{tmp_path}/out.csv").ended(0).out == ""
    assert "nothing is wrong" in command("ledger", "check").ended(0).out


def test_status_and_show_say_that_files_must_be_uploaded(
    command: Command, log: Path, tmp_path: Path, importer: Command
) -> None:
    """Until they are moved away: the ledger never learns of the upload."""
    to = ("--to", f"file:{tmp_path}/out.csv")
    summary = ended(command("import", log, *to, "--json")).summary
    calls = summary["calls"]["acknowledged"]
    assert f"{calls:,} of them in bulk files" in command("status").ended(0).out
    status = command("status", "--json").ended(0).summary
    assert [site["in_files"] for site in status["sites"]] == [calls]
    (step,) = (one for one in status["next"] if "bulk file" in one["why"])
    assert f"count as sent in a bulk file on this machine: {tmp_path}/outmain00001.csv" in step["why"]
    assert step["what"].startswith("upload it to the bucket")
    for place in (to, ()):
        shown = command("show", *place).ended(0).out
        assert "sent to" not in shown
        assert f"{calls:,} calls in bulk files: Kissmetrics has them once" in shown
        assert command("show", *place, "--json").ended(0).summary["in_files"] == calls
    for path in finished(tmp_path, "out"):
        path.unlink()
    assert not [one for one in command("status", "--json").summary["next"] if "bulk file" in one["why"]]
    ended(importer("import", log))
    assert "in bulk files" not in importer("status").ended(0).out + importer("show").ended(0).out


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (BulkPart("/a/out.json", "main", 1, '["", []]', 10, waits=True), "its series is not in a bucket"),
        (BulkPart("/a/out.json", "main", 1, '["", []]', 0, calls=3), "it has 3 calls in 0 bytes"),
        (BulkPart("/a/out.json", "main", 1, '["", [1]]', 10), "its columns are"),
        (BulkPart("/a/out.json", "main", 1, "[", 10), "cannot be decoded"),
    ],
)
def test_a_ledger_check_knows_bulk_files(command: Command, tmp_path: Path, part: BulkPart, text: str) -> None:
    path = tmp_path / "ledger.db"
    with closing(Ledger.open(path)) as ledger:
        ledger.keep_parts([part])
    found = command("ledger", "check", "--ledger", path, "--json").ended(73).summary
    assert [one["table"] for one in found["problems"]] == ["bulk_parts"]
    assert text in found["problems"][0]["text"]


def test_a_later_run_begins_a_new_part(command: Command, tmp_path: Path) -> None:
    """The numbers go on, whether the parts were uploaded and removed or are of another ledger."""
    log, to = tmp_path / "log.csv", f"file:{tmp_path}/out.json"
    log.write_text("user,account,event,timestamp\n")
    for day in range(3):
        with log.open("a") as file:
            file.write(f"u{day},,In,{1709283600 + day}\n")
        command("import", log, "--to", to).ended(0)
        if day == 1:
            for path in finished(tmp_path, "out"):
                path.unlink()
    assert [path.name for path in finished(tmp_path, "out")] == ["outmain00003.json"]
    command("import", log, "--to", to, "--ledger", tmp_path / "other.db").ended(0)
    assert [path.name for path in finished(tmp_path, "out")] == ["outmain00003.json", "outmain00004.json"]


def test_a_backfill_writes_what_is_new_and_reads_none_of_its_files(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    configure(command, f'[[backfill]]\nname = "all"\nfiles = ["{folder}/*"]\n')
    for number in range(2):
        (folder / f"log{number}.jsonl").write_text(
            json.dumps({"user": "ada", "event": f"In {number}", "timestamp": 1709283600}) + "\n"
        )
        config = ("--config", command.home / "km.toml")
        command("backfill", *config, "--to", f"file:{folder}/out.json").ended(0)
    assert [[call["_n"] for call in read(path)] for path in finished(folder, "out")] == [["In 0"], ["In 1"]]
    inside = finished(folder, "out")[0]
    assert "is a bulk file" in command("import", inside, "--to", f"file:{folder}/out.json").ended(2).err


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("file:out.txt", "ends with neither .json nor .csv"),
        ("file:", "ends with neither .json nor .csv"),
        ("file:my-log.json", "'my-log' is not a name that Kissmetrics takes"),
        ("file:.json", "'' is not a name that Kissmetrics takes"),
        ("file:absent/out.json", "there is no folder"),
    ],
)
def test_a_name_that_kissmetrics_does_not_take(
    command: Command, log: Path, to: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for verb in ("import", "dry-run"):
        assert reason in command(verb, log, "--to", to).ended(2).err
    assert not command.state.exists()


def test_sites_whose_files_would_have_one_name(command: Command, log: Path, tmp_path: Path) -> None:
    configure(command, '[sites.a-b]\nkey_env = "A"\n[sites."ab"]\nkey_env = "B"\n')
    config = ("--config", command.home / "km.toml", "--strategy", "sites")
    assert (
        "would be named like"
        in command("import", log, "--to", f"file:{tmp_path}/out.json", *config).ended(2).err
    )


def test_a_part_size_is_for_bulk_files(command: Command, log: Path, tmp_path: Path) -> None:
    assert "for bulk files alone" in command("import", log, "--to", "local", "--part-size", "1M").ended(2).err
    to = f"file:{tmp_path}/out.json"
    assert (
        "--part-size 'x' is not a size of 1,024 bytes or more, such as 100M"
        in command("import", log, "--to", to, "--part-size", "x").ended(2).err
    )
    configure(command, '[delivery]\npart_size = "2K"\n')
    config = ("--config", command.home / "km.toml")
    ended(command("import", log, "--to", to, *config))
    assert len(finished(tmp_path, "out")) > 5


def test_a_target_has_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    target = parse_target("file:out.csv.gz", tmp_path)
    assert (target.tracker, target.place) == ("kissmetrics", f"{tmp_path}/out.csv.gz")
    assert target.route == target.spelled == f"file:{tmp_path}/out.csv.gz"
    with pytest.raises(UsageError, match="no such user"):
        parse_target("file:~nobody-of-that-name/out.json", tmp_path)


def test_an_upload_in_between_takes_no_open_file(command: Command, log: Path, tmp_path: Path) -> None:
    """A file of that name that is there already is never overwritten."""
    (tmp_path / "outmain00001.json").write_text("of another program")
    ended(command("import", log, "--to", f"file:{tmp_path}/out.json"))
    assert (tmp_path / "outmain00001.json").read_text() == "of another program"
    assert (tmp_path / "outmain00002.json").exists()
