"""Imports a log into Kissmetrics on Apache Spark, as a job of yours would do it.

    python samples/spark/import_events.py TO RECEIPTS SECRET_FILE [MASTER]

TO is the destination, such as `kissmetrics` or the address of `km-cli serve`. The API key is read from the
environment variable KM_API_KEY, on every machine of the cluster. MASTER is `local-cluster[2,1,1024]` if it
is not given: two executors on this machine. On Databricks and EMR the session is there already; take
`spark`, and leave `main` out.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from km_cli.cli.spark_settings import settings_of
from km_cli.config.secret import read_secret
from km_cli.spark import import_events

LOG = Path(__file__).parent.parent / "teams.csv"


def send(spark: SparkSession, events: DataFrame, to: str, receipts: str, secret: bytes) -> None:
    """Send what has not been sent yet. For a stream: `stream.writeStream.foreachBatch(...)` with this."""
    settings = settings_of(
        "--to", to, "--user", "user", "--account", "account", "--exclude-property", "contact"
    )
    result = import_events(
        spark, events, settings, receipts=receipts, secret=secret, order_by=["timestamp", "user"]
    )
    rows, calls = result.tally.rows, result.tally.calls
    print(f"rows: {rows.sent} sent, {rows.skipped} skipped, {rows.rejected} rejected")
    print(f"calls: {calls.acknowledged} acknowledged, {calls.pending} pending")


def main(to: str, receipts: str, secret_file: str, master: str = "local-cluster[2,1,1024]") -> None:
    """Start Spark on this machine, read a log as a table of texts, and send it."""
    few = ("spark.sql.shuffle.partitions", "4")  # a log of five rows needs no more
    spark = SparkSession.builder.master(master).appName("km-cli sample").config(*few).getOrCreate()
    events = spark.read.csv(str(LOG), header=True)
    send(spark, events, to, receipts, read_secret(Path(secret_file)))
    spark.stop()


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit("usage: import_events.py TO RECEIPTS SECRET_FILE [MASTER]")
    main(*sys.argv[1:])
