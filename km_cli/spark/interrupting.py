"""Ends the work of Spark's tasks when a job is asked to stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from km_cli.run.stopping import Stop
from km_cli.spark.sending import StopFile

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_TICK = 0.2


@contextmanager
def stopping_tasks(spark: SparkSession, stop: Stop, file: StopFile | None = None) -> Iterator[None]:
    """End the tasks that run within the block as soon as the job is asked to stop.

    Tasks that send find the `file`: they finish the calls in flight and write their receipts. Tasks that
    plan are cancelled, since nothing of their work is kept.
    """
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_TICK):
            if stop.requested:
                if file is None:
                    spark.sparkContext.cancelAllJobs()
                else:
                    file.write("interrupted", "run the same command again to continue", 0)
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
