"""Rotated logs: files that meet in one second can't repeat each other, and nothing of the later is lost."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.accounting import rejected_in
from tests.support.bench import Bench, fresh
from tests.support.rowlogs import BY_NAME, COLUMNS, KINDS, Kind, Row, as_csv, as_jsonl, row

BARE = BY_NAME["no-properties"]
LOG = [
    row(0, note="1"),
    row(0, note="2"),
    row(1, event="Paid"),
    row(8, note="1"),
    row(8, note="2"),
    row(8, note="2", plan="free"),
    row(8, note="3", account="Beta"),
    row(8, note="3", user="bo"),
    row(16, note="1"),
    row(16, note="2"),
]
"""No two parts of it lie as a whole in one second."""

every_cut = pytest.mark.parametrize("cut", range(1, len(LOG)))
kinds = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])


def one_file(bench: Bench, kind: Kind) -> set[tuple[str, str, str, bytes]]:
    """Return what the log becomes in one file; the tracker forgets it again."""
    with fresh(bench.tracker) as whole:
        log = whole.write("log.csv", as_csv(LOG))
        whole.send(log, *whole.flags(kind), code=0)
        whole.check([log], kind.form)
        wires = whole.wires()
    bench.tracker.forget()
    return wires


def rotated(
    bench: Bench, cut: int, form: Callable[[list[Row]], str] = as_csv, end: str = "csv"
) -> list[Path]:
    """Write the log as two files, cut at this row."""
    before = bench.write(f"log.{end}.1", form(LOG[:cut]))
    return [before, bench.write(f"log.{end}", form(LOG[cut:]))]


@kinds
def test_two_files_in_one_import(bench: Bench, kind: Kind) -> None:
    """Cut at any row, the same bytes as the log in one file."""
    whole = one_file(bench, kind)
    for cut in range(1, len(LOG)):
        with fresh(bench.tracker) as parts:
            files = rotated(parts, cut)
            result = parts.send(*files, *parts.flags(kind), "--strict", code=0)
            assert result.summary["rows"]["sent"] == len(LOG)
            assert parts.wires() == whole, f"cut at {cut}"


@every_cut
def test_json_lines_with_keys_that_come_and_go(bench: Bench, cut: int) -> None:
    """A key that only the later file has makes its rows no repetitions."""
    files = rotated(bench, cut, partial(as_jsonl, sparse=True), "jsonl")
    for path in files:
        bench.send(path, *BARE.flags, code=0)
    bench.check(files, BARE.form)
    assert len(bench.calls()) == 2 * len(LOG)


@every_cut
def test_the_later_file_first(bench: Bench, cut: int) -> None:
    """As a pattern or a folder gives them: log.csv, then log.csv.1."""
    files = rotated(bench, cut)[::-1]
    result = bench.send(*files, *BARE.flags, "--strict", code=0)
    assert result.summary["rows"]["sent"] == len(LOG)
    bench.check(files, BARE.form)


@every_cut
@pytest.mark.parametrize("grown", [0, 1])
def test_a_backfill_of_a_log_that_grew_and_was_renamed(bench: Bench, cut: int, grown: int) -> None:
    """Read, written to, renamed; the new log begins in the second in which the old one ended."""
    whole = one_file(bench, BARE)
    logs = bench.folder / "logs"
    logs.mkdir()
    (logs / "log.csv").write_text(as_csv(LOG[: cut - grown]))
    flags = ("--config", bench.write("km.toml", f'[[backfill]]\nname = "app"\nfiles = ["{logs}/log.csv*"]\n'))
    assert bench.run("backfill", *flags, *BARE.flags).code == 0
    (logs / "log.csv").unlink()
    (logs / "log.csv.1").write_text(as_csv(LOG[:cut]))
    (logs / "log.csv").write_text(as_csv(LOG[cut:]))
    result = bench.run("backfill", *flags, *BARE.flags, "--strict")
    assert result.code == 0, result.err
    bench.check([logs / "log.csv.1", logs / "log.csv"], BARE.form)
    assert len(bench.wires()) == len(whole)
    assert grown or bench.wires() == whole
    quiet = bench.run("backfill", *flags, *BARE.flags)
    assert (quiet.code, quiet.summary["calls"]["planned"]) == (0, 0)


def test_two_orders_in_one_second(bench: Bench) -> None:
    """One in each file: both are sent, and `--strict` has no reason to stop."""
    header = ("timestamp", "user", "account", "event", "plan")
    before = bench.write("log.csv.1", as_csv([row(0, event="In"), row(8, event="Paid", plan="a")], header))
    after = bench.write("log.csv", as_csv([row(8, event="Paid", plan="b"), row(16, event="Out")], header))
    for path in (before, after):
        result = bench.send(path, "--strict", code=0)
        assert "changed" not in result.summary["findings"]
    paid = {(call.identity, call.second % 60, *call.shown) for call in bench.calls() if call.event == "Paid"}
    assert paid == {(who, 1 + at, ("plan", plan)) for who in ("ada", "Acme") for at, plan in enumerate("ab")}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
@pytest.mark.parametrize("apart", [False, True])
def test_three_files_of_which_one_lies_in_a_second(bench: Bench, order: tuple[int, ...], apart: bool) -> None:
    """It touches both others, and neither lies in that second as a whole."""
    pieces = [LOG[:4], LOG[4:7], LOG[7:]]
    files = [bench.write(f"log.csv.{3 - at}", as_csv(piece)) for at, piece in enumerate(pieces)]
    ordered = [files[at] for at in order]
    for paths in [[path] for path in ordered] if apart else [ordered]:
        bench.send(*paths, *BARE.flags, code=0)
    bench.check(ordered, BARE.form)
    assert len(bench.calls()) == 2 * len(LOG)


def test_the_older_file_may_be_packed(bench: Bench) -> None:
    before, after = rotated(bench, 4)
    packed = before.with_name("log.csv.2.gz")
    packed.write_bytes(gzip.compress(before.read_bytes()))
    before.unlink()
    bench.send(after, packed, *BARE.flags, code=0)
    assert len(bench.calls()) == 2 * len(LOG)


@every_cut
def test_lines_that_both_files_have_are_sent_once(bench: Bench, cut: int) -> None:
    """A rotation by copying leaves the last line in both."""
    before = bench.write("log.csv.1", as_csv(LOG[:cut]))
    after = bench.write("log.csv", as_csv(LOG[cut - 1 :]))
    bench.send(before, *BARE.flags, code=0)
    result = bench.send(after, *BARE.flags, code=0)
    assert result.summary["rows"]["sent"] == len(LOG) - cut
    assert len(bench.calls()) == 2 * len(LOG)


def test_a_log_that_gained_a_column_when_it_was_rotated(bench: Bench) -> None:
    """The new column makes the rows of the later file no repetitions: they can't be."""
    old = [name for name in COLUMNS if name != "note"]
    before = bench.write("log.csv.1", as_csv(LOG[:4], old))
    after = bench.write("log.csv", as_csv(LOG[4:]))
    for path in (before, after):
        bench.send(path, *BARE.flags)
    bench.check([before, after], BARE.form)


