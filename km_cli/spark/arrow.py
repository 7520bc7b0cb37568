"""Runs Python over the rows of a partition, in Arrow batches of bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from km_cli.spark.tables import Table

if TYPE_CHECKING:
    import pyarrow

Rows = Iterable[Mapping[str, Any]]

_ROWS = 1000
"""Rows of a batch that Python hands to Spark."""


class InArrow:
    """Turns a function over rows into one over Arrow batches, for `mapInArrow`."""

    def __init__(self, task: Callable[[Rows], Rows], table: Table) -> None:
        self._task = task
        self._table = table

    def __call__(self, batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        """Yield the batches of the rows that the task makes of all rows."""
        rows = (row for batch in batches for row in batch.to_pylist())
        return to_batches(self._task(rows), self._table)


def to_batches(rows: Rows, table: Table) -> Iterator[pyarrow.RecordBatch]:
    """Yield rows as batches with the columns of a table; columns that a row lacks are null."""
    import pyarrow as pa

    schema = table.arrow()
    left = iter(rows)
    while some := list(islice(left, _ROWS)):
        columns = [
            pa.array([row.get(name) for row in some], kind)
            for name, kind in zip(schema.names, schema.types, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)
