"""An import plan says what an import sends, and `import --plan` sends exactly that, or nothing."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import km_cli.cli.run_planned
from tests.conftest import SAMPLES
from tests.support.bench import SITES, Bench, Ran, fresh
from tests.support.command import KEY, Command
from tests.support.drawing import examples
from tests.support.inprocess import run
from tests.support.patience import PATIENCE
from tests.support.people import write
from tests.support.plans import digest_of, plan_in, resigned, sums
from tests.support.rowlogs import BY_NAME, COLUMNS, KINDS, as_csv, cuts, logs
from tests.support.tracker import OK, Hit, Reaction, Tracker, refuse

few = settings(max_examples=examples(8), deadline=None, phases=set(Phase) - {Phase.explain})
some = settings(few, max_examples=examples(24))
ROWS = ("ada,Acme,In,@1", "bo,Acme,In,@1", "cy,,Out,@2", "bo,Beta,In,@3", "guest,,In,@4")
CALLS = 7


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Five rows: one is rejected, and one account has two events in one second."""
    return write(tmp_path / "log.csv", *ROWS)


def planned(bench: Bench, *words: str | Path, code: int = 65) -> Path:
    """Write a plan and return its file."""
    plan = bench.folder / "import.plan.toml"
    result = bench.run("dry-run", *words, "--out", plan)
    assert result.code == code, result.err
    assert not bench.tracker.hits
    return plan


def refused(bench: Bench, *words: str | Path, hint: str = "make it again with km-cli dry-run") -> str:
    """Import with a plan that does not fit; return the message. No call left."""
    before = len(bench.tracker.seen)
    result = bench.run("import", *words)
    assert (result.code, len(bench.tracker.seen)) == (2, before), result.err
    assert hint in result.err
    return result.err


# What stands in it


def test_it_has_the_counts_of_the_dry_run(bench: Bench, log: Path) -> None:
    found = plan_in(planned(bench, log))
    dry = bench.run("dry-run", log).summary
    total = {"rows": 5, "rows_to_send": 4, "rows_to_skip": 0, "rows_to_reject": 1, "calls": CALLS}
    assert found["total"] == total
    assert found["calls"] == [
        {
            "site": "main",
            "persona": "account",
            "records": 3,
            "sets": 0,
            "aliases": 0,
            "new_people": 2,
            "events": {"In": 3},
        },
        {
            "site": "main",
            "persona": "user",
            "records": 4,
            "sets": 0,
            "aliases": 0,
            "new_people": 3,
            "events": {"In": 3, "Out": 1},
        },
    ]
    assert found["days"] == {"main": {"2024-01-01": CALLS}}
    assert {one["code"]: one["count"] for one in found["findings"]} == dry["findings"]
    assert {one["code"]: one["count"] for one in found["rejects"]} == dry["reasons"]
    assert found["forecast"] == dry["forecast"]
    (reject,) = found["rejects"]
    assert (reject["lines"], reject["severity"]) == ([f"{log}: 6"], "rejected")
    assert reject["first"].startswith(f"{log}, line 6: the identity 'guest' is a placeholder")
    (one,) = found["inputs"]
    assert (one["name"], one["bytes"], one["rows"]) == (str(log), log.stat().st_size, 5)
    assert (one["first_line"], one["last_line"]) == (2, 6)
    assert found["digest"] == digest_of(bench.folder / "import.plan.toml")


def test_it_is_the_same_whenever_it_is_made_but_for_the_time(bench: Bench, log: Path) -> None:
    texts = []
    for now in (1_795_932_000.0, 1_795_942_000.0):
        plan = bench.folder / f"{now}.toml"
        code, _, err = at(now, bench, "dry-run", log, "--out", plan)
        assert code == 65, err
        texts.append(plan.read_text().splitlines())
    assert [(one, other) for one, other in zip(*texts, strict=True) if one != other] == [
        ('made = "2026-11-29T06:00:00Z"', 'made = "2026-11-29T08:46:40Z"')
    ]


