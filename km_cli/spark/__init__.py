"""The same import on Apache Spark: rows are planned in tasks, and a folder of receipts stands for the ledger.

    plan_writing ─► planning ─► plan, rejects ─► receipts (planned) ─► sender ─► source ─► sending ─► receipts (done)

`job` runs a job as a whole. `planning` and what it uses make the plan, `counting` adds up what a plan means.
`source` is the data source `kissmetrics`; `sending` is what its tasks do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from km_cli.spark.job import JobResult, import_events
    from km_cli.spark.source import register

__all__ = ["JobResult", "import_events", "register"]


def __getattr__(name: str) -> Any:
    """Return a part of the interface. It is imported when it is asked for: some modules here need no Spark."""
    if name == "register":
        from km_cli.spark.source import register

        return register
    if name in __all__:
        from km_cli.spark import job

        return getattr(job, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
