"""Files that overlap: rows alike are known, and rows that differ are a conflict, not a guess."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.accounting import rejected_in
from tests.support.bench import Bench
from tests.support.rowlogs import BY_NAME, COLUMNS, KINDS, Kind, Row, as_csv, as_jsonl, row, seeded

BARE = BY_NAME["no-properties"]
PLAN = COLUMNS.index("plan")
LOG = [row(8 * at, f"u{at % 3}", note=str(at % 2)) for at in range(24)]
kinds = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
some_kinds = pytest.mark.parametrize("name", ["no-properties", "all-but-note", "teams"])


def drifted(rows: list[Row], *places: int) -> list[Row]:
    """The rows as a later export has them: the plan of some was changed since."""
    return [(*one[:PLAN], "other", *one[PLAN + 1 :]) if at in places else one for at, one in enumerate(rows)]


def places(*files: Path) -> list[tuple[str, int]]:
    """File and line of the rejects, all of which have to be conflicts."""
    found = rejected_in(*files)
    assert {code for owed in found.values() for code in owed.values()} <= {"conflict"}
    return sorted(found)


# Columns and order


@some_kinds
@pytest.mark.parametrize("missing", ["note", "plan", "offset"])
@pytest.mark.parametrize("gains", [True, False])
def test_an_export_that_gains_or_loses_a_column(bench: Bench, name: str, missing: str, gains: bool) -> None:
    """Compared by the columns that both have, it is the same; rows that it has more are sent."""
    kind = BY_NAME[name]
    fewer = [name for name in COLUMNS if name != missing]
    of = (fewer, COLUMNS) if gains else (COLUMNS, fewer)
    needs = ("plan" in kind.flags or 'properties = ["plan"]' in kind.toml) and missing == "plan"
    if needs:
        pytest.skip("the column is asked for by name")
    flags = [one for one in bench.flags(kind) if missing != "note" or one != "note"]
    if kind.name == "all-but-note" and missing == "note":
        pytest.skip("likewise")
    files = [
        bench.write(f"{number}.csv", as_csv(rows, columns))
        for number, (rows, columns) in enumerate(zip((LOG[:20], LOG), of, strict=True))
    ]
    first, second = (bench.send(path, *flags, code=0) for path in files)
    assert [one.summary["rows"]["sent"] for one in (first, second)] == [20, 4]
    bench.check(files, kind.form)


@kinds
def test_an_export_in_another_order(bench: Bench, kind: Kind) -> None:
    """Of rows and columns."""
    rows = seeded(11, 30, 4)
    files = [
        bench.write("0.csv", as_csv(rows)),
        bench.write("1.csv", as_csv(rows[::-1], COLUMNS[::-1])),
        bench.write("2.csv", as_csv(sorted(rows, key=lambda one: one[1:]))),
    ]
    results = [bench.send(path, *bench.flags(kind)) for path in files]
    assert [one.summary["rows"]["sent"] for one in results[1:]] == [0, 0]
    bench.check(files, kind.form)


@kinds
def test_a_copy_as_json_lines(bench: Bench, kind: Kind) -> None:
    """Another format of the same rows sends nothing, in either order."""
    rows = seeded(12, 20, 4)
    files = [bench.write("0.csv", as_csv(rows)), bench.write("1.jsonl", as_jsonl(rows))]
    results = [bench.send(path, *bench.flags(kind)) for path in files]
    assert results[1].summary["rows"]["sent"] == 0
    bench.check(files, kind.form)


def test_rows_that_an_export_without_the_column_cannot_tell_apart(bench: Bench) -> None:
    """One row stands for two; the later export has both: one is known, the other is not lost."""
    rows = [row(0, note="1"), row(0, note="2"), row(8)]
    fewer = [name for name in COLUMNS if name != "note"]
    files = [bench.write("0.csv", as_csv(rows, fewer)), bench.write("1.csv", as_csv(rows))]
    bench.send(files[0], *BARE.flags, code=0)
    bench.send(files[1], *BARE.flags)
    bench.check(files, BARE.form)
    assert len(bench.calls()) + 2 * len(places(*bench.rejects)) == 6


# Values


@pytest.mark.parametrize("is_json", [False, True])
def test_a_conflict_shows_the_values_of_both_rows(bench: Bench, is_json: bool) -> None:
    """The other row's values are read from its file, as long as the row is there as it was."""
    written, ending = (as_jsonl, "jsonl") if is_json else (as_csv, "csv")
    first = bench.write(f"0.{ending}", written(LOG))
    bench.send(first, *BARE.flags, code=0)
    place = f"in {first} line {4 if is_json else 5}, with another 'plan'"

    def reasons(plan: str) -> list[str]:
        """Import the log with this plan in two rows; return why they are rejected."""
        rows = [(*one[:PLAN], plan, *one[PLAN + 1 :]) if at in (3, 7) else one for at, one in enumerate(LOG)]
        bench.send(bench.write(f"{plan}.{ending}", written(rows)), *BARE.flags, code=65)
        return [json.loads(line)["reason"] for line in bench.rejects[-1].read_text().splitlines()]

    assert f"{place} ('a' here, {LOG[3][PLAN]!r} there): if" in reasons("a")[0]
    first.write_text(written(LOG[:3] + [row(1000)] * 3 + LOG[6:]))
    changed = reasons("b")
    assert f"{place} ('b' here): if" in changed[0]
    assert f"('b' here, {LOG[7][PLAN]!r} there): if" in changed[1]
    first.unlink()
    assert not any("there)" in reason for reason in reasons("c"))


