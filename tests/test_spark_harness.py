"""The session of the tests: several executors, with this package's code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import km_cli

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession


def test_each_executor_has_the_code_under_test(spark: SparkSession) -> None:
    """Otherwise the tests would prove something about another version."""

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        import km_cli

        for batch in batches:
            size = batch.num_rows
            yield pa.RecordBatch.from_pydict(
                {"process": [os.getppid()] * size, "file": [km_cli.__file__] * size}
            )

    found = spark.range(0, 8, 1, 4).mapInArrow(look, "process long, file string").collect()
    assert {row.file for row in found} == {km_cli.__file__}
    assert len({row.process for row in found}) == 2
