"""DataFrames as inputs: their rows are read as those of a Parquet file with the same columns would be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark import StorageLevel
from pyspark.sql import functions as F  # noqa: N812 - the name that Spark's own pages give it

from km_cli.errors import UsageError
from km_cli.inputs import Opened, Source, make_format_options, open_reader
from km_cli.inputs.jsonl import parse_object
from km_cli.inputs.parquet import json_lines
from km_cli.json_text import TOO_DEEP
from km_cli.model import Reject, Row
from km_cli.spark.mapping import Input, Mapped, RowMapper

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import Column, DataFrame

_FIRST = 1000
"""Rows by which the columns are found."""

_NUMBER = "_km_cli_row"
_PARTITION_BITS = 33
"""The bits that Spark's increasing numbers leave to the rows of one partition."""


class FrameSource(NamedTuple):
    """A DataFrame whose rows are in the order of some of its columns; `name` is that of the log in messages.

    Rows that are equal in these columns follow one another by the text of all their columns.
    """

    frame: DataFrame
    order_by: tuple[str, ...]
    name: str = "dataframe"


def check_order(source: FrameSource) -> None:
    """Raise UsageError if the DataFrame has no order."""
    missing = [name for name in source.order_by if name not in source.frame.columns]
    if not source.order_by or missing:
        what = (
            f"the DataFrame has no column {missing[0]!r}" if missing else "the order of the rows is missing"
        )
        raise UsageError(
            f"order_by: {what}", f"name the columns that order the rows, of {', '.join(source.frame.columns)}"
        )


def numbered_rows(source: FrameSource) -> DataFrame:
    """Return the rows in their order, with growing numbers, kept on the disks of the cluster."""
    whole = F.to_json(F.struct(*map(_column, source.frame.columns)))
    in_order = source.frame.orderBy(*map(_column, source.order_by), whole)
    numbered = in_order.withColumn(_NUMBER, F.monotonically_increasing_id())
    return numbered.persist(StorageLevel.DISK_ONLY)


def _column(name: str) -> Column:
    """Return the column with this name, whatever characters are in it."""
    return F.col("`" + name.replace("`", "``") + "`")


def firsts_of(numbered: DataFrame, first: int) -> dict[int, int]:
    """Return the place in the whole order of the first row of each partition; `first` is the first of all."""
    of_partition = F.shiftright(_NUMBER, _PARTITION_BITS).alias("partition")
    firsts = {}
    for partition, count in sorted(tuple(row) for row in numbered.groupBy(of_partition).count().collect()):
        firsts[partition] = first
        first += count
    return firsts


def opened_frame(source: FrameSource, numbered: DataFrame, folder: Path) -> Opened:
    """Open the first rows as JSON lines in `folder`: by these the columns are found. The caller closes it."""
    first = numbered.orderBy(_NUMBER).limit(_FIRST).drop(_NUMBER).toArrow()
    file = folder / f"{re.sub('[^A-Za-z0-9_.-]', '_', source.name)}.jsonl"
    file.write_bytes(b"".join(line for batch in first.to_batches() for line in json_lines(batch)))
    as_lines = Source(str(file), format_options=make_format_options("jsonl", "", ""))
    as_lines.name = source.name
    return open_reader(as_lines)


def mapper_of(task: Input, firsts: dict[int, int]) -> Callable[[Iterable[Any]], Iterator[Mapped]]:
    """Return the function that maps the batches of one partition."""

    def mapped(batches: Iterable[pyarrow.RecordBatch]) -> Iterator[Mapped]:
        mapper = RowMapper(task)
        for batch in batches:
            for row in _rows(batch, task.reading.source, firsts):
                yield from mapper.map(row)
        yield from mapper.end()

    return mapped


def _rows(batch: Any, name: str, firsts: dict[int, int]) -> Iterator[Row | Reject]:
    numbers = batch.column(_NUMBER).to_pylist()
    lines = json_lines(batch.drop_columns([_NUMBER]))
    for number, raw in zip(numbers, lines, strict=True):
        line = firsts[number >> _PARTITION_BITS] + (number & (1 << _PARTITION_BITS) - 1)
        place = Row(name, line, raw, None)
        try:
            yield place._replace(values=parse_object(raw))
        except RecursionError:
            yield Reject(place, "too-deep", TOO_DEEP)
        except ValueError as error:
            yield Reject(place, "bad-json", str(error))