@kinds
def test_values_that_differ_are_a_conflict(bench: Bench, kind: Kind) -> None:
    """It is rejected with a code of its own, and stays owed. The other rows are sent."""
    files = [bench.write("0.csv", as_csv(LOG)), bench.write("1.csv", as_csv(drifted(LOG, 3, 7)))]
    bench.send(files[0], *bench.flags(kind), code=0)
    sent = bench.wires()
    result = bench.send(files[1], *bench.flags(kind), code=65)
    assert result.summary["reasons"] == {"conflict": 2}
    assert result.summary["rows"]["rejected"] == 2
    assert places(*bench.rejects) == [(str(files[1]), 5), (str(files[1]), 9)]
    assert "--overlap" in result.err
    assert bench.wires() == sent
    bench.check(files, kind.form)


@some_kinds
@pytest.mark.parametrize(("overlap", "more"), [("separate", 2), ("repeats", 0)])
@pytest.mark.parametrize("when", ["at once", "by the rejects"])
def test_a_conflict_is_decided(bench: Bench, name: str, overlap: str, more: int, when: str) -> None:
    """By the flag, or when the rejects are imported; from then on nothing is new."""
    kind = BY_NAME[name]
    flags = (*bench.flags(kind), "--overlap", overlap)
    files = [bench.write("0.csv", as_csv(LOG)), bench.write("1.csv", as_csv(drifted(LOG, 3, 7)))]
    bench.send(files[0], *bench.flags(kind), code=0)
    before = sum(call.identity.startswith("u") for call in bench.calls())
    if when == "at once":
        decided = bench.send(files[1], *flags, code=0)
    else:
        bench.send(files[1], *bench.flags(kind), code=65)
        decided = bench.send(bench.rejects[-1], *flags, code=0)
    assert decided.summary["rows"]["sent"] == more
    assert ("changed" in decided.summary["findings"]) is (overlap == "repeats")
    assert sum(call.identity.startswith("u") for call in bench.calls()) == before + more
    bench.rejects.clear()
    bench.check(files, kind.form, overlap)
    for path in files:
        assert bench.send(path, *bench.flags(kind), code=0).summary["rows"]["sent"] == 0


def test_strictly_an_event_that_was_changed_is_not_dropped(bench: Bench) -> None:
    """`changed` is a finding about lost values."""
    bench.send(bench.write("0.csv", as_csv(LOG)), *BARE.flags, code=0)
    sent = bench.wires()
    export = bench.write("1.csv", as_csv([*drifted(LOG, 3), row(800)]))
    assert bench.run("import", export, *BARE.flags, "--overlap", "repeats", "--strict").code == 65
    assert bench.wires() == sent


def test_the_decision_is_remembered_with_the_file(bench: Bench) -> None:
    """A file that grows goes on as it began."""
    bench.send(bench.write("0.csv", as_csv(LOG)), *BARE.flags, code=0)
    export = bench.write("1.csv", as_csv(drifted(LOG[:12], 3)))
    bench.send(export, *BARE.flags, "--overlap", "separate", code=0)
    bench.write("1.csv", as_csv(drifted(LOG, 3, 15)))
    assert bench.send(export, *BARE.flags, code=0).summary["rows"]["sent"] == 1
    bench.check([bench.folder / "0.csv", export], BARE.form, "separate")


