"""The plan of a job as DataFrames: what `mapping`, `contests` and `walk` do, spread over the tasks of Spark.

    inputs ─► MAPPED ─► parts ─┬─► contests (one task, contested people alone) ─► forced, aliases
                               └─► with the receipts, by person and in order ─► WALKED ─► plan and rejects

What is computed is kept on the disks of the cluster until `Planned.release`: each table is asked for more
than once, and must be the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import reduce
from operator import or_
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark import StorageLevel
from pyspark.sql import functions as F  # noqa: N812 - the name that Spark's own pages give it

from km_cli.config.settings import Settings
from km_cli.ledger import Reading
from km_cli.model import Reject, Row
from km_cli.run.first_rows import check_conflicts
from km_cli.spark.aliasing import with_joined
from km_cli.spark.arrow import InArrow, Rows, to_batches
from km_cli.spark.contests import Contests
from km_cli.spark.continuing import Continued, continued, with_rest
from km_cli.spark.frames import FrameSource, check_order, firsts_of, mapper_of, numbered_rows, opened_frame
from km_cli.spark.inputs import Inputs, check_settings
from km_cli.spark.mapping import Input, map_file, portable
from km_cli.spark.moved import moved_members
from km_cli.spark.planned import Planned, in_order, together_of
from km_cli.spark.summary import spanned, summary_of
from km_cli.spark.tables import (
    CALL,
    EVENTS,
    JOINED,
    KNOWN,
    MAPPED,
    ORDER,
    OWNER,
    PASSED_OVER,
    RECEIVED,
    VALUE,
    WALKED,
    Table,
    empty_frame,
)
from km_cli.spark.unseen import unseen_of
from km_cli.spark.walk import Walk, WalkTask
from km_cli.spark.walk_rows import sides, walk_rows, with_events

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class FileSource(NamedTuple):
    """A file that one machine would read: its path or address, which all machines of the cluster can open."""

    file: str


Source = FileSource | FrameSource


def plan_events(
    spark: SparkSession,
    sources: Sequence[Source],
    settings: Settings,
    readings: Sequence[Reading],
    received: DataFrame | None,
    secret: bytes,
    now: float,
) -> Planned:
    """Plan the rows of the sources, in their order, after all that was received.

    `readings` are those of the receipts, `received` is their RECEIVED, None for none. `secret` is the one of
    the digests, `now` in seconds since 1970. Raises UsageError and InputError before any task begins, for
    settings under which Spark's plan would not be that of one machine.
    """
    check_settings(settings)
    kept: list[DataFrame] = []
    opening = Inputs(settings, readings, secret, now)
    mapped, inputs = _mapped(spark, sources, opening, kept)
    kept.append(mapped)
    summary = summary_of(mapped)
    found = continued(inputs, summary.files, readings, settings)
    if any(one.reading.number != number for number, one in found.items()):
        mapped = _passed_over(mapped, found)
        summary = summary_of(mapped)
    own, spans = spanned(found, summary)
    spans = with_rest(spans, inputs, found)
    every = {one.number: one for one in (*readings, *own)}
    behind = {one.reading.number: one.behind for one in found.values()}
    walks_under = replace(portable(settings), hasher=None, members=None)  # these are for mapping
    task = WalkTask(walks_under, secret, tuple(every.values()), spans, behind)
    known = received if received is not None else empty_frame(spark, RECEIVED)
    known = with_joined(known.where(F.col("kind").isin(CALL, KNOWN, VALUE, OWNER)))
    decided = empty_frame(spark, WALKED)
    if _is_contested(mapped, known):
        decided = _decided(task, mapped, known).persist(StorageLevel.DISK_ONLY)
    walk = walk_rows(mapped.where("kind = 'part'"), known, decided)
    if needs_events(settings):
        walk = with_events(walk, _by_person(walk, lambda rows: Walk(task).events(rows), EVENTS))
    walked = _by_person(walk, lambda rows: Walk(task).rows(rows), WALKED).persist(StorageLevel.DISK_ONLY)
    kept += [decided, walked]
    begun = [one for one in inputs if found[one.reading.number].reading.number == one.reading.number]
    if received is not None:
        _judge_conflicts(begun, walked)
    looks = [finding for one in begun for finding in one.look.findings]
    if settings.members is not None:
        moved = moved_members(mapped, walked.unionByName(decided), settings.members.personas)
        decided = decided.unionByName(moved)
    unseen = unseen_of(settings, summary.told) if _sees_all(found) and not opening.is_full else []
    return Planned(mapped, walked, decided, summary, own, looks, unseen, kept)


def _sees_all(found: Mapping[int, Continued]) -> bool:
    """Tell whether the job sees all rows of its inputs, so that a name that it does not meet is in none."""
    return all(one.reading.number == number and not one.reading.rows for number, one in found.items())


def _judge_conflicts(begun: Iterable[Input], walked: DataFrame) -> None:
    """Raise InputError if most of the first rows of a log conflict with rows that were sent."""
    judged_inputs = {one.reading.number: one for one in begun if one.look.judged}
    if not judged_inputs:
        return
    first_rows = [
        (F.col("reading") == number) & (F.col("row") <= one.look.judged[-1])
        for number, one in judged_inputs.items()
    ]
    conflicts = walked.where("kind = 'reject' AND code = 'conflict'").where(reduce(or_, first_rows))
    rejects = conflicts.select("reading", "row", "part", "source", "line", "raw", "code", "text").collect()
    for number, one in judged_inputs.items():
        judged = one.look.judged
        found = sorted(
            (row for row in rejects if row["reading"] == number), key=lambda row: (row["row"], row["part"])
        )
        if found:
            first = found[0]
            row = Row(first["source"], first["line"], bytes(first["raw"]), None)
            lines = {row["line"] for row in found}
            reject = Reject(row, first["code"], first["text"])
            check_conflicts(reject, len(lines), len(judged), one.reading.source)


def needs_events(settings: Settings) -> bool:
    """Tell whether a person's properties depend on the events that other people of its rows do."""
    recorded = [persona for persona in settings.personas if persona.is_recorded]
    return len(recorded) > 1 and any(persona.sets for persona in settings.personas)


