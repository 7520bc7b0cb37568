"""Whatever the log, the personas and the files: each row is sent, known, or in the rejects file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, permutations
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from tests.support.bench import Bench, fresh
from tests.support.drawing import examples
from tests.support.rowcount import Form, Log, are_apart, count, read
from tests.support.rowlogs import (
    BY_NAME,
    COLUMNS,
    KINDS,
    UNCARRIED,
    Kind,
    Row,
    as_csv,
    as_jsonl,
    cuts,
    logs,
    row,
)
from tests.support.tracker import Tracker

phases = set(Phase) - {Phase.explain}
few = settings(max_examples=examples(12), deadline=None, phases=phases)
many = settings(max_examples=200, deadline=None, phases=phases)
kinds = st.sampled_from(KINDS)
DECISIONS = ("ask", "separate", "repeats")


class Split(NamedTuple):
    """A log in order of time, and the files that it was split into."""

    rows: list[Row]
    pieces: list[list[Row]]


@st.composite
def splits(draw: st.DrawFn) -> Split:
    """A log that is cut at any rows."""
    rows = draw(logs())
    return Split(rows, cuts(draw, rows))


class Export(NamedTuple):
    """Some rows of a log, in any order, with some of its columns."""

    rows: list[Row]
    columns: tuple[str, ...]

    @property
    def text(self) -> str:
        """The file."""
        return as_csv(self.rows, self.columns)


@st.composite
def exports(draw: st.DrawFn, log: Sequence[Row], carried: frozenset[str], drifts: bool) -> Export:
    """Take a range of a log; perhaps without a column, in another order, with other values here and there."""
    begin = draw(st.integers(0, len(log) - 1))
    rows = list(log[begin : draw(st.integers(begin + 1, len(log)))])
    optional = {"offset", "note", "plan", "contact"} - carried
    gone = draw(st.sampled_from(["", *sorted(optional)]))
    if draw(st.booleans()):
        rows = draw(st.permutations(rows))
    if drifts:
        at = COLUMNS.index(UNCARRIED)
        rows = [(*row[:at], draw(st.sampled_from([row[at], row[at], "new"])), *row[at + 1 :]) for row in rows]
    return Export(rows, tuple(name for name in COLUMNS if name != gone))


def needed(kind: Kind) -> frozenset[str]:
    """The columns that are asked for by name, and so have to be there."""
    names = {"plan", "note", "contact", "offset"}
    return frozenset(name for name in names if name in kind.flags or f'"{name}"' in kind.toml)


class Overlapping(NamedTuple):
    """Exports of one log, the personas, and how conflicts are decided."""

    log: list[Row]
    kind: Kind
    exports: list[Export]
    overlap: str


@st.composite
def overlapping(draw: st.DrawFn, drifts: bool = False) -> Overlapping:
    """Two or three exports of a log."""
    log, kind = draw(logs()), draw(kinds)
    one = exports(log, needed(kind), drifts)
    found = draw(st.lists(one, min_size=2, max_size=3))
    # A file that begins with all of another one is that file, grown or renamed: it is not read anew.
    assume(not any(one.text.startswith(other.text) for one, other in permutations(found, 2)))
    return Overlapping(log, kind, found, draw(st.sampled_from(DECISIONS)))


def in_one_file(tracker: Tracker, split: Split, kind: Kind) -> set[tuple[str, str, str, bytes]]:
    """Return what the log becomes in one file."""
    with fresh(tracker) as whole:
        log = whole.write("log.csv", as_csv(split.rows))
        whole.send(log, *whole.flags(kind), code=0)
        whole.check([log], kind.form)
        return whole.wires()


def pairs_of(files: Sequence[Path], form: Form) -> list[tuple[Log, Log]]:
    """Return each two of the files."""
    return list(combinations([read(path, form) for path in files], 2))


def lie_in_one_second(files: Sequence[Path], form: Form) -> bool:
    """Tell whether two of the pieces may repeat each other, since both lie in one second as a whole."""
    return any(not are_apart(one, other) for one, other in pairs_of(files, form))


def touch(files: Sequence[Path], form: Form) -> bool:
    """Tell whether two files with other columns are apart and meet in a second."""
    return any(
        one.columns != other.columns and are_apart(one, other) and {*one.span} & {*other.span}
        for one, other in pairs_of(files, form)
    )


def check_split(tracker: Tracker, split: Split, kind: Kind, apart: bool, jsonl: bool, separate: bool) -> None:
    """Send the pieces, in one import or one each; the calls are those of one file, byte for byte."""
    whole = in_one_file(tracker, split, kind)
    with fresh(tracker) as parts:
        end, form = ("jsonl", as_jsonl) if jsonl else ("csv", as_csv)
        files = [parts.write(f"{at}.{end}", form(piece)) for at, piece in enumerate(split.pieces)]
        decided = ("--overlap", "separate") if separate or lie_in_one_second(files, kind.form) else ()
        for paths in [[path] for path in files] if apart else [files]:
            parts.send(*paths, *parts.flags(kind), *decided, code=0)
        assert parts.wires() == whole
        for path in files:
            assert parts.send(path, *parts.flags(kind)).summary["calls"]["planned"] == 0


split_tests = given(splits(), kinds, st.booleans(), st.booleans(), st.booleans())


@few
@split_tests
def test_a_log_that_is_split_into_files_gives_the_same_calls(
    shared_tracker: Tracker, split: Split, kind: Kind, apart: bool, jsonl: bool, separate: bool
) -> None:
    check_split(shared_tracker, split, kind, apart, jsonl, separate)


@pytest.mark.slow
@many
@split_tests
def test_many_logs_that_are_split_into_files(
    shared_tracker: Tracker, split: Split, kind: Kind, apart: bool, jsonl: bool, separate: bool
) -> None:
    check_split(shared_tracker, split, kind, apart, jsonl, separate)


def sent(bench: Bench, found: Overlapping) -> list[Path]:
    """Import the exports one after the other; a dry run before each of them says the same."""
    files = []
    decided = () if found.overlap == "ask" else ("--overlap", found.overlap)
    flags = (*bench.flags(found.kind), *decided)
    for at, export in enumerate(found.exports):
        files.append(bench.write(f"{at}.csv", export.text))
        dry = bench.run("dry-run", files[-1], *flags)
        assert bench.send(files[-1], *flags, code=dry.code).counted == dry.counted
    return files


def test_a_call_that_two_different_rows_were_matched_with_is_left_to_the_other(bench: Bench) -> None:
    """One export lacks a column, the next has it and a row more, the last is the same in another order."""
    blank, noted = row(0, "bo", event="Invited"), row(0, "bo", event="Invited", note="not")
    fewer = [name for name in COLUMNS if name != "note"]
    files = [
        bench.write("0.csv", as_csv([blank], fewer)),
        bench.write("1.csv", as_csv([row(0, "ada", event="Invited"), noted, blank])),
        bench.write("2.csv", as_csv([blank, row(0, "ada", event="Invited"), noted])),
    ]
    for file in files:
        bench.send(file, "--no-properties", code=0)
    bench.check(files, BY_NAME["no-properties"].form)


def check_exports(tracker: Tracker, found: Overlapping) -> None:
    """Nothing is lost, and no event is there more often than the log has it."""
    with fresh(tracker) as bench:
        files = sent(bench, found)
        bench.check(files, found.kind.form, found.overlap)
        log = bench.write("log.csv", as_csv(found.log))
        truth = count([read(log, found.kind.form)], found.kind.form).happenings
        most = Counter((one.parts[0].site, one.parts[0].identity, one.parts[0].event) for one in truth)
        there = Counter((call.site, call.identity, call.event) for call in bench.calls())
        # Where files only touch, a row that lacks a column is another event: no rotated log may lose one.
        assert there <= most or touch(files, found.kind.form), "an event was sent twice"


@few
@given(overlapping())
def test_exports_that_overlap_or_lose_a_column_send_nothing_twice(
    shared_tracker: Tracker, found: Overlapping
) -> None:
    check_exports(shared_tracker, found)


@pytest.mark.slow
@many
@given(overlapping())
def test_many_exports_that_overlap_or_lose_a_column(shared_tracker: Tracker, found: Overlapping) -> None:
    check_exports(shared_tracker, found)


def check_drifting(tracker: Tracker, found: Overlapping) -> None:
    """Rows with changed values are sent, known or rejected, and the rejects can be decided on."""
    with fresh(tracker) as bench:
        files = sent(bench, found)
        bench.check(files, found.kind.form, found.overlap)
        before = bench.wires()
        for path in files:
            bench.send(path, *bench.flags(found.kind))
        assert bench.wires() == before, "a second import sent something"
        bench.check(files, found.kind.form, found.overlap)
        _decide(bench, files, found.kind)


def _decide(bench: Bench, files: list[Path], kind: Kind) -> None:
    """Import all rejects as other events: then every event is there."""
    for path in [path for path in bench.rejects if path.exists() and path.stat().st_size]:
        bench.send(path, *bench.flags(kind), "--overlap", "separate", code=0)
        bench.send(path, *bench.flags(kind), "--overlap", "separate", code=0)
    rows = {row for path in files for row in _rows(path, kind.form)}
    there = {(call.site, call.identity, call.event) for call in bench.calls()}
    assert there == rows


def _rows(path: Path, form: Form) -> set[tuple[str, str, str]]:
    """Return the site, person and event of each row of a file."""
    found = count([read(path, form)], form).happenings
    return {(one.parts[0].site, one.parts[0].identity, one.parts[0].event) for one in found}


@few
@given(overlapping(drifts=True))
def test_whatever_changed_each_row_is_sent_known_or_rejected(
    shared_tracker: Tracker, found: Overlapping
) -> None:
    check_drifting(shared_tracker, found)


@pytest.mark.slow
@many
@given(overlapping(drifts=True))
def test_many_exports_of_which_values_changed(shared_tracker: Tracker, found: Overlapping) -> None:
    check_drifting(shared_tracker, found)


@few
@given(splits(), kinds, st.lists(st.integers(1, 4), max_size=4), st.integers(1, 5))
def test_interrupted_anywhere_it_is_the_same(
    shared_tracker: Tracker, split: Split, kind: Kind, limits: list[int], size: int
) -> None:
    """So many rows a run, then the rest; in batches of any size."""
    whole = in_one_file(shared_tracker, split, kind)
    with fresh(shared_tracker) as parts:
        log = parts.write("log.csv", as_csv(split.rows))
        flags = (*parts.flags(kind), "--batch-size", str(size))
        for limit in limits:
            parts.send(log, *flags, "--limit", str(limit), code=0)
        parts.send(log, *flags, code=0)
        assert parts.wires() == whole
        parts.check([log], kind.form)