class _Clock:
    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now


def at(now: float, bench: Bench, *words: str | Path) -> tuple[int, str, str]:
    """Run a command at a time in seconds since 1970."""
    usual = ("--to", bench.tracker.url, "--ledger", bench.ledger)
    variables = {"PATH": os.environ["PATH"], "KM_API_KEY": KEY, "HOME": str(bench.folder)}
    return run([str(word) for word in (*words, *usual)], variables, clock=_Clock(now))


def test_months_stand_for_days_if_there_are_many(bench: Bench) -> None:
    rows = [f"2024-{month:02}-{day:02}T00:00:00Z,ada,In" for month in (1, 2, 3) for day in range(1, 29)]
    log = bench.write("log.csv", "\n".join(["timestamp,user,event", *rows, ""]))
    months = {"2024-01": 28, "2024-02": 28, "2024-03": 28}
    assert plan_in(planned(bench, log, code=0))["days"] == {"main": months}


def test_only_the_owner_can_read_it_and_nothing_else_is_left(bench: Bench, log: Path) -> None:
    plan = planned(bench, log)
    assert stat.S_IMODE(plan.stat().st_mode) == 0o600
    assert {path.name for path in bench.folder.iterdir()} == {"import.plan.toml", "log.csv"}


def test_no_key_stands_in_it_even_if_the_log_has_it(bench: Bench) -> None:
    log = write(bench.folder / "log.csv", f"ada,{KEY},{KEY},@1", f"{KEY},,guest,never")
    plan = planned(bench, log)
    assert KEY not in plan.read_text()
    assert "[API key]" in plan.read_text()


def test_names_with_any_characters_come_back(bench: Bench) -> None:
    """Quotation marks, brackets, escapes and names that are keywords of the plan."""
    names = ['"', "[x]", "made = 1", "digest", "\\u0041", "ü ☃", "a.b", "#", "'"]
    cells = [f'ada,,"{name.replace(chr(34), chr(34) * 2)}",@{at}' for at, name in enumerate(names)]
    plan = planned(bench, write(bench.folder / "log.csv", *cells), code=0)
    assert set(plan_in(plan)["calls"][0]["events"]) == set(names)
    assert bench.run("import", bench.folder / "log.csv", "--plan", plan).code == 0


def test_prices_stand_in_it_if_km_toml_has_them(bench: Bench, log: Path) -> None:
    toml = bench.write("km.toml", "[plans.small]\nevents = 10\nprice = 5\n")
    plan = planned(bench, log, "--config", toml)
    cost = {"events": "7", "if_billed_in_one_month": "70% of the plan small ($5)"}
    assert plan_in(plan)["cost"] == cost
    toml.write_text("[plans.small]\nevents = 10\nprice = 6\n")
    assert bench.run("import", log, "--config", toml, "--plan", plan).code == 65


def test_the_summary_names_it(bench: Bench, log: Path) -> None:
    plan = bench.folder / "p.toml"
    first = bench.run("dry-run", log, "--out", plan).summary["plan"]
    assert first == {"path": str(plan), "digest": plan_in(plan)["digest"], "replaced": ""}
    made = plan_in(plan)["made"]
    assert bench.run("dry-run", log, "--out", plan).summary["plan"]["replaced"] == made


def test_people_are_told_where_it_is(importer: Command, log: Path, tmp_path: Path) -> None:
    plan = tmp_path / "p.toml"
    out = importer("dry-run", log, "--out", plan).ended(65).out
    digest = plan_in(plan)["digest"][:12]
    assert out.endswith(f"Nothing was sent. The import plan is in {plan}; its digest is {digest}.\n")
    again = importer("dry-run", log, "--out", plan).ended(65).out
    assert f"{plan}, in place of the one of {plan_in(plan)['made'][:10]}" in again
    printed = importer("dry-run", log, "--out", "-").ended(65).out
    assert printed.splitlines()[10:] == plan.read_text().splitlines()[10:]


