"""Spark plans the calls that one machine plans, byte for byte: its stages, without Spark."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from km_cli.errors import InputError, UsageError
from km_cli.model import Finding, Reject
from tests.support import sparkless
from tests.support.drawing import examples
from tests.support.onemachine import Planned, one_machine, settings_of
from tests.support.rowlogs import COLUMNS, KINDS, Kind, Row, as_csv, as_jsonl, cuts, logs, row, rows
from tests.support.sparkless import NOW, Job, Receipts

T = TypeVar("T")

phases = set(Phase) - {Phase.explain}
few = settings(max_examples=int(os.environ.get("EX", 0)) or examples(12), deadline=None, phases=phases)
kinds = st.sampled_from(KINDS)

AGGREGATED = {"alike-ids", "crossover", "D8", "left-to-others"}
"""Findings about whole logs: `test_spark_findings.py` has them."""


def words(folder: Path, kind: Kind, *more: str) -> list[str]:
    """The words of a command line that reads a log with these personas."""
    config = ["--config", str(folder / "km.toml")] if kind.toml else []
    if kind.toml:
        (folder / "km.toml").write_text(kind.toml)
    return ["--to", "http://127.0.0.1:1", *kind.flags, *config, *more]


def written(folder: Path, texts: Sequence[str], ending: str) -> list[Path]:
    paths = [folder / f"{number}{ending}" for number, _ in enumerate(texts)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


def assert_same(job: Job, planned: Planned) -> None:
    """Both plan the same calls, reject the same rows for the same reasons, and find the same."""
    assert job.payloads == planned.payloads
    assert rejects_of_job(job) == Counter(map(_reject, planned.rejects))
    assert findings_of_job(job) == Counter(
        map(_finding, (one for one in planned.findings if one.code not in AGGREGATED))
    )


def rejects_of_job(job: Job) -> Counter[tuple[object, ...]]:
    return Counter(
        (one["source"], one["line"], one["raw"], one["code"], _plain(one["text"]), frozenset(one["owed"]))
        for one in job.rejects
    )


def _reject(one: Reject) -> tuple[object, ...]:
    row, code, reason, owed = one
    return row.source, row.line, row.raw, code, _plain(reason), frozenset(owed)


def _plain(reason: str) -> str:
    """Without the values of the other row, which Spark does not read again."""
    return reason.partition(", with another")[0]


def findings_of_job(job: Job) -> Counter[tuple[object, ...]]:
    found = {(one["source"], one["line"], one["code"], one["text"], one["who"]): 1 for one in job.findings}
    several = Counter(
        (one["source"], one["line"], one["code"], one["text"], one["who"]) for one in job.findings
    )
    return Counter({key: 1 if key[2] == "alike-rows" else several[key] for key in found})


def _finding(one: Finding) -> tuple[object, ...]:
    return one.source, one.line, one.code, one.message, one.who


@given(kind=kinds, log=logs(), unsorted=st.booleans(), json=st.booleans(), data=st.data())
@few
def test_any_log(kind: Kind, log: list[Row], unsorted: bool, json: bool, data: st.DataObject) -> None:
    """Cut into files, sorted or not; and once more: nothing is sent."""
    log = data.draw(st.permutations(log)) if unsorted else log
    pieces = cuts(data.draw, log)
    overlap = data.draw(st.sampled_from(["ask", "separate", "repeats"]))
    with TemporaryDirectory() as name:
        folder = Path(name)
        as_text = as_jsonl if json else as_csv
        texts = [as_text(piece) for piece in pieces]
        # Of the files of one job, Spark knows those that are alike, not one that begins with another.
        assume(not any(one != other and other.startswith(one) for one in texts for other in texts))
        files = written(folder, texts, ".jsonl" if json else ".csv")
        asked = settings_of(words(folder, kind, "--overlap", overlap, *map(str, files)))
        receipts = Receipts()
        with one_machine(folder, NOW) as machine:
            job = sparkless.plan(asked, files, receipts, data.draw(st.integers(1, 4)))
            assert_same(job, machine.plan(asked, files))
            receipts.take(job)
            again = sparkless.plan(asked, files, receipts)
            assert not again.plan


def _result(plan: Callable[[], T]) -> T | str:
    """Return a plan, or the error that refuses the log."""
    try:
        return plan()
    except (InputError, UsageError) as error:
        return _plain(str(error))


SETS = Kind(
    "sets",
    (),
    '[[personas]]\nname = "user"\nset = ["plan"]\n[[personas]]\nname = "account"\nset = ["plan", "note"]\n',
    KINDS[0].form,
)
STATES = Kind(
    "states",
    (),
    '[columns]\nwithout_event = "set"\n[[personas]]\nname = "user"\nset = ["plan"]\n'
    '[[personas]]\nname = "account"\nlink = { User = "user" }\nproperties = ["note"]\n',
    KINDS[0].form,
)
IDS = Kind("ids", ("--id", "note"), "", KINDS[0].form)
SETS_AND_IDS = SETS._replace(name="sets and ids", flags=("--id", "contact"))
CONTESTED = st.builds(
    row,
    st.sampled_from([0, 0, 1, 2, 8, 9, 16]),
    st.sampled_from(["ada", "bo", "Acme", "a,da"]),
    st.sampled_from(["Acme", "Ac,me", "Beta", "ada", ""]),
    st.sampled_from(["Invited", "Paid", ""]),
    st.sampled_from(["pro", "max", "free", ""]),
    st.sampled_from(["", "1", "2", "3"]),
    st.sampled_from(["", "zoe", "i1", "i2"]),
)


class Run(NamedTuple):
    """A log, and the rows of it whose calls the destination refuses: each of so many."""

    rows: list[Row]
    columns: tuple[str, ...]
    refused: int


runs = st.builds(
    Run,
    st.lists(st.one_of(rows, CONTESTED), min_size=1, max_size=9),
    st.sampled_from([COLUMNS, tuple(one for one in COLUMNS if one != "contact"), COLUMNS[::-1]]),
    st.sampled_from([0, 0, 2, 3]),
)


@given(
    kind=st.sampled_from([*KINDS, SETS, STATES, IDS, SETS_AND_IDS]),
    several=st.lists(runs, min_size=1, max_size=3),
    overlaps=st.lists(st.sampled_from(["ask", "separate", "repeats"]), min_size=3, max_size=3),
    partitions=st.integers(1, 3),
    more=st.sampled_from(
        [(), (), ("--as-new",), ("--collisions", "keep"), ("--collisions", "reject"), ("--spread", "1")]
    ),
)
@few
def test_any_logs_one_after_the_other(
    kind: Kind, several: list[Run], overlaps: list[str], partitions: int, more: tuple[str, ...]
) -> None:
    """People whom several owners claim, ids that come again, refused calls, values that follow columns."""
    with TemporaryDirectory() as name:
        folder, receipts = Path(name), Receipts()
        texts = [as_csv(run.rows, run.columns) for run in several]
        with one_machine(folder, NOW) as machine:
            for number, (run, overlap) in enumerate(zip(several, overlaps, strict=False)):
                path = folder / f"log{number}.csv"
                path.write_text(texts[number])
                asked = settings_of(words(folder, kind, "--overlap", overlap, *more, str(path)))
                planned = _result(partial(machine.plan, asked, [path]))
                job = _result(partial(sparkless.plan, asked, [path], receipts, partitions))
                if isinstance(planned, str) or isinstance(job, str):
                    assert job == planned or "--overlap repeats" in str(job)
                    return
                assert_same(job, planned)
                refused = {call.payload for call in planned.calls[:: run.refused]} if run.refused else set()
                machine.refuse(call for call in planned.calls if call.payload in refused)
                receipts.take(job, refused)
