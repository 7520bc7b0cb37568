"""A driver of its own: sends what a receipts folder has left, in a process that a test can kill.

Its arguments are the folder of the test, the URL of the tracker, and the folder for Spark's event log.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.spark import started
from tests.support.spark_plans import SECRET, settings_to


def main(folder: Path, url: str, events: Path) -> None:
    """Send on one machine, with two tasks."""
    logged = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": str(events)}
    with started(folder / "driver", "local[2]", logged) as spark:
        from km_cli.spark.job import run_job
        from km_cli.spark.place import Place

        run_job(spark, (), settings_to(url, folder), Place(str(folder / "receipts"), SECRET))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