@pytest.mark.parametrize("overlap", ["separate", "repeats"])
def test_a_source_of_a_backfill_decides_for_its_files(bench: Bench, overlap: str) -> None:
    logs = [bench.write("0.csv", as_csv(LOG)), bench.write("1.csv", as_csv(drifted(LOG, 3, 7)))]
    source = f'[[backfill]]\nname = "exports"\nfiles = ["{bench.folder}/?.csv"]\noverlap = "{overlap}"\n'
    config = bench.write("km.toml", source)
    assert bench.run("backfill", "--config", config, *BARE.flags).code == 0
    bench.check(logs, BARE.form, overlap)


def test_a_backfill_without_a_decision_rejects_conflicts(bench: Bench) -> None:
    logs = [bench.write("0.csv", as_csv(LOG)), bench.write("1.csv", as_csv(drifted(LOG, 3, 7)))]
    source = f'[[backfill]]\nname = "exports"\nfiles = ["{bench.folder}/?.csv"]\n'
    result = bench.run("backfill", "--config", bench.write("km.toml", source), *BARE.flags)
    assert result.code == 65
    assert "--overlap" in result.err or "overlap =" in result.err
    bench.check(logs, BARE.form)


@pytest.mark.parametrize("overlap", ["", 'overlap = "separate"', 'overlap = "repeats"'])
def test_a_dry_run_of_a_backfill_says_the_same(bench: Bench, overlap: str) -> None:
    bench.write("0.csv", as_csv(LOG))
    bench.write("1.csv", as_csv(drifted(LOG, 3, 7)))
    source = f'[[backfill]]\nname = "exports"\nfiles = ["{bench.folder}/?.csv"]\n{overlap}\n'
    flags = ("--config", bench.write("km.toml", source), *BARE.flags)
    dry = bench.run("dry-run", *flags)
    result = bench.run("backfill", *flags)
    assert result.code == dry.code == (0 if overlap else 65)
    assert result.counted == dry.counted


@pytest.mark.parametrize("overlap", ["separate", "repeats"])
@pytest.mark.parametrize("when", ["at once", "by the rejects"])
def test_a_copy_of_a_file_that_was_decided_on_is_known(bench: Bench, overlap: str, when: str) -> None:
    """Its rows are alike to those of the file: neither sent nor asked about again."""
    files = [bench.write("0.csv", as_csv(LOG)), bench.write("1.csv", as_csv(drifted(LOG, 3, 7)))]
    bench.send(files[0], *BARE.flags, code=0)
    if when == "at once":
        bench.send(files[1], *BARE.flags, "--overlap", overlap, code=0)
    else:
        bench.send(files[1], *BARE.flags, code=65)
        bench.send(bench.rejects[-1], *BARE.flags, "--overlap", overlap, code=0)
    copy = bench.write("copy.csv", as_csv(drifted(LOG, 3, 7)[::-1], COLUMNS[::-1]))
    assert bench.send(copy, *BARE.flags, code=0).summary["calls"]["planned"] == 0


