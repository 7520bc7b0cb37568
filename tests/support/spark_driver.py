"""A driver of its own: sends what a receipts folder has left, in a process that a test can kill.

Its arguments are the folder of the test, the URL of the tracker, and either the folder for Spark's event log
or `speculation`: then a task that takes longer than the others is run a second time, on another executor.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.spark import CLUSTER, started
from tests.support.spark_plans import SECRET, settings_to

_SPECULATION = {
    "spark.speculation": "true",
    "spark.speculation.interval": "100ms",
    "spark.speculation.multiplier": "1.1",
    "spark.speculation.quantile": "0.5",
}


def main(folder: Path, url: str, events: str) -> None:
    """Send, with two tasks at a time."""
    master, settings = "local[2]", {"spark.eventLog.enabled": "true", "spark.eventLog.dir": events}
    if events == "speculation":
        master, settings = CLUSTER, _SPECULATION
    with started(folder / "driver", master, settings) as spark:
        from km_cli.spark.job import run_job
        from km_cli.spark.place import Place

        place = Place(str(folder / "receipts"), SECRET)
        run_job(spark, (), settings_to(url, folder), place).check()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