def test_a_file_that_is_no_plan_is_not_replaced(km: Command, log: Path, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    result = km("dry-run", log, "--out", other).ended(2)
    assert "the file is there already, and it is not an import plan" in result.err
    assert other.read_text() == "mine"
    result = km("dry-run", log, "--out", log).ended(2)
    assert "would be both an input and the file of --out" in result.err


def test_what_cannot_be_planned(km: Command, log: Path, tmp_path: Path) -> None:
    plan = tmp_path / "p.toml"
    assert "can be read only once" in km("dry-run", "-", "--out", plan, stdin=b"").ended(2).err
    os.mkfifo(tmp_path / "pipe")
    assert "can be read only once" in km("dry-run", tmp_path / "pipe", "--out", plan).ended(2).err
    assert "both write to standard output" in km("dry-run", log, "--out", "-", "--json").ended(2).err
    (tmp_path / "km.toml").write_text('[[backfill]]\nname = "x"\nfiles = ["*.csv"]\n')
    result = km("dry-run", "--config", tmp_path / "km.toml", "--out", plan).ended(2)
    assert "--out needs FILE" in result.err
    assert not plan.exists()


def test_bulk_files_have_no_plan(km: Command, log: Path, tmp_path: Path) -> None:
    """No run that writes files is held to a plan: the command is refused before it writes one."""
    plan, to = tmp_path / "p.toml", f"file:{tmp_path}/bulk.json"
    km("dry-run", log, "--out", plan).ended(65)
    for words in (("import", log, "--plan", plan), ("dry-run", log, "--out", tmp_path / "other.toml")):
        assert f"--to {to} do not go together" in km(*words, "--to", to).ended(2).err
    assert not list(tmp_path.glob("bulk*"))
    assert not (tmp_path / "other.toml").exists()


def test_an_import_that_would_end_early_has_no_plan(km: Command, tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", *ROWS, "guest,,In,@5", "guest,,In,@6")
    assert "more than --max-rejects" in km("dry-run", log, "--max-rejects", "2", "--out", tmp_path / "p").err
    assert not (tmp_path / "p").exists()


def test_a_plan_of_a_strict_dry_run_is_written_all_the_same(km: Command, log: Path, tmp_path: Path) -> None:
    result = km("dry-run", log, "--strict", "--out", tmp_path / "p.toml").ended(65)
    assert "--strict" in result.err
    assert (tmp_path / "p.toml").exists()


# What is sent is what it says


def check_sent(bench: Bench, plan: Path) -> None:
    """What arrived has the sums of the plan, and each call came once."""
    found = plan_in(plan)
    assert sums(bench.tracker.hits, SITES) == found["proof"].get("sums", {})
    assert len(bench.wires()) == found["total"]["calls"]


@few
@given(data=st.data())
def test_what_arrives_has_the_digest_of_the_plan(shared_tracker: Tracker, data: st.DataObject) -> None:
    """Whatever the log, the files and the personas. A second import with the plan sends nothing."""
    log, kind = data.draw(logs()), data.draw(st.sampled_from(KINDS))
    with fresh(shared_tracker) as bench:
        files = [bench.write(f"{n}.csv", as_csv(rows)) for n, rows in enumerate(cuts(data.draw, log))]
        flags = bench.flags(kind)
        plan = bench.folder / "plan.toml"
        assert bench.run("dry-run", *files, *flags, "--out", plan).code in (0, 65)
        result = bench.send(*files, *flags, "--plan", plan)
        check_sent(bench, plan)
        assert result.summary["calls"]["planned"] == plan_in(plan)["total"]["calls"]
        again = bench.run("import", *files, *flags, "--plan", plan)
        assert (again.code, again.summary["rows"]["read"]) == (0, 0)
        assert "has nothing left to send" in again.err
        check_sent(bench, plan)


def stop_at(number: int) -> Callable[[Hit, int], Reaction]:
    """Refuse all calls from one on: the run ends at once."""
    return lambda _, seen: OK if seen < number else refuse(401)


@pytest.mark.slow
@some
@given(data=st.data())
def test_an_interrupted_import_goes_on_with_its_plan(shared_tracker: Tracker, data: st.DataObject) -> None:
    """Whichever call it is interrupted at, and however often, with a retry in between or without."""
    log, kind = data.draw(logs(most=14)), data.draw(st.sampled_from(KINDS))
    with fresh(shared_tracker) as bench:
        files = [bench.write(f"{n}.csv", as_csv(rows)) for n, rows in enumerate(cuts(data.draw, log))]
        words = (*files, *bench.flags(kind), "--batch-size", str(data.draw(st.integers(1, 4))))
        plan = bench.folder / "plan.toml"
        assert bench.run("dry-run", *words, "--out", plan).code in (0, 65)
        words = (*words, "--concurrency", "1", "--plan", plan)
        for _ in range(data.draw(st.integers(1, 3))):
            shared_tracker.behave = stop_at(len(shared_tracker.seen) + data.draw(st.integers(0, 4)))
            first = bench.run("import", *words)
            shared_tracker.behave = None
            assert first.code in (0, 65, 69), first.err
            if data.draw(st.booleans()):
                assert bench.run("retry").code == 0
        assert bench.run("import", *words).code in (0, 65)
        check_sent(bench, plan)


@pytest.mark.slow
@some
@given(data=st.data())
def test_any_changed_cell_is_refused(shared_tracker: Tracker, data: st.DataObject) -> None:
    """Also in a column that is not sent: the file is not the one that was reviewed."""
    log, kind = data.draw(logs()), data.draw(st.sampled_from(KINDS))
    with fresh(shared_tracker) as bench:
        file = bench.write("log.csv", as_csv(log))
        plan = bench.folder / "plan.toml"
        assert bench.run("dry-run", file, *bench.flags(kind), "--out", plan).code in (0, 65)
        at_row, at_cell = data.draw(st.integers(0, len(log) - 1)), data.draw(st.integers(0, len(COLUMNS) - 1))
        cells = list(log[at_row])
        cells[at_cell] = "2024-03-01T12:30:00Z" if at_cell == 0 else f"x{cells[at_cell]}"
        file.write_text(as_csv([*log[:at_row], tuple(cells), *log[at_row + 1 :]]))
        message = refused(bench, file, *bench.flags(kind), "--plan", plan)
        assert f"{file} has other content" in message
        assert not bench.ledger.exists()


def test_the_first_lines_that_differ_are_named(bench: Bench) -> None:
    rows = [f"u{n},,In,@{n % 60}" for n in range(2500)]
    log = write(bench.folder / "log.csv", *rows)
    plan = planned(bench, log, "--no-properties", code=0)
    assert [one[:5] for one in plan_in(plan)["proof"]["blocks"]] == [
        [str(log), 2, 1001, 1000, 1000],
        [str(log), 1002, 2001, 1000, 1000],
        [str(log), 2002, 2501, 500, 500],
    ]
    write(log, *rows[:1500], "other,,In,@0", *rows[1501:])
    message = refused(bench, log, "--no-properties", "--plan", plan)
    assert f"the first calls that differ are of {log}, lines 1,002 to 2,001" in message
    write(log, *rows, "new,,In,@0")
    assert "lines 2,002 to 2,502" in refused(bench, log, "--no-properties", "--plan", plan)
    write(log, *rows[:2000])
    assert "lines 2,002 to 2,501, are missing now" in refused(bench, log, "--no-properties", "--plan", plan)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--spread", "30"), "settings.spread: 60 → 30"),
        (("--limit", "2"), "settings.limit: none → 2"),
        (("--skip", "Out"), "settings.selection.skip: none → ['out']"),
        (("--until", "2024-06-01"), "settings.selection.until: none → '2024-06-01T00:00:00Z'"),
        (("--strategy", "property"), "settings.personas.account.events: '*' → []"),
        (("--no-properties",), "settings.columns.properties: none → []"),
        (("--site", "test"), "settings.sites: ['main'] → ['test']"),
        (("--collisions", "keep"), "settings.collisions: 'spread' → 'keep'"),
        (("--timezone", "Europe/Berlin"), "settings.times.timezone: none → 'Europe/Berlin'"),
        (("--as-new",), "settings.as_new: none → True"),
    ],
)
def test_another_option_is_refused(bench: Bench, log: Path, words: tuple[str, ...], said: str) -> None:
    plan = planned(bench, log)
    assert said in refused(bench, log, *words, "--plan", plan)
    assert plan_in(planned(bench, log, *words, code=0 if words[0] == "--limit" else 65))["settings"]