# Mapping


def _mapped(
    spark: SparkSession, sources: Sequence[Source], inputs: Inputs, kept: list[DataFrame]
) -> tuple[DataFrame, list[Input]]:
    """Return MAPPED for all sources, on disk, and their inputs."""
    frames: list[DataFrame] = []
    tasks: list[Input] = []
    files: list[Input] = []
    for source in sources:
        if isinstance(source, FileSource):
            task = inputs.file(source.file)
            if task is not None:
                files.append(task)
                tasks.append(task)
        else:
            task, frame = _of_frame(source, inputs, kept)
            tasks.append(task)
            frames.append(frame)
    if files:
        frames.insert(0, _of_files(spark, files))
    if not frames:
        frames.append(empty_frame(spark, MAPPED))
    return together_of(frames).persist(StorageLevel.DISK_ONLY), tasks


def _of_files(spark: SparkSession, files: list[Input]) -> DataFrame:
    """Map files: each is read by one task."""
    places = spark.sparkContext.parallelize(range(len(files)), len(files)).map(lambda at: (at,))

    def run(rows: Rows) -> Rows:
        return (found for row in rows for found in map_file(files[row["at"]]))

    return places.toDF("at int").mapInArrow(InArrow(run, MAPPED), MAPPED.ddl)


def _of_frame(source: FrameSource, inputs: Inputs, kept: list[DataFrame]) -> tuple[Input, DataFrame]:
    check_order(source)
    numbered = numbered_rows(source)
    kept.append(numbered)
    with TemporaryDirectory() as folder, closing(opened_frame(source, numbered, Path(folder))) as opened:
        task = inputs.frame(opened, source.name)
    firsts = firsts_of(numbered, task.reading.line + 1)
    map_batches = mapper_of(task, firsts)

    def run(batches: Iterable[Any]) -> Iterator[Any]:
        return to_batches(map_batches(batches), MAPPED)

    return task, numbered.mapInArrow(run, MAPPED.ddl)


