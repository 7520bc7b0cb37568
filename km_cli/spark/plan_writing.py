"""Plans the rows of a job after all that its receipts folder has, and writes the plan as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from km_cli.config.settings import Settings
from km_cli.ledger import Reading
from km_cli.protocols import Clock
from km_cli.spark.counting import Counted, Tables, counted_of
from km_cli.spark.known import received
from km_cli.spark.planned import Planned
from km_cli.spark.planning import Source, plan_events
from km_cli.spark.readings import reading_from_json, reading_to_json
from km_cli.spark.receipts import Receipts
from km_cli.spark.tables import REJECTS, WRITTEN_PLAN

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class Written(NamedTuple):
    """A plan that is written, but not in force. `notes` are those of its job, for the manifest."""

    counted: Counted
    notes: dict[str, Any]


class Planning:
    """Plans rows with all that the receipts know."""

    def __init__(
        self, spark: SparkSession, receipts: Receipts, settings: Settings, secret: bytes, clock: Clock
    ) -> None:
        self._spark = spark
        self._receipts = receipts
        self._settings = settings
        self._secret = secret
        self._clock = clock

    def write(self, job: str, sources: Sequence[Source]) -> Written:
        """Plan the sources, and write the plan and the rejects of the job."""
        plan_path, rejects_path = self._receipts.plan_path(job), self._receipts.rejects_path(job)

        def write(planned: Planned) -> tuple[DataFrame, DataFrame]:
            planned.plan.write.parquet(plan_path)
            planned.rejects.write.parquet(rejects_path)
            read = self._spark.read
            plan = read.schema(WRITTEN_PLAN.ddl).parquet(plan_path)
            return plan, read.schema(REJECTS.ddl).parquet(rejects_path)

        counted, readings = self._count(sources, write)
        notes = {"readings": readings, "held": counted.held, "aliases": counted.aliases}
        return Written(counted, notes)

    def count(self, sources: Sequence[Source]) -> Counted:
        """Plan the sources, and count what a job would do. Nothing is written."""
        counted, _ = self._count(sources, lambda planned: (planned.plan, planned.rejects))
        return counted

    def _count(
        self, sources: Sequence[Source], tables: Callable[[Planned], tuple[DataFrame, DataFrame]]
    ) -> tuple[Counted, list[dict[str, Any]]]:
        """Plan the sources; return the counts of the plan that `tables` makes, and the readings as JSON."""
        notes = [job.notes for job in self._receipts.manifest.jobs]
        known = received(self._spark, self._receipts) if notes else None
        planned = plan_events(
            self._spark,
            sources,
            self._settings,
            _readings(notes),
            known,
            self._secret,
            self._clock.now(),
        )
        try:
            plan, rejects = tables(planned)
            counted = counted_of(self._settings, self._secret, Tables(planned, plan, rejects, known, notes))
            tracker = self._settings.target.tracker
            own = [_with_calls(one, counted.calls.get(one.number, {}), tracker) for one in planned.readings]
            return counted, [reading_to_json(reading) for reading in own]
        finally:
            planned.release()


def _readings(notes: Sequence[Mapping[str, Any]]) -> list[Reading]:
    """Return the readings of all jobs: of those with one number, the one of the latest job."""
    found = {}
    for one in notes:
        for values in one.get("readings", ()):
            reading = reading_from_json(values)
            found[reading.number] = reading
    return list(found.values())


def _with_calls(reading: Reading, planned: Mapping[tuple[str, str], int], tracker: str) -> Reading:
    """Return a reading with the numbers of its planned calls, by site and persona, added."""
    calls = Counter(dict(reading.calls))
    for (site, persona), count in planned.items():
        calls[f"{tracker} {site} {persona}"] += count
    return reading._replace(calls=tuple(calls.items()))