def test_another_persona_in_km_toml_is_refused(bench: Bench, log: Path) -> None:
    toml = bench.write("km.toml", BY_NAME["bare-account"].toml)
    plan = planned(bench, log, "--config", toml)
    toml.write_text(toml.read_text().replace('"user"', '"user"\nprefix = "u "'))
    assert "settings.personas.user.prefix: none → 'u '" in refused(
        bench, log, "--config", toml, "--plan", plan
    )


def test_another_members_file_is_refused(bench: Bench) -> None:
    toml = bench.write("km.toml", '[members]\nfile = "m.csv"\nuser = "user"\naccount = "account"\n')
    bench.write("m.csv", "user,account\nada,Acme\n")
    log = bench.write("log.csv", "timestamp,user,event\n2024-01-01T00:00:00Z,ada,In\n")
    plan = planned(bench, log, "--config", toml, code=0)
    bench.write("m.csv", "user,account\nada,Beta\n")
    assert "settings.members: " in refused(bench, log, "--config", toml, "--plan", plan)


def test_other_inputs_are_refused(bench: Bench, log: Path) -> None:
    more = write(bench.folder / "more.csv", "dan,,In,@9")
    plan = planned(bench, log, more)
    assert f"{more} is an input of the plan, and is not given" in refused(bench, log, "--plan", plan)
    assert "the inputs are in another order" in refused(bench, more, log, "--plan", plan)
    third = write(bench.folder / "third.csv", "eve,,In,@9")
    message = refused(bench, log, more, third, "--plan", plan)
    assert f"{third} is not an input of the plan" in message


