"""`km-cli spark`: the same import on Apache Spark. Its heavy half is `run_spark.py`."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options
from km_cli.cli.sections import Command, Group, option, section

_TITLE = "Spark"

_where = section(
    _TITLE,
    option(
        "--receipts",
        metavar="PATH",
        required=True,
        help="The folder that remembers every call that was sent: any path that Spark can write to.",
    ),
    option(
        "--secret-file",
        metavar="PATH",
        shell_complete=options.paths,
        help="The digests in the receipts are made under the content of this file: 32 bytes or more, which "
        "only its owner can read.",
    ),
    option(
        "--master",
        metavar="URL",
        default="",
        help="The cluster, as spark-submit has it. Default: the one of spark-submit, else local[*].",
    ),
    option(
        "--order-by",
        "order_columns",  # the flag of the same name of `import` is for queries
        metavar="COLUMN",
        multiple=True,
        help="The column that gives the rows of a table their order (repeatable). Files have an order.",
    ),
)
_lease = section(
    _TITLE,
    option(
        "--break-lease",
        is_flag=True,
        help="Take the receipts folder from a job that has died. Never use it while another job runs.",
    ),
)


@click.group("spark", cls=Group, short_help="Import logs on Apache Spark, on many machines.")
def command() -> None:
    """Import logs on Apache Spark, on many machines.

    The rows become the same calls as on one machine, byte for byte. A folder of receipts stands in for the
    ledger. km-cli and pyspark have to be installed on all machines of the cluster.
    """


@command.command("import", cls=Command, short_help="Send the events of logs that have not been sent yet.")
@options.sources
@options.source
@options.columns
@options.times
@options.spark_selection
@options.spark_delivery
@_where
@_lease
@options.config
@options.overlaps
@options.as_json
@options.output
@click.pass_context
def import_(context: click.Context, /, **_flags: Any) -> int:
    """Send the events of SOURCE that have not been sent yet.

    SOURCE is a file as for km-cli import, which all machines can read, or table:NAME, a table of Spark's
    catalogue with --order-by. First all rows are planned, and the plan is written into the folder of
    receipts. Then its calls are sent. You can run the same command again at any time: it first sends what is
    left of an earlier plan, and sends nothing twice. It asks nothing.

    \b
    Examples:
      km-cli spark import events.csv --receipts /data/receipts --secret-file ~/.km-cli-secret
      km-cli spark import s3://lake/2026-11.parquet --receipts s3a://lake/receipts --secret-file secret
      km-cli spark import table:lake.events --order-by time --order-by id --receipts /data/receipts
    """
    from km_cli.cli.run_spark import run_spark_import

    return run_spark_import(context)


@command.command("dry-run", cls=Command, short_help="Show what spark import would send. Sends nothing.")
@options.sources
@options.source
@options.columns
@options.times
@options.spark_selection
@options.spark_delivery
@_where
@options.config
@options.overlaps
@options.as_json
@options.output
@click.pass_context
def dry_run(context: click.Context, /, **_flags: Any) -> int:
    """Show what spark import would send. Sends nothing, writes nothing.

    It needs no key, and reads the folder of receipts that spark import would use. So it leaves out calls that
    were sent before, and moves calls that Kissmetrics would merge to different seconds, exactly as spark
    import would.

    \b
    Examples:
      km-cli spark dry-run events.csv --receipts /data/receipts --secret-file ~/.km-cli-secret
    """
    from km_cli.cli.run_spark import run_spark_dry_run

    return run_spark_dry_run(context)
