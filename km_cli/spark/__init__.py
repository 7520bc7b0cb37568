"""The same import on Apache Spark. `km_cli.spark.import_events` sends the events of a DataFrame.

pyspark is imported when it is asked for: the commands that only read or write receipts need no Spark.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Return `import_events`, or `register`, which makes the format `kissmetrics` known to a session."""
    if name == "import_events":
        from km_cli.spark.job import import_events

        return import_events
    if name == "register":
        from km_cli.spark.source import register

        return register
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