def test_a_run_in_between_is_refused(bench: Bench, log: Path) -> None:
    plan = planned(bench, log)
    bench.send(write(bench.folder / "more.csv", "dan,,In,@9"))
    message = refused(bench, log, "--plan", plan)
    assert "run 1 (import, " in message
    assert "has planned 1 calls since" in message


def test_a_run_that_planned_nothing_does_not_matter(bench: Bench, log: Path) -> None:
    more = write(bench.folder / "more.csv", "dan,,In,@9")
    bench.send(more)
    bench.tracker.forget()
    plan = planned(bench, log)
    bench.send(more)
    assert bench.run("retry").code == 0
    bench.send(log, "--plan", plan, code=65)
    check_sent(bench, plan)


def test_another_ledger_is_refused(bench: Bench, log: Path) -> None:
    bench.send(write(bench.folder / "more.csv", "dan,,In,@9"))
    bench.tracker.forget()
    plan = planned(bench, log)
    bench.ledger.unlink()
    assert f"the ledger {bench.ledger} is another one" in refused(bench, log, "--plan", plan)
    for name in ("other.csv", "second.csv"):
        bench.send(write(bench.folder / name, f"{name},,In,@9"))
    assert f"the ledger {bench.ledger} is another one" in refused(bench, log, "--plan", plan)


