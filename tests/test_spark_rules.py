"""The rules on whole logs, without Spark: what its tasks tell gives the findings of one machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.config.settings import Settings
from km_cli.model import Finding
from km_cli.planning.keyed import digest_spelling
from km_cli.spark.inputs import Inputs
from km_cli.spark.mapping import map_file
from km_cli.spark.names import NAME_RULES, name_findings
from km_cli.spark.spellings import find_alike
from tests.support import sparkless
from tests.support.drawing import examples
from tests.support.onemachine import one_machine, settings_of
from tests.support.sparkless import NOW, SECRET

OF_NAMES = {"crossover", *(rule.about.code for rule in NAME_RULES)}
HEADER = "timestamp,user,account,event,plan,Referrer,caf\u00e9"
rows = st.tuples(
    st.integers(0, 9),
    st.sampled_from(["ada", "Ada", "ADA", "bo", ""]),
    st.sampled_from(["Acme", "acme", "Beta", ""]),
    st.sampled_from(["In", "in", "Out: now", "Bought SKU-48211", "Bought SKU-48212", "Bought SKU-48213"]),
    st.sampled_from(["", "pro"]),
    st.sampled_from(["", "x"]),
)


def written(folder: Path, logs: Iterable[Iterable[str]]) -> list[Path]:
    paths = []
    for number, lines in enumerate(logs):
        paths.append(folder / f"{number}.csv")
        paths[-1].write_text("\n".join([HEADER, *lines, ""]))
    return paths


def asked(files: list[Path]) -> Settings:
    return settings_of(["--to", "http://127.0.0.1:1", "--user", "user", *map(str, files)])


def compared(findings: Iterable[Finding]) -> Counter[tuple[object, ...]]:
    return Counter(tuple(one) for one in findings)


def of_names(files: list[Path]) -> Iterator[Finding]:
    """The findings about names that the tasks of several files tell."""
    opening = Inputs(asked(files), (), SECRET, NOW)
    inputs = [one for file in files if (one := opening.file(str(file)))]
    told = [row for row in chain.from_iterable(map(map_file, inputs)) if row["kind"] == "name"]
    first: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in sorted(told, key=lambda row: (row["reading"], row["row"], row["part"])):
        key = tuple(row.get(name) or "" for name in ("code", "site", "persona", "text"))
        first.setdefault(
            key, dict(zip(("code", "site", "persona", "text"), key, strict=True)) | {"first": row}
        )
    return name_findings(first.values())


def of_spellings(job: sparkless.Job, tracker: str) -> Iterator[Finding]:
    """The findings about spellings in a plan."""
    people = [
        {**row, "side": 1, "key": digest_spelling(tracker, row["site"], row["identity"], SECRET)}
        for row in job.plan
        if row["kind"] == "call" and row["gain_people"] > 0
    ]
    people.sort(key=lambda row: (row["key"], row["reading"], row["row"], row["part"]))
    for one in find_alike(people):
        yield Finding(one["code"], one["text"], one["source"], one["line"], one["who"])


@settings(max_examples=examples(24), deadline=None)
@given(logs=st.lists(st.lists(rows, min_size=1, max_size=8), min_size=1, max_size=3))
def test_names_and_spellings_of_several_files(logs: list[list[tuple[Any, ...]]]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        lines = [[f"2024-03-01T09:00:0{at},{','.join(rest)}," for at, *rest in one] for one in logs]
        lines = [[line.replace(",", "Z,", 1) for line in one] for one in lines]
        files = written(folder, lines)
        with one_machine(folder, NOW) as machine:
            found = machine.plan(asked(files), files).findings
        assert compared(of_names(files)) == compared(one for one in found if one.code in OF_NAMES)
        job = sparkless.plan(asked(files), files)
        tracker = asked(files).target.tracker
        assert compared(of_spellings(job, tracker)) == compared(
            one for one in found if one.code == "alike-ids"
        )


@pytest.mark.slow
def test_instances_beyond_a_thousand(tmp_path: Path) -> None:
    """Over two logs and an earlier job: the same findings at the same rows (D7)."""
    lines = [f"{1_709_283_600 + n},u{n},Acme,In,pro,," for n in range(1006)]
    files = written(tmp_path, (lines[:600], lines[600:1003], lines[1003:]))
    receipts = sparkless.Receipts()
    with one_machine(tmp_path, NOW) as machine:
        for some in (files[:2], files[2:]):
            found = [one for one in machine.plan(asked(some), some).findings if one.code.startswith("D7")]
            job = sparkless.plan(asked(some), some, receipts)
            told = [
                Finding(one["code"], one["text"], one["source"], one["line"], one["who"])
                for one in job.findings
                if one["code"].startswith("D7")
            ]
            assert compared(told) == compared(found)
            assert len(found) == 6, "the event and the property `plan`, three times"
            receipts.take(job)
