"""Sends what is new every night, from Airflow.

Make the pool `kissmetrics` with one slot, and pin the task to a worker (`queue`) whose disk keeps the state
folder: km-cli runs alone on its ledger. Secrets come from the worker's environment.
"""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta

from airflow.decorators import dag, task
from airflow.exceptions import AirflowException, AirflowFailException

COMMAND = ["km-cli", "backfill", "--config", "km.toml", "--max-time", "3000"]

RETRY = {
    69: "the destination is unavailable",
    74: "reading or writing failed midway",
    75: "calls are pending, or another run is at work",
    129: "hung up",
    130: "interrupted",
    143: "terminated",
}
"""Another run goes on where this one stopped."""

FAIL = {
    2: "the command, km.toml or a log is wrong",
    65: "rows were rejected: they are in the rejects file",
    70: "a bug in km-cli",
    73: "the ledger cannot be used",
}
"""A person is needed. After 65 a second run would find nothing new and succeed, and hide the rejects."""


@dag(
    schedule="17 3 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
)
def kissmetrics_backfill() -> None:
    """One task a night."""

    @task(
        pool="kissmetrics",
        queue="kissmetrics",
        retries=5,
        retry_delay=timedelta(minutes=5),
        retry_exponential_backoff=True,
        execution_timeout=timedelta(hours=1),
    )
    def send() -> None:
        """Run the backfill; its output is the log of the task."""
        code = subprocess.run(COMMAND, check=False).returncode
        code = 128 - code if code < 0 else code  # killed by a signal
        if code in FAIL:
            raise AirflowFailException(f"exit {code}: {FAIL[code]}")
        if code:
            raise AirflowException(f"exit {code}: {RETRY.get(code, 'unknown')}")

    send()


kissmetrics_backfill()