def test_another_destination_is_refused(bench: Bench, log: Path) -> None:
    plan = planned(bench, log)
    with Tracker() as other:
        elsewhere = Bench(bench.folder, other)
        assert f"settings.to: '{bench.tracker.url}' → '{other.url}'" in refused(
            elsewhere, log, "--plan", plan
        )


def test_another_version_is_refused(bench: Bench, log: Path) -> None:
    plan = planned(bench, log)
    resigned(plan, f'km_cli = "{plan_in(plan)["km_cli"]}"', 'km_cli = "0.0.1"')
    assert "km-cli 0.0.1 made it, and this is" in refused(bench, log, "--plan", plan)


def test_a_plan_that_was_edited_is_refused(bench: Bench, log: Path) -> None:
    plan = planned(bench, log)
    text = plan.read_text()
    plan.write_text(text.replace("calls = 7", "calls = 8"))
    said = refused(bench, log, "--plan", plan, hint="--out PATH, a new file")  # that one is not replaced
    assert "was changed after km-cli wrote it" in said
    for wrong in ("", "x = 1", "[", "format = 2\nkm_cli = '9'\n", "\x00", text.replace("calls", "call")):
        plan.write_text(wrong)
        refused(bench, log, "--plan", plan)
    plan.write_bytes(b"\xff\xfe")
    refused(bench, log, "--plan", plan, hint="give the file that km-cli dry-run --out wrote")
    plan.unlink()
    refused(bench, log, "--plan", plan, hint="give the file that km-cli dry-run --out wrote")


def test_what_was_signed_anew_is_compared_all_the_same(bench: Bench, log: Path) -> None:
    plan = planned(bench, log)
    resigned(plan, "new_people = 3", "new_people = 4")
    assert "calls.main user.new_people: 4 → 3" in refused(bench, log, "--plan", plan)


def test_line_ends_may_change_on_the_way(bench: Bench, log: Path) -> None:
    """Version control on another system writes CRLF."""
    plan = planned(bench, log)
    plan.write_bytes(plan.read_bytes().replace(b"\n", b"\r\n"))
    bench.send(log, "--plan", plan, code=65)
    check_sent(bench, plan)


def test_rows_that_were_in_the_future_are_refused_later(bench: Bench) -> None:
    """Two days later, the row that was rejected would be sent."""
    log = bench.write(
        "log.csv", "timestamp,user,event\n2030-01-01T00:00:00Z,ada,In\n2030-01-03T12:00:00Z,bo,In\n"
    )
    plan, now = bench.folder / "p.toml", 1_893_456_000.0
    assert at(now, bench, "dry-run", log, "--out", plan)[0] == 65
    code, _, err = at(now + 200_000, bench, "import", log, "--plan", plan)
    assert (code, bench.tracker.seen) == (2, [])
    assert "are judged by the time of the import" in err
    assert at(now + 100, bench, "import", log, "--plan", plan)[0] == 65
    check_sent(bench, plan)


@pytest.mark.slow
def test_killed_at_any_call_it_goes_on_with_its_plan(tmp_path: Path, tracker: Tracker) -> None:
    """A process that is killed when a request arrives, three times; then everything was sent, once."""
    log = tmp_path / "log.csv"
    log.write_bytes(b"".join((SAMPLES / "events.csv").read_bytes().splitlines(keepends=True)[:500]))
    importer = Command(tmp_path / "home", to=tracker.url)
    plan = tmp_path / "plan.toml"
    importer("dry-run", log, "--out", plan).ended(65)
    calls = plan_in(plan)["total"]["calls"]
    for kill in range(1, 4):
        at_call = kill * calls // 4
        process = importer.start("import", log, "--plan", plan, "--batch-size", "40")

        def behave(_: Hit, number: int, at: int = at_call, running: Any = process) -> Reaction:
            if number >= at:
                running.kill()
            return OK

        tracker.behave = behave
        process.communicate(timeout=PATIENCE)
        assert process.returncode == -signal.SIGKILL
    tracker.behave = None
    importer("import", log, "--plan", plan).ended(65)
    assert sums(tracker.hits, {KEY: "main"}) == plan_in(plan)["proof"]["sums"]
    assert len({hit.wire for hit in tracker.hits}) == calls
    sent = len(tracker.hits)
    assert "has nothing left to send" in importer("import", log, "--plan", plan).ended(0).err
    assert len(tracker.hits) == sent


