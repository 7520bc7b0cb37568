"""The findings, rejects, counts and forecast of a job on Spark are those of one machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from km_cli.run.tally import Tally

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SECRET = bytes(range(32))
TO = "http://127.0.0.1:1"
HEADER = "timestamp,user,account,event,plan,Referrer,caf\u00e9"
LISTED = """
[[personas]]
name = "user"
column = "user"
[[personas]]
name = "account"
column = "account"
events = ["In", "in", "Out", "Bought: it"]
"""


def write_logs(folder: Path) -> list[Path]:
    """Two logs: one account does an event 1,010 times, events have 1,010 names, and much else is odd."""
    first = [f"{1_709_283_600 + n},u{n % 7},Acme,In,pro,," for n in range(600)]
    first += [
        "1709290000,Ada@example.com,Beta,Out,free,x,",
        "1709290001,bo,bo,In,free,,",
        "1709290002,u1,Beta,Bought: it,\u20ac 5,,",
        "1709290003,null,Beta,Out,,,",
        "1709290003,u1,Beta,,,,",
    ]
    second = [f"{1_709_383_600 + n},u{n % 7},Acme,in,pro,," for n in range(410)]
    second += [f"{1_709_483_600 + n},u{n % 7},Beta,Name {n},pro,," for n in range(1004)]
    second += [
        "1709590000,ada@example.com,beta,Out,free,,y",
        "1709590001,Acme,Beta,In,free,,",
        "1709590002,u1,beta,IN,,,",
    ]
    paths = []
    for name, lines in (("a.csv", first), ("b.csv", second)):
        paths.append(folder / name)
        paths[-1].write_text("\n".join([HEADER, *lines, ""]))
    (folder / "km.toml").write_text(LISTED)
    return paths


def counted(tally: Tally) -> dict[str, Any]:
    """What a report is made of."""
    return {
        "rows": tally.rows,
        "planned": tally.calls.planned,
        "by_persona": dict(tally.by_persona),
        "findings": dict(tally.findings),
        "examples": tally.examples,
        "worst": {code: dict(who) for code, who in tally.worst.items()},
        "places": {code: (places.by_source(), places.more) for code, places in tally.places.items()},
        "reasons": dict(tally.reasons),
        "rejects": {code: (one.row.source, one.row.line, one.reason) for code, one in tally.rejects.items()},
        "undone": tally.undone,
        "withheld": tally.withheld,
        "normalised": dict(tally.normalised),
    }


def test_both_count_the_same(spark: SparkSession, tmp_path: Path) -> None:
    from km_cli.inputs import Source
    from km_cli.run.observer import Observer
    from km_cli.run.rehearsal import rehearse
    from km_cli.run.stopping import Stop
    from km_cli.spark.job import rehearse_job
    from km_cli.spark.place import Place
    from km_cli.spark.planning import FileSource
    from tests.support.inprocess import environment
    from tests.support.onemachine import settings_of

    logs = write_logs(tmp_path)
    words = ["--to", TO, "--config", tmp_path / "km.toml", "--ledger", tmp_path / "none.db", *logs]
    settings = settings_of(words)
    one = rehearse(
        settings,
        Observer(),
        lambda pipeline, _: pipeline.run([Source(str(log)) for log in logs]),
        Stop(),
        environment({}),
    )
    assert one.ended is None
    place = Place(str(tmp_path / "receipts"), SECRET)
    many = rehearse_job(spark, [FileSource(str(log)) for log in logs], settings, place)
    ours, theirs = counted(many.tally), counted(one.tally)
    for part in theirs:
        assert ours[part] == theirs[part], part
    assert many.forecast == one.forecast
    assert many.read == one.tally.rows.read