def test_two_files_in_one_second_as_a_whole_are_not_guessed_about(bench: Bench) -> None:
    """Either may repeat the other: rows that differ are rejected, and sent as soon as that is said."""
    before = bench.write("a.csv", as_csv([row(8, note="1"), row(9, note="1")]))
    after = bench.write("b.csv", as_csv([row(8, note="2"), row(9, note="1"), row(10)]))
    bench.send(before, *BARE.flags, code=0)
    bench.send(after, *BARE.flags, code=65)
    assert set(rejected_in(*bench.rejects)) == {(str(after), 2)}
    bench.check([before, after], BARE.form)
    rejects = bench.rejects[-1]
    bench.send(rejects, *BARE.flags, "--overlap", "separate", code=0)
    bench.rejects.clear()
    bench.check([before, after], BARE.form, "separate")


@pytest.mark.parametrize("way", [1, -1])
@every_cut
def test_newest_first(bench: Bench, cut: int, way: int) -> None:
    """Files in which the latest row comes first, in either order."""
    newest = LOG[::-1]
    files = [
        bench.write(f"{number}.csv", as_csv(piece))
        for number, piece in enumerate((newest[:cut], newest[cut:]))
    ]
    bench.send(*files[::way], *BARE.flags, code=0)
    bench.check(files[::way], BARE.form)
    assert len(bench.calls()) == 2 * len(LOG)
