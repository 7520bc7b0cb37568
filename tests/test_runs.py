"""The ledger knows its runs, and how many calls each of them sent, by site, persona, event and day."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from km_cli.ledger import Ledger, ledger
from km_cli.ledger.runs import NO_RUN, RunRecord
from km_cli.ledger.sent import Sent
from tests.support.command import Command
from tests.support.patience import PATIENCE
from tests.support.people import ACCOUNT_KEY, SITES, configure, write
from tests.support.tracker import BAD, OK, UNAVAILABLE, Hit, Reaction, Tracker, refuse

ROWS = (
    "ada,Acme,Clicked,2024-01-01T23:59:59Z",
    "ada,Acme,Clicked,2024-01-02T00:00:00Z",
    "bob,Acme,Signed Up,2024-01-02T10:00:00Z",
    "bob,,Größer & mehr?,2024-01-02T11:00:00Z",
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "log.csv", *ROWS)


def runs(command: Command) -> list[RunRecord]:
    """The runs, the last one first."""
    with closing(Ledger.overlay(command.state / "ledger.db")) as opened:
        return opened.runs.latest(10)


def sent(command: Command, run: int | None = None) -> dict[Sent, int]:
    """The numbers of calls, of one run or of all."""
    with closing(Ledger.overlay(command.state / "ledger.db")) as opened:
        return opened.sent.total(command.to, run)


def seen(hits: Iterable[Hit]) -> Counter[Sent]:
    """The same, counted where the calls arrived."""
    found: Counter[Sent] = Counter()
    for hit in hits:
        day = datetime.fromtimestamp(int(hit.params["_t"]), UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        persona = "account" if hit.params["_p"] == "Acme" else "user"
        site = "accounts" if hit.params["_k"] == ACCOUNT_KEY else "main"
        found[Sent(site, persona, hit.params["_n"], day.days)] += 1
    return found


def test_a_run_is_known_with_its_counts_and_its_calls(importer: Command, tracker: Tracker, log: Path) -> None:
    summary = importer("import", log, "--json").ended(0).summary
    (run,) = runs(importer)
    assert (run.number, run.command, run.exit, run.is_killed) == (1, "import", 0, False)
    assert run.ended is not None
    assert run.began <= run.ended
    assert run.counts == {"rows": summary["rows"], "calls": summary["calls"]}
    assert sent(importer) == sent(importer, 1) == seen(tracker.seen)
    assert sent(importer, 2) == {}


def test_each_site_is_counted_apart(importer: Command, tracker: Tracker, log: Path) -> None:
    configure(importer, SITES)
    importer("import", log, "--strategy", "sites", "--batch-size", "1").ended(0)
    assert sent(importer) == seen(tracker.seen)
    assert {kind.site for kind in sent(importer)} == {"main", "accounts"}


def test_a_run_with_nothing_to_do_is_known_and_a_dry_run_is_not(importer: Command, log: Path) -> None:
    importer("import", log).ended(0)
    importer("dry-run", log).ended(0)
    importer("import", log).ended(0)
    configure(importer, f'[[backfill]]\nname = "logs"\nfiles = ["{log}"]\n')
    importer("backfill").ended(0)
    latest = runs(importer)
    assert [(run.command, run.exit) for run in latest] == [("backfill", 0), ("import", 0), ("import", 0)]
    assert latest[1].counts["rows"]["skipped"] == 4
    assert sent(importer, 2) == {}


def test_a_refused_call_is_taken_back_from_the_run_that_planned_it(
    importer: Command, tracker: Tracker, log: Path
) -> None:
    """Also if it is a later run that is refused."""
    tracker.behave = lambda _hit, _number: refuse(403)
    importer("import", log).ended(69)
    planned = sent(importer)
    tracker.behave = lambda hit, _number: BAD if hit.params["_n"].startswith("Grö") else OK
    importer("import", log).ended(65)
    assert [run.exit for run in runs(importer)] == [65, 69]
    assert sent(importer, 1) == sent(importer) == seen(tracker.hits)
    assert {kind.event for kind in planned if kind not in sent(importer)} == {"Größer & mehr?"}


def test_how_a_run_ended_is_known(importer: Command, tracker: Tracker, tmp_path: Path, log: Path) -> None:
    bad = write(tmp_path / "bad.csv", "u,a,Clicked,@0", header="who,of,what,when")
    importer("import", bad).ended(2)
    tracker.behave = lambda _hit, _number: refuse(403)
    importer("import", log).ended(69)
    assert [run.exit for run in runs(importer)] == [69, 2]


def test_a_killed_run_is_found_by_the_next_one(importer: Command, tracker: Tracker, log: Path) -> None:
    running: Future[subprocess.Popen[str]] = Future()

    def kill(_hit: Hit, number: int) -> Reaction:
        if number == 2:
            running.result().kill()
        return OK

    tracker.behave = kill
    running.set_result(process := importer.start("import", log, "--batch-size", "1", "--concurrency", "1"))
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL
    (run,) = runs(importer)
    assert (run.ended, run.exit, run.is_killed) == (None, None, False)
    assert run.counts["calls"]["planned"] > 0
    tracker.behave = None
    importer("import", log).ended(0)
    second, first = runs(importer)
    assert (first.ended, first.exit, first.is_killed) == (None, None, True)
    assert (second.exit, second.is_killed) == (0, False)
    each = {hit.wire: hit for hit in tracker.hits}
    assert sent(importer) == seen(each.values())
    assert Counter(sent(importer, 1)) + Counter(sent(importer, 2)) == Counter(sent(importer))


def test_the_calls_of_old_runs_are_counted_together(
    importer: Command, tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the latest runs are kept; no call is lost, and one that is refused later is taken back."""
    monkeypatch.setattr(ledger, "MOST_RUNS", 2)
    logs = [write(tmp_path / f"{number}.csv", row) for number, row in enumerate(ROWS)]
    tracker.behave = lambda _hit, _number: UNAVAILABLE
    importer("import", logs[0], "--attempts", "1").ended(75)
    tracker.behave = lambda hit, _number: UNAVAILABLE if hit.params["_p"] == "ada" else OK
    for path in logs[1:]:
        importer("import", path, "--attempts", "1").ended(75)
    assert [run.number for run in runs(importer)] == [4, 3]
    assert sum(sent(importer, NO_RUN).values()) == 4
    tracker.behave = lambda hit, _number: BAD if hit.params["_p"] == "ada" else OK
    importer("import", logs[3]).ended(65)
    assert sent(importer) == seen(tracker.hits)
    assert sum(sent(importer).values()) == 5
