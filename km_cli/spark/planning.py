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
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark import StorageLevel
from pyspark.sql import functions as F  # noqa: N812 - the name that Spark's own pages give it

from km_cli.config.settings import Settings
from km_cli.ledger import Reading
from km_cli.model import Reject, Row
from km_cli.run.first_rows import LOOKED_AHEAD, check_conflicts
from km_cli.run.overlaps import Span
from km_cli.spark.aliasing import with_joined
from km_cli.spark.arrow import InArrow, Rows, to_batches
from km_cli.spark.contests import Contests
from km_cli.spark.continuing import Continued, continued, with_rest
from km_cli.spark.following import HEAD, READ
from km_cli.spark.frames import FrameSource, check_order, firsts_of, mapper_of, numbered_rows, opened_frame
from km_cli.spark.inputs import Inputs, check_settings
from km_cli.spark.mapping import Input, map_file, portable
from km_cli.spark.moved import moved_members
from km_cli.spark.planned import Planned, in_order, together_of
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
    SEEN,
    VALUE,
    WALKED,
    Table,
)
from km_cli.spark.unseen import unseen_of
from km_cli.spark.walk import Walk, WalkTask
from km_cli.spark.walk_rows import sides, walk_rows, with_events

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


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
    told = [row.asDict() for row in mapped.where(F.col("kind").isin(HEAD, READ, SEEN)).collect()]
    of_files = [row for row in told if row["kind"] != SEEN]
    found = continued(inputs, of_files, readings, settings)
    mapped = _passed_over(mapped, found)
    own, spans = spanned(found, mapped)
    spans = with_rest(spans, inputs, found)
    every = {one.number: one for one in (*readings, *own)}
    behind = {one.reading.number: one.behind for one in found.values()}
    walks_under = replace(portable(settings), hasher=None, members=None)  # these are for mapping
    task = WalkTask(walks_under, secret, tuple(every.values()), spans, behind)
    known = received if received is not None else spark.createDataFrame([], RECEIVED.ddl)
    known = with_joined(known.where(F.col("kind").isin(CALL, KNOWN, VALUE, OWNER)))
    parts = mapped.where("kind = 'part'")
    decided = _decided(task, mapped, known).persist(StorageLevel.DISK_ONLY)
    walk = walk_rows(parts, known, decided)
    if needs_events(settings):
        walk = with_events(walk, _by_person(walk, lambda rows: Walk(task).events(rows), EVENTS))
    walked = _by_person(walk, lambda rows: Walk(task).rows(rows), WALKED).persist(StorageLevel.DISK_ONLY)
    kept += [decided, walked]
    begun = [one for one in inputs if found[one.reading.number].reading.number == one.reading.number]
    if received is not None:
        _judge_conflicts(begun, walked)
    looks = [finding for one in begun for finding in one.look.findings]
    together = walked.unionByName(decided)
    with_calls = _with_calls(own, together, settings.target.tracker)
    if settings.members is not None:
        decided = decided.unionByName(moved_members(mapped, together, settings.members.personas))
    unseen = unseen_of(settings, told) if _sees_all(found) and not opening.is_full else []
    return Planned(mapped, walked, decided, with_calls, looks, unseen, kept)


def _sees_all(found: Mapping[int, Continued]) -> bool:
    """Tell whether the job sees all rows of its inputs, so that a name that it does not meet is in none."""
    return all(one.reading.number == number and not one.reading.rows for number, one in found.items())


def _judge_conflicts(begun: Iterable[Input], walked: DataFrame) -> None:
    """Raise InputError if most of the first rows of a log conflict with rows that were sent."""
    conflicts = walked.where("kind = 'reject' AND code = 'conflict'").orderBy("row", "part")
    for one in begun:
        judged = one.look.judged
        if not judged:
            continue
        of_input = conflicts.where((F.col("reading") == one.reading.number) & (F.col("row") <= judged[-1]))
        found = of_input.select("source", "line", "raw", "code", "text").collect()
        if found:
            first = found[0]
            row = Row(first["source"], first["line"], bytes(first["raw"]), None)
            lines = {row["line"] for row in found}
            reject = Reject(row, first["code"], first["text"])
            check_conflicts(reject, len(lines), len(judged), one.reading.source)


def _with_calls(readings: Sequence[Reading], walked: DataFrame, tracker: str) -> tuple[Reading, ...]:
    """Return the readings with the numbers of their planned calls added."""
    counts = walked.where("kind = 'call'").groupBy("reading", "site", "persona").count().collect()
    found = []
    for reading in readings:
        calls = dict(reading.calls)
        for number, site, persona, count in counts:
            if number == reading.number:
                name = f"{tracker} {site} {persona}"
                calls[name] = calls.get(name, 0) + count
        found.append(reading._replace(calls=tuple(calls.items())))
    return tuple(found)


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
        frames.append(spark.createDataFrame([], MAPPED.ddl))
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


def spanned(found: Mapping[int, Continued], mapped: DataFrame) -> tuple[tuple[Reading, ...], dict[int, Span]]:
    """Return the readings with the times of their rows, and the spans of all rows that have a time."""
    is_event = F.col("code").isin("event", "undone")
    ends = (
        mapped.where((F.col("kind") == "row") & (F.col("code") != PASSED_OVER))
        .groupBy("reading")
        .agg(
            F.count("*").alias("rows"),
            F.max("row").alias("line"),
            *_ends(F.col("second"), F.col("dated"), "all"),
            *_ends(F.when(is_event, F.col("second")), F.when(is_event, F.col("dated")), "seen"),
        )
    )
    by_reading = {row["reading"]: row for row in ends.collect()}
    readings: dict[int, Reading] = {}
    spans: dict[int, Span] = {}
    for known, *_ in found.values():
        row = by_reading.get(known.number)
        seen = Span(known.first, known.last, known.dated)
        if row is not None and known.number not in readings:
            seen = seen.joined(_span(row, "seen"))
            rows, line = known.rows + row["rows"], max(known.line, row["line"])
            known = known._replace(first=seen.first, last=seen.last, dated=seen.dated, rows=rows)
            known = known if known.length else known._replace(line=line)
            spans[known.number] = _span(row, "all") if row["rows"] >= LOOKED_AHEAD else _span(row, "seen")
        readings.setdefault(known.number, known)
    return tuple(readings.values()), spans


def _ends(second: Column, dated: Column, name: str) -> list[Column]:
    return [
        F.min(second).alias(f"{name}_first"),
        F.max(second).alias(f"{name}_last"),
        F.max(dated).alias(f"{name}_dated"),
    ]


def _span(row: Any, name: str) -> Span:
    if row[f"{name}_last"] is None:
        return Span()
    return Span(row[f"{name}_first"], row[f"{name}_last"], bool(row[f"{name}_dated"]))


# Planning


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