def _passed_over(mapped: DataFrame, found: Mapping[int, Continued]) -> DataFrame:
    """Give rows the numbers of the readings that they continue, and pass over those that were read before."""
    reading, row = F.col("reading"), F.col("row")
    for number, (own, line, _) in found.items():
        if own.number == number:
            continue
        about = F.when(F.col("kind") == "finding", F.least(row, F.col("number"))).otherwise(row)
        is_known = (F.col("reading") == number) & (F.coalesce(about, F.lit(0)) <= line)
        code = F.when(is_known & (F.col("kind") == "row"), F.lit(PASSED_OVER)).otherwise(F.col("code"))
        mapped = mapped.where(~is_known | (F.col("kind") == "row")).withColumn("code", code)
        reading = F.when(F.col("reading") == number, F.lit(own.number)).otherwise(reading)
    return mapped.withColumn("reading", reading)


# Planning


def _is_contested(mapped: DataFrame, known: DataFrame) -> bool:
    """Tell whether any person has two owners or an alias, or any id two people. In most logs none has."""
    parts, aliased = mapped.where("kind = 'part'"), mapped.where("kind = 'alias'")
    calls = known.where(F.col("kind").isin(CALL, KNOWN, OWNER, JOINED))
    owner = "'owner' AS of", "person AS key", "concat(CAST(persona AS binary), spelling) AS claim"
    own_ids = parts.selectExpr("explode(ids) AS id", "person").selectExpr("unhex(id) AS id", "person")
    ids = own_ids.unionByName(calls.where("id IS NOT NULL").select("id", "person"))
    claims = together_of(
        [
            parts.selectExpr(*owner),
            calls.selectExpr(*owner),
            ids.selectExpr("'id' AS of", "id AS key", "person AS claim"),
            aliased.selectExpr("'alias' AS of", "person AS key", "person AS claim"),
        ]
    )
    ends = claims.groupBy("of", "key").agg(F.min("claim").alias("least"), F.max("claim").alias("most"))
    return not ends.where("least <> most OR of = 'alias'").isEmpty()


def _decided(task: WalkTask, mapped: DataFrame, known: DataFrame) -> DataFrame:
    """Return the aliases, the rejects and the `forced` rows of contested people: WALKED."""
    parts, aliased = mapped.where("kind = 'part'"), mapped.where("kind = 'alias'")
    calls = known.where(F.col("kind").isin(CALL, KNOWN, OWNER, JOINED))
    owners = ["person", "persona", "spelling"]
    people = (
        parts.select(*owners).unionByName(calls.select(*owners)).dropDuplicates().groupBy("person").count()
    )
    contested = people.where("count > 1").select("person")
    shared = _sharing_ids(parts, calls)
    people = together_of([contested, shared, aliased.select("person")]).dropDuplicates()
    concerned = sides(parts, known, None).join(F.broadcast(people), "person", "left_semi")
    in_order = concerned.withColumn("at", F.when(F.col("side") == 0, F.col("person")).otherwise(F.lit(b"")))
    one = in_order.repartition(1).sortWithinPartitions(
        "side", "at", "reading", "row", "part", "person", "job", "kind"
    )

    def decide(rows: Rows) -> Rows:
        return Contests(task).decide(rows)

    return one.drop("at").mapInArrow(InArrow(decide, WALKED), WALKED.ddl)


def _sharing_ids(parts: DataFrame, calls: DataFrame) -> DataFrame:
    """Return the people that share an id with others."""
    own = parts.select("person", F.explode("ids").alias("id"))
    known = calls.where("id IS NOT NULL").select("person", F.lower(F.hex("id")).alias("id"))
    people = own.unionByName(known).dropDuplicates()
    several = people.groupBy("id").count().where("count > 1").select("id")
    return people.join(several, "id", "left_semi").select("person").dropDuplicates()


def _by_person(walk: DataFrame, task: Callable[[Rows], Rows], table: Table) -> DataFrame:
    """Walk over the rows of each person in order."""
    return in_order(walk, ("person",), ORDER, task, table)
