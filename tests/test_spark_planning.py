"""Spark plans the calls that one machine plans, byte for byte: its stages, without Spark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from km_cli.model import Finding, Reject
from tests.support import sparkless
from tests.support.drawing import examples
from tests.support.onemachine import Planned, one_machine, settings_of
from tests.support.rowlogs import KINDS, Kind, Row, as_csv, as_jsonl, cuts, logs
from tests.support.sparkless import NOW, Job, Receipts

phases = set(Phase) - {Phase.explain}
few = settings(max_examples=examples(12), deadline=None, phases=phases)
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
        files = written(folder, [as_text(piece) for piece in pieces], ".jsonl" if json else ".csv")
        asked = settings_of(words(folder, kind, "--overlap", overlap, *map(str, files)))
        receipts = Receipts()
        with one_machine(folder, NOW) as machine:
            job = sparkless.plan(asked, files, receipts, data.draw(st.integers(1, 4)))
            assert_same(job, machine.plan(asked, files))
            receipts.take(job)
            again = sparkless.plan(asked, files, receipts)
            assert not again.payloads
