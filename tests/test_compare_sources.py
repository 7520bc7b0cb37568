"""`km-cli compare` over [[backfill]] sources; what it says in a narrow window, and when it is interrupted."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import SAMPLES
from tests.support.command import Command
from tests.support.terminal import Terminal
from tests.test_terminal import cells

FUNNEL = ("--funnel", "Signed Up", "--funnel", "Upgraded")
UPGRADES = (SAMPLES / "upgrades.csv").read_text()
BACKFILL = '[[backfill]]\nname = "web"\nfiles = ["logs/*.csv"]\n'
RENAMED = UPGRADES.replace("user,account", "who,company").replace("2024-03", "2024-05").replace(",7,", ",8,")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder with two sources. One has columns of its own, and its accounts and times are others."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/web.csv").write_text(UPGRADES)
    (tmp_path / "app.csv").write_text(RENAMED)
    path = tmp_path / "km.toml"
    path.write_text(
        f'{BACKFILL}[[backfill]]\nname = "app"\nfiles = ["app.csv"]\n'
        'columns = { user = "who", account = "company" }\n'
    )
    return path


def test_without_a_file_the_sources_of_km_toml_are_compared(km: Command, sources: Path) -> None:
    """For the strategies they are read again, each with its own columns."""
    found = km("compare", *FUNNEL, "--json", "--config", sources).ended(0).summary
    assert found["rows"]["read"] == 12
    assert found["personas"]["user"]["conversion"] == 0.2
    assert found["personas"]["account"]["identities"] == 2
    assert found["personas"]["account"]["conversion"] == 1.0
    assert found["strategies"]["toggle"]["calls"] == 24
    assert found["strategies"]["toggle"]["personas"]["account"]["conversion"] == 1.0


def test_one_source_is_compared_by_its_name(km: Command, sources: Path) -> None:
    out = km("compare", *FUNNEL, "--no-strategies", "--config", sources, "--source", "app").ended(0).out
    assert "user from 'who', account from 'company'" in out
    assert "100% of 1 account gets" in out


def test_a_source_without_files_is_a_problem_as_in_a_dry_run(km: Command, sources: Path) -> None:
    """The other files are compared all the same."""
    sources.write_text(sources.read_text() + '[[backfill]]\nname = "old"\nfiles = ["old/*.csv"]\n')
    ended = km("compare", *FUNNEL, "--json", "--config", sources).ended(2)
    assert ended.summary["rows"]["read"] == 12
    problem = "backfill 'old': there is nothing at"
    assert ended.err.count(problem) == 1
    assert problem in km("dry-run", "--json", "--config", sources).ended(2).err


def test_a_source_with_other_personas_is_compared_by_itself(km: Command, sources: Path) -> None:
    sources.write_text(f'{BACKFILL}[[backfill.personas]]\nname = "person"\ncolumn = "user"\n')
    ended = km("compare", *FUNNEL, "--config", sources).ended(2)
    assert "backfill 'web' has other personas" in ended.err
    assert "km-cli compare FILE --source web" in ended.err


def test_a_source_without_a_file_needs_km_toml(km: Command) -> None:
    assert "FILE... is missing" in km("compare").ended(2).err


def test_the_last_line_of_a_growing_file_is_held_back(km: Command, sources: Path) -> None:
    """As in a backfill: the line has no end yet."""
    log = sources.parent / "logs/web.csv"
    log.write_text(UPGRADES.rstrip("\n"))
    ended = km("compare", *FUNNEL, "--no-strategies", "--config", sources, "--source", "web").ended(0)
    assert "rows read  6, 1 held back" in ended.out
    assert '0% of 5 users get from "Signed Up" to "Upgraded"' in ended.out


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_tables_fit_the_window(km: Command, columns: int) -> None:
    """Where a table has no room, each of its rows has lines of its own, with all its numbers."""
    terminal = Terminal(km, "compare", str(SAMPLES / "upgrades.csv"), *FUNNEL, columns=columns)
    assert terminal.ended() == 0
    shown, _, km_toml = terminal.shown.partition("in km.toml")
    assert [line for line in shown.splitlines() if cells(line) > columns] == []
    words = " ".join(shown.split())
    if columns == 40:
        assert "Upgraded: reached 1, of previous 20%, median 14 d, 90% within 14 d" in words
    else:
        assert "step reached of previous median 90% within" in words
    assert km_toml


def test_an_interrupted_comparison_says_that_nothing_was_written(km: Command, tmp_path: Path) -> None:
    fifo = tmp_path / "log.csv"
    os.mkfifo(fifo)
    process = km.start("compare", fifo, *FUNNEL)
    try:
        end = os.open(fifo, os.O_WRONLY)  # It waits until the command reads.
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    os.close(end)
    assert process.returncode == 130, err
    assert "interrupted: nothing was sent, and nothing was written" in err
    assert "Traceback" not in err


def test_a_limit_of_no_time_is_said(km: Command) -> None:
    ended = km("compare", SAMPLES / "upgrades.csv", *FUNNEL, "--within", "0d").ended(2)
    assert "--within '0d' leaves no time between the steps" in ended.err
    shown = (
        km("compare", SAMPLES / "upgrades.csv", *FUNNEL, "--within", "10d", "--no-strategies").ended(0).out
    )
    assert "within 10 days of the first step" in shown


@pytest.mark.parametrize("age", [-3600, 3600], ids=["just touched", "an hour ago"])
def test_a_file_of_two_sources_counts_once(km: Command, sources: Path, age: int) -> None:
    """A file that was touched a moment ago is not noted as read: the second source would read it again.

    A time in the future stands for such a file, however slow the machine is.
    """
    log = sources.parent / "logs/web.csv"
    os.utime(log, (log.stat().st_atime, log.stat().st_mtime - age))
    sources.write_text(f'{BACKFILL}[[backfill]]\nname = "all"\nfiles = ["logs/*"]\n')
    found = km("compare", *FUNNEL, "--json", "--config", sources).ended(0).summary
    assert found["rows"]["read"] == 6
    assert found["strategies"]["toggle"]["calls"] == 12


OWN = (
    '[[backfill.personas]]\nname = "user"\n[[backfill.personas]]\nname = "account"\nevents = ["Signed Up"]\n'
)


def test_events_lists_of_a_source_hold_for_its_rows(km: Command, sources: Path) -> None:
    """The accounts of the source `web` only sign up; those of `app` do all steps."""
    both = sources.read_text()
    sources.write_text(both.replace(BACKFILL, BACKFILL + OWN))
    found = km("compare", *FUNNEL, "--no-strategies", "--json", "--config", sources).ended(0).summary
    account = found["personas"]["account"]
    assert [step["reached"] for step in account["steps"]] == [2, 2]
    assert account["in_force"] == {
        "left_out": [],
        "steps": [{"event": "Signed Up", "reached": 2}, {"event": "Upgraded", "reached": 1}],
        "conversion": 0.5,
    }
    assert "in_force" not in found["personas"]["user"]
    shown = km("compare", *FUNNEL, "--no-strategies", "--config", sources).ended(0).out
    assert "The settings in force leave out some events of some sources for accounts." in " ".join(
        shown.split()
    )


def test_a_step_that_no_source_lets_accounts_do_is_left_out(km: Command, sources: Path) -> None:
    """The personas of km.toml itself hold for no row. Its strategy leaves out the step, too."""
    own = OWN.replace("events", 'rename = "Account {event}"\nevents')
    personas = '[[personas]]\nname = "user"\n[[personas]]\nname = "account"\n'
    sources.write_text(personas + BACKFILL + own)
    found = km("compare", *FUNNEL, "--json", "--config", sources).ended(0).summary
    in_force = found["personas"]["account"]["in_force"]
    assert in_force["left_out"] == ["Upgraded"]
    held = found["strategies"]["km.toml"]["personas"]["account"]
    assert held["left_out"] == ["Upgraded"]
    assert held["steps"] == in_force["steps"] == [{"event": "Signed Up", "reached": 1}]
