"""The heavy half of `spark`: start Spark, run the job, and print its result."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from km_cli.cli.conclusion import undelivered, warn_of_exposed_keys
from km_cli.cli.context import environment_of, prints_summary
from km_cli.cli.settings import make_settings
from km_cli.cli.terminal import report
from km_cli.cli.terminal.findings import print_losses
from km_cli.cli.terminal.observer import RunObserver
from km_cli.cli.terminal.problem import complain_of
from km_cli.cli.terminal.show import complain, counted
from km_cli.config.files import expanded
from km_cli.config.secret import FEWEST_BYTES, read_secret
from km_cli.config.settings import Settings
from km_cli.durable import make_folder
from km_cli.errors import Exit, UsageError
from km_cli.inputs import expand
from km_cli.install_hint import install_command
from km_cli.run import interrupts
from km_cli.run.interrupts import Caught
from km_cli.run.rehearsal import check_strictly
from km_cli.run.stopping import Stop, Stopped
from km_cli.spark.delivery import tracker_of
from km_cli.spark.files import is_local, local_path
from km_cli.spark.inputs import NO_LIMIT, NO_LIMIT_HINT, NO_STDIN, NO_STDIN_HINT, check_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from km_cli.spark.job import JobResult
    from km_cli.spark.place import Place
    from km_cli.spark.planning import Source

_TABLE = "table:"
_PARTITIONS = "spark.sql.shuffle.partitions"


def run_spark_import(context: click.Context) -> int:
    """Import on Spark, print a report and return the exit code."""
    settings = spark_settings(context)
    settings.keys()  # a missing key is reported before Spark starts
    warn_of_exposed_keys(settings)
    place, stop = _place(context), Stop()
    _check_installed()
    from km_cli.spark.job import run_job

    with _started(context) as spark, interrupts.catching_signals(stop) as caught:
        sources = _sources(context, spark)
        if _is_one_machine(spark) and is_local(place.path):
            make_folder(local_path(place.path))  # it holds rows in clear
        result = run_job(
            spark,
            sources,
            settings,
            place,
            stop,
            environment_of(context).clock,
            is_strict=context.params["strict"],
        )
    _report(context, settings, result)
    return _conclude(context, result, caught)


def run_spark_dry_run(context: click.Context) -> int:
    """Show what an import on Spark would send; the exit code is 65 if rows would be rejected."""
    settings, place, stop = spark_settings(context), _place(context), Stop()
    _check_installed()
    from km_cli.spark.job import check_rejects, rehearse_job

    with _started(context) as spark, interrupts.catching_signals(stop) as caught:
        try:
            found = rehearse_job(
                spark, _sources(context, spark), settings, place, stop, environment_of(context).clock
            )
        except Stopped:
            complain("interrupted; nothing was sent", "run the same command again")
            return 128 + caught.signal
    tally = found.tally
    if context.params["as_json"]:
        report.print_json(tally, found.seconds, forecast=found.forecast)
        print_losses(tally)
    elif context.params["quiet"]:
        print_losses(tally)
        report.print_rejects_to_come(tally)
    else:
        observer = _observer(settings)
        observer.pending = {"": found.pending}
        report.print_dry_run(settings, tally, observer, found.forecast, all_places=context.params["verbose"])
    check_rejects(settings, tally, found.read)
    if context.params["strict"]:
        check_strictly(tally)
    return Exit.REJECTED if tally.rows.rejected else Exit.OK


def spark_settings(context: click.Context) -> Settings:
    """Return the settings of a job on Spark: those of an import with the same flags.

    All that can be refused without Spark is refused here, since Spark takes long to start. Raises UsageError.
    """
    settings = make_settings(_as_import(context))
    tracker_of(settings.target.spelled or settings.target.place)
    check_settings(settings)
    if "-" in context.params["files"]:
        raise UsageError(NO_STDIN, NO_STDIN_HINT)
    tables = [text for text in context.params["files"] if text.startswith(_TABLE)]
    if tables and settings.limit is not None:
        raise UsageError(NO_LIMIT, NO_LIMIT_HINT)
    if context.params["order_columns"] and not tables:
        raise UsageError(
            "--order-by is for tables: the rows of a file have an order", "leave it out, or name table:NAME"
        )
    if tables and not context.params["order_columns"]:
        raise UsageError(
            f"{tables[0]} needs --order-by: the rows of a table have no order, and seconds are chosen in it",
            "name the columns that order its rows, the time first: --order-by time --order-by id",
        )
    return settings


def _as_import(context: click.Context) -> click.Context:
    """Return the context of `import` with the values of this command; its own options have their defaults."""
    from km_cli.cli.import_ import command

    made = click.Context(command, info_name=context.command_path, obj=environment_of(context))
    made.meta.update(context.meta)
    for param in command.params:
        name = param.name or ""
        if name in context.params:
            made.params[name] = context.params[name]
            if (source := context.get_parameter_source(name)) is not None:
                made.set_parameter_source(name, source)
        else:
            default = param.get_default(made)
            # Newer versions of click have a value of their own, a member of an enumeration, for no default.
            made.params[name] = param.type_cast_value(made, None if isinstance(default, Enum) else default)
    made.params["files"] = tuple(file for file in context.params["files"] if not file.startswith(_TABLE))
    made.params["concurrency"] = context.params["in_flight"]
    return made


def _sources(context: click.Context, spark: SparkSession) -> list[Source]:
    """Return the sources in the order of the arguments. Raises UsageError."""
    from km_cli.spark.frames import FrameSource
    from km_cli.spark.planning import FileSource

    found: list[Source] = []
    order = tuple(context.params["order_columns"])
    for text in context.params["files"]:
        if text.startswith(_TABLE):
            name = text.removeprefix(_TABLE)
            found.append(FrameSource(_table(spark, name), order, name))
        else:
            found += map(FileSource, expand((text,)))
    return found


def _table(spark: SparkSession, name: str) -> Any:
    from pyspark.errors import AnalysisException

    try:
        return spark.table(name)
    except AnalysisException as error:
        raise UsageError(
            f"Spark has no table {name!r}: {str(error).partition(' SQLSTATE')[0].splitlines()[0]}",
            "name it as Spark's catalogue does: table:CATALOGUE.SCHEMA.NAME",
        ) from None


def _place(context: click.Context) -> Place:
    """Return the receipts folder. A dry run before the first job needs no secret."""
    from km_cli.spark.place import Place

    path, file = context.params["receipts"], context.params["secret_file"]
    takes_lease = context.params.get("break_lease", False)
    if file:
        return Place(path, read_secret(expanded(file, "--secret-file")), takes_lease)
    if context.command.name == "dry-run":
        return Place(path, secrets.token_bytes(FEWEST_BYTES), takes_lease)
    raise UsageError(
        "--secret-file is missing: the receipts hold digests of people, which could be guessed without it",
        f"make one, and keep it: (umask 077; head -c {FEWEST_BYTES} /dev/urandom > km-cli.secret); then "
        "--secret-file km-cli.secret",
    )


def _check_installed() -> None:
    """Raise UsageError if Spark or a library of its tasks is missing, or Java."""
    missing = [name for name in ("pyspark", "pyarrow", "pandas") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"km-cli spark needs {' and '.join(missing)}, which is not installed",
            f"install it with: {install_command('spark')}",
        )


@contextmanager
def _started(context: click.Context) -> Iterator[SparkSession]:
    """Start Spark, or take the session that spark-submit has prepared, and stop it at the end.

    Spark has a handler of its own for SIGINT, which would end the job in the middle of a call. The command
    sets its own while the job runs.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("km-cli").config("spark.ui.showConsoleProgress", "false")
    if master := context.params["master"]:
        builder = builder.master(master)
    before = signal.getsignal(signal.SIGINT)
    try:
        spark = builder.config("spark.log.level", "ERROR").getOrCreate()
    except (PySparkRuntimeError, Py4JError, RuntimeError) as error:
        raise UsageError(
            f"Spark does not start: {str(error).partition(chr(10))[0]}",
            "Spark 4 needs Java 17 or later (JAVA_HOME); check --master as well",
        ) from None
    signal.signal(signal.SIGINT, before)
    if _is_one_machine(spark):
        _fit_one_machine(spark)
    try:
        yield spark
    finally:
        spark.stop()