@pytest.mark.parametrize("limit", [1, 5])
def test_an_interrupted_import_of_conflicts_rejects_the_same(bench: Bench, limit: int) -> None:
    """So many rows a run: each conflict is in one of the rejects files, once."""
    files = [bench.write("0.csv", as_csv(LOG)), bench.write("1.csv", as_csv(drifted(LOG, 0, 3, 7, 20)))]
    bench.send(files[0], *BARE.flags, code=0)
    for _ in range(len(LOG) // limit + 1):
        bench.send(files[1], *BARE.flags, "--limit", str(limit), "--batch-size", "2")
    assert places(*bench.rejects) == [(str(files[1]), line) for line in (2, 5, 9, 22)]
    assert sum(len(path.read_text().splitlines()) for path in bench.rejects if path.exists()) == 4
    bench.check(files, BARE.form)


def test_a_row_whose_call_is_sent_after_all_is_counted(bench: Bench) -> None:
    """It was taken for changed until the exact row came: both rows are counted."""
    bench.send(bench.write("0.csv", as_csv([row(8)])), *BARE.flags, code=0)
    log = bench.write("1.csv", as_csv([row(8, account="Beta"), row(8)]))
    flags = (*BARE.flags, "--overlap", "repeats")
    dry = bench.run("dry-run", log, *flags)
    result = bench.send(log, *flags, code=0)
    assert result.summary["rows"]["read"] == 2
    assert result.counted == dry.counted


# Two hosts


@kinds
def test_the_logs_of_two_hosts(bench: Bench, kind: Kind) -> None:
    """They overlap all the time: separate sends every row, without a word conflicts are rejected."""
    rows = seeded(21, 40, 30)
    files = [bench.write(f"{host}.csv", as_csv(rows[host::2])) for host in (0, 1)]
    bench.send(*files, *bench.flags(kind), "--overlap", "separate")
    bench.check(files, kind.form, "separate")


def test_the_logs_of_two_hosts_without_a_decision(bench: Bench) -> None:
    one = [row(8 * at, note="one") for at in range(12)]
    other = [row(8 * at + (at % 3 != 0), note="other") for at in range(12)]
    files = [bench.write("one.csv", as_csv(one)), bench.write("other.csv", as_csv(other))]
    bench.send(files[0], *BARE.flags, code=0)
    bench.send(files[1], *BARE.flags, code=65)
    assert [line for _, line in places(*bench.rejects)] == [2, 5, 8, 11]
    bench.check(files, BARE.form)


# Dates alone


def dated(day: int, *notes: str) -> str:
    """A log of ada's events of a day, without a time of day."""
    rows = [f"2024-03-{day:02},ada,Acme,Paid,pro,{note}\n" for note in notes]
    return "timestamp,user,account,event,plan,note\n" + "".join(rows)


def test_dates_alone_within_a_file_are_different_events(bench: Bench) -> None:
    log = bench.write("log.csv", dated(1, "1", "2", "3") + dated(2, "1").partition("\n")[2])
    bench.send(log, "--no-properties", "--timezone", "UTC", code=0)
    assert len(bench.calls()) == 8
    bench.check([log], BARE.form)


def test_dates_alone_have_no_edge(bench: Bench) -> None:
    """Two files that meet in a date: rows that differ are a conflict, since either may repeat the other."""
    files = [
        bench.write("0.csv", dated(1, "1") + dated(2, "2", "3").partition("\n")[2]),
        bench.write("1.csv", dated(2, "3", "4") + dated(3, "5").partition("\n")[2]),
    ]
    flags = ("--no-properties", "--timezone", "UTC")
    bench.send(files[0], *flags, code=0)
    bench.send(files[1], *flags, code=65)
    assert places(*bench.rejects) == [(str(files[1]), 3)]
    bench.check(files, BARE.form)
    assert len(bench.calls()) == 8


def test_days_of_dates_alone_in_files_of_their_own(bench: Bench) -> None:
    """An export of the second day is no repetition of the first."""
    files = [bench.write(f"{day}.csv", dated(day, "1", "2")) for day in (1, 2)]
    bench.send(*files, "--no-properties", "--timezone", "UTC", code=0)
    assert len(bench.calls()) == 8
    bench.check(files, BARE.form)


# A file that is nearly all conflicts


@pytest.mark.parametrize(
    ("rows", "conflicts", "code"),
    [(24, 13, 2), (24, 24, 2), (24, 12, 65), (9, 9, 65), (10, 10, 2), (10, 5, 65)],
)
def test_a_file_that_is_mostly_conflicts_is_refused(
    bench: Bench, rows: int, conflicts: int, code: int
) -> None:
    """More than half of its first 200 rows, and ten at least: nothing of it is sent, both ways are named."""
    bench.send(bench.write("0.csv", as_csv(LOG)), *BARE.flags, code=0)
    sent = bench.wires()
    other = bench.write("1.csv", as_csv(drifted(LOG[:rows], *range(conflicts))))
    result = bench.run("import", other, *BARE.flags)
    assert result.code == code, result.err
    assert bench.wires() == sent
    if code == 2:
        assert "separate" in result.err
        assert "repeats" in result.err
        bench.send(other, *BARE.flags, "--overlap", "separate", code=0)
        bench.rejects.clear()
        bench.check([bench.folder / "0.csv", other], BARE.form, "separate")


def test_the_rest_of_a_refused_run_is_not_lost(bench: Bench) -> None:
    """The refused file can be decided on, and then all is there once."""
    bench.send(bench.write("0.csv", as_csv(LOG)), *BARE.flags, code=0)
    other = bench.write("1.csv", as_csv(drifted(LOG, *range(20))))
    new = bench.write("2.csv", as_csv([row(960), row(968)]))
    assert bench.run("import", other, new, *BARE.flags).code == 2
    bench.send(other, new, *BARE.flags, "--overlap", "repeats", code=0)
    bench.rejects.clear()
    bench.check([bench.folder / "0.csv", other, new], BARE.form, "repeats")
