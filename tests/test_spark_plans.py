"""On real Spark: the plan is that of one machine, byte for byte, over any partitions."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.onemachine import one_machine, settings_of
from tests.support.rowlogs import Kind, Row, as_csv, seeded
from tests.support.sparkless import NOW, SECRET
from tests.test_receipt import FLAGS, LOG, NAMED, needs_log
from tests.test_spark_planning import ALIASES_OF_BOTH, SETS_AND_IDS, assert_alike, assert_same, words

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from km_cli.spark.planned import Planned


class _Job:
    """The tables of a plan, as `assert_same` takes them."""

    def __init__(self, planned: Planned) -> None:
        self.plan = _rows_of(planned.plan)
        self.rejects = _rows_of(planned.rejects)
        self.findings = _rows_of(planned.findings)
        self.readings = planned.readings

    @property
    def payloads(self) -> Counter[tuple[str, bytes]]:
        """The calls that are to be sent, by site."""
        return Counter((row["site"], row["payload"]) for row in self.plan if row["kind"] == "call")


def _rows_of(frame: DataFrame) -> list[dict[str, Any]]:
    """Return the rows with their bytes as Python has them."""
    return [
        {name: bytes(value) if isinstance(value, bytearray) else value for name, value in row.items()}
        for row in (one.asDict() for one in frame.collect())
    ]


@pytest.mark.parametrize("kind", [SETS_AND_IDS, ALIASES_OF_BOTH], ids=lambda kind: kind.name)
def test_logs_with_contested_people(spark: SparkSession, tmp_path: Path, kind: Kind) -> None:
    """Two overlapping logs, not in order: ids that come again, people with two owners, `set`, aliases.

    One account has half of the rows. A third log, over the receipts of the first two, sends the rest alone.
    """
    from km_cli.spark.planning import FileSource, plan_events

    draw = random.Random(7)
    rows = [_drawn(draw, row, _CONTACTS[kind.name]) for row in seeded(7, 120, 10)]
    draw.shuffle(rows)
    files = [_written(tmp_path, f"{name}.csv", rows[some]) for name, some in _PIECES.items()]
    asked = settings_of(words(tmp_path, kind, "--overlap", "separate", *map(str, files)))
    with one_machine(tmp_path, NOW) as machine:
        planned = plan_events(
            spark, [FileSource(str(one)) for one in files[:2]], asked, [], None, SECRET, NOW
        )
        job = _Job(planned)
        assert_same(job, machine.plan(asked, files[:2]))
        received = _received(planned.plan)
        third = [FileSource(str(files[2]))]
        rest = _Job(plan_events(spark, third, asked, planned.readings, received, SECRET, NOW))
        assert_same(rest, machine.plan(asked, files[2:]))
        assert rest.payloads
        planned.release()


def test_a_real_log(spark: SparkSession, tmp_path: Path) -> None:
    """A log of cases: its times go back and forth, and one account has a third of its rows."""
    from km_cli.spark.planning import FileSource, plan_events

    needs_log()
    asked = settings_of(["--to", "http://127.0.0.1:1", *NAMED, *FLAGS, str(LOG)])
    with one_machine(tmp_path, NOW) as machine:
        planned = plan_events(spark, [FileSource(str(LOG))], asked, [], None, SECRET, NOW)
        job = _Job(planned)
        assert_alike(job, machine.plan(asked, [LOG]))
        assert len(job.payloads) > 8_577  # a call or more for each row
        planned.release()


_PIECES = {"a": slice(0, 65), "b": slice(50, 90), "c": slice(75, 120)}


_CONTACTS = {
    SETS_AND_IDS.name: ("", "", "i1", "i2"),
    ALIASES_OF_BOTH.name: ("", "", "", "u0", "u1", "zoe", "Acme", "max"),
}


def _drawn(draw: random.Random, row: Row, contacts: Sequence[str]) -> Row:
    """Return a row that half of the time has the one account, and sometimes an id or a contested person."""
    moment, user, account, _, *rest = row
    account = "Acme" if draw.random() < 0.5 else draw.choice([account, "Ac,me", "u1"])
    return moment, user, account, draw.choice(contacts), *rest


def _written(folder: Path, name: str, rows: Sequence[Row]) -> Path:
    path = folder / name
    path.write_text(as_csv(rows))
    return path


def _received(plan: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F  # noqa: N812 - the name that Spark's own pages give it

    return plan.drop("number").withColumns({"job": F.lit("000001"), "rejected": F.lit(False)})