def _is_one_machine(spark: SparkSession) -> bool:
    """Tell whether all tasks run on this machine, as this user."""
    return (spark.sparkContext.master or "").startswith("local")


def _fit_one_machine(spark: SparkSession) -> None:
    """Shuffle into few partitions, unless the user has said into how many: Spark's 200 are for a cluster."""
    if not spark.sparkContext.getConf().contains(_PARTITIONS):
        spark.conf.set(_PARTITIONS, str(max(2, spark.sparkContext.defaultParallelism)))


def _observer(settings: Settings) -> RunObserver:
    """Return an observer that has seen nothing: the rows are read on other machines."""
    return RunObserver(settings, 0)


def _report(context: click.Context, settings: Settings, result: JobResult) -> None:
    tally, flags = result.tally, context.params
    if flags["as_json"]:
        report.print_json(tally, result.seconds, more={"job": result.job} if result.job else None)
    if prints_summary(context):
        observer = _observer(settings)
        report.print_summary(settings, tally, observer, result.seconds, None, all_places=flags["verbose"])
    else:
        print_losses(tally)


def _conclude(context: click.Context, result: JobResult, caught: Caught) -> int:
    """Print the complaints, the most urgent last, and return the exit code."""
    tally, receipts = result.tally, context.params["receipts"].rstrip("/")
    rejected = sum(tally.reasons.values())
    if rejected:
        complain(
            f"{counted(rejected, 'row')} rejected ({report.reasons(tally)}), in tables below {receipts}/jobs",
            "look at them in Spark: spark.read.parquet(path) of the folders rejects and refused",
        )
    if result.error is not None:
        complain_of(result.error)
    if (pending := undelivered(tally, result.error)) is not None:
        complain_of(pending)
    if caught.signal:
        complain(
            "interrupted; the receipts have all acknowledgements", "run the same command again to continue"
        )
        return 128 + caught.signal
    if result.error is not None:
        return result.error.exit
    if tally.calls.pending:
        return Exit.TEMPORARY
    return Exit.REJECTED if rejected else Exit.OK