# What changes on the way


def changed_before_sending(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Let something happen after the comparison with the plan, and before the ledger is locked."""
    send = km_cli.cli.run_planned.send_and_report

    def late(*arguments: object, **more: object) -> int:
        change()
        return send(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(km_cli.cli.run_planned, "send_and_report", late)


def test_a_file_that_changes_after_the_comparison(
    bench: Bench, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batches before the change are as planned, and go out. No other call does."""
    plan = planned(bench, log)
    changed_before_sending(monkeypatch, lambda: write(log, *ROWS[:3], "evil,Beta,In,@3", *ROWS[4:]))
    result = bench.run("import", log, "--plan", plan, "--batch-size", "2")
    assert result.code == 2
    assert "changed while it was sent: rows from line 4 on are not as" in result.err
    assert {call["_p"] for call in bench.tracker.calls()} == {"ada", "bo", "Acme"}


def test_a_file_that_grows_or_shrinks_after_the_comparison(
    bench: Bench, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(bench, log)
    changed_before_sending(monkeypatch, lambda: write(log, *ROWS, "evil,Beta,In,@5"))
    assert bench.run("import", log, "--plan", plan).code == 2
    assert not bench.tracker.hits
    monkeypatch.undo()
    changed_before_sending(monkeypatch, lambda: write(log, *ROWS[:3]))
    write(log, *ROWS)
    result = bench.run("import", log, "--plan", plan)
    assert (result.code, "1 rows of" in result.err) == (2, True), result.err
    monkeypatch.undo()
    write(log, *ROWS)
    bench.send(log, "--plan", plan, code=65)
    check_sent(bench, plan)


def test_a_run_that_begins_after_the_comparison(
    bench: Bench, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(bench, log)
    changed_before_sending(
        monkeypatch, lambda: bench.run("import", write(bench.folder / "more.csv", "dan,,In,@9"))
    )
    result = bench.run("import", log, "--plan", plan)
    assert (result.code, len(bench.tracker.hits)) == (2, 1)
    assert "run 1 began after this import was compared with" in result.err


# Going on


def interrupted(bench: Bench, at_call: int, *words: str | Path) -> Ran:
    """Import until the destination refuses."""
    bench.tracker.behave = stop_at(at_call)
    result = bench.run("import", *words, "--batch-size", "1", "--concurrency", "1")
    assert result.code == 69, result.err
    bench.tracker.behave = None
    return result


@pytest.fixture
def cut_off(bench: Bench, log: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Import with a plan whose run ends after the first row: the file ends there for a while."""

    def run_until_cut_off(*words: str | Path) -> None:
        changed_before_sending(monkeypatch, lambda: write(log, *ROWS[:1]))
        assert bench.run("import", log, *words).code == 2
        assert len(bench.tracker.hits) == 2
        monkeypatch.undo()
        write(log, *ROWS)

    return run_until_cut_off


def test_another_import_after_an_interrupted_one_is_refused(
    bench: Bench, log: Path, cut_off: Callable[..., None]
) -> None:
    plan = planned(bench, log)
    cut_off("--plan", plan)
    bench.send(log, code=65)
    assert "run 2 (import, " in refused(bench, log, "--plan", plan)


def test_a_changed_rest_is_refused(bench: Bench, log: Path, cut_off: Callable[..., None]) -> None:
    plan = planned(bench, log)
    cut_off("--plan", plan)
    write(log, *ROWS[:3], "evil,Beta,In,@3", *ROWS[4:])
    message = refused(bench, log, "--plan", plan)
    assert f"the first calls that differ are of {log}, lines 2 to 5" in message
    write(log, *ROWS)
    bench.send(log, "--plan", plan, code=65)
    check_sent(bench, plan)


def test_a_limit_is_that_of_the_whole_plan(bench: Bench, log: Path, cut_off: Callable[..., None]) -> None:
    """An import of two rows that is interrupted after one sends one more, not two."""
    plan = planned(bench, log, "--limit", "2", code=0)
    cut_off("--limit", "2", "--plan", plan)
    bench.send(log, "--limit", "2", "--plan", plan, code=0)
    check_sent(bench, plan)
    assert bench.run("import", log, "--limit", "2", "--plan", plan).summary["rows"]["read"] == 0


def test_calls_that_earlier_runs_left_are_named(bench: Bench, log: Path) -> None:
    interrupted(bench, 0, write(bench.folder / "more.csv", "dan,,In,@9"))
    bench.tracker.forget()
    plan = planned(bench, log)
    assert plan_in(plan)["total"]["left_by_earlier_runs"] == {"main": 1}
    bench.send(log, "--plan", plan, code=65)
    assert len(bench.tracker.hits) == CALLS + 1


def test_corrected_rejects_can_be_planned(bench: Bench, log: Path) -> None:
    bench.send(log, code=65)
    bench.tracker.forget()
    rejects = bench.rejects[-1]
    rejects.write_text(rejects.read_text().replace("guest", "gus"))
    plan = planned(bench, rejects, code=0)
    bench.send(rejects, "--plan", plan, code=0)
    check_sent(bench, plan)


def test_refused_calls_do_not_stop_a_plan(bench: Bench, log: Path) -> None:
    """The destination refuses one call for good: the others are sent, and the plan is carried out."""
    plan = planned(bench, log)
    bench.tracker.behave = lambda hit, _: refuse(400) if hit.params["_p"] == "cy" else OK
    bench.send(log, "--plan", plan, code=65)
    bench.tracker.behave = None
    assert len(bench.wires()) == CALLS - 1
    assert "has nothing left to send" in bench.run("import", log, "--plan", plan).err
    assert len(bench.tracker.hits) == CALLS - 1


def test_the_ledger_is_sound_and_shows_the_plan_of_a_run(
    importer: Command, log: Path, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.toml"
    importer("dry-run", log, "--out", plan).ended(65)
    importer("import", log, "--plan", plan).ended(65)
    importer("ledger", "check").ended(0)
    carried_out = {"digest": plan_in(plan)["digest"], "calls": CALLS}
    assert importer("status", "--json").ended(0).summary["runs"][0]["plan"] == carried_out
    assert importer("show", "--run", "1", "--json").ended(0).summary["run"]["plan"] == carried_out


def test_strict_holds_with_a_plan(bench: Bench, log: Path) -> None:
    plan = planned(bench, log)
    result = bench.run("import", log, "--plan", plan, "--strict")
    assert (result.code, bench.tracker.seen) == (65, [])


def test_rows_after_the_last_call_are_read_by_the_next_run(bench: Bench) -> None:
    """The run is stopped when all calls are sent, but not all rows are read: their rejects are still owed."""
    log = write(bench.folder / "log.csv", "ada,,In,@1", "guest,,In,@2")
    plan = planned(bench, log)
    interrupted(bench, 0, log, "--plan", plan)
    assert bench.run("retry").code == 0
    result = bench.run("import", log, "--plan", plan)
    assert result.code in (0, 65)
    assert any("guest" in path.read_text() for path in bench.rejects if path.exists())
    check_sent(bench, plan)
