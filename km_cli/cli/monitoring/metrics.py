"""`--metrics`: the result of the last run, for Prometheus by way of node-exporter's textfile collector.

The collector reads the files of its folder that end in `.prom`, at any time and as the user of node-exporter.
So a file must be complete and readable by all at every moment. Labels are words of the program, never of a
log; the only exception is a finding `no-NAME`, which has the name of a persona in km.toml.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from km_cli.cli.terminal.show import mention
from km_cli.errors import UsageError
from km_cli.install_hint import install_command

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_PREFIX = "km_cli_backfill"
_LAST_SUCCESS = f"{_PREFIX}_last_success_timestamp_seconds"
_MODE = 0o644


class Measured(NamedTuple):
    """The result of a run. `started` is in seconds since 1970; the mappings hold counts.

    `pending` is None if the ledger was not opened.
    """

    exit_code: int
    started: float
    seconds: float
    rows: Mapping[str, int]
    calls: Mapping[str, int]
    findings: Mapping[str, int]
    files: Mapping[str, int]
    pending: int | None

    @property
    def ended(self) -> float:
        """Seconds since 1970."""
        return self.started + self.seconds


def check_metrics(path: Path) -> None:
    """Raise UsageError if the file cannot be written. This is checked before anything is sent."""
    if path.suffix != ".prom":
        raise UsageError(
            f"--metrics {path} does not end in .prom: node-exporter would not read it",
            f"call it {path.stem or 'km-cli'}.prom",
        )
    try:
        import prometheus_client  # noqa: F401 - only to see whether it is installed
    except ImportError:
        raise UsageError("--metrics needs prometheus-client", install_command("metrics")) from None
    _check_folder(path, path.absolute().parent)


def _check_folder(path: Path, folder: Path) -> None:
    if not os.path.isdir(folder):
        raise UsageError(f"--metrics {path}: there is no folder {folder}", "create it, or use another file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(
            f"--metrics {path}: this user may not write to {folder}", "allow it, or use another file"
        )
    if os.path.exists(path) and not os.path.isfile(path):
        raise UsageError(f"--metrics {path} is not a regular file", "use another file")


def write_metrics(path: Path, measured: Measured) -> bool:
    """Write the metrics of a run; return whether that worked.

    If this run failed, the time of the last success is taken from the existing file. If writing fails, there
    is a complaint on standard error, and the file stays as it was.
    """
    try:
        _write(path, _registry(measured, _last_success(path, measured)))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        mention(
            f"--metrics {path}: {reason}", "this does not affect what was sent; the next run writes it again"
        )
        return False
    return True


def _write(path: Path, registry: CollectorRegistry) -> None:
    """Write another file and rename it once it is complete, on disk and readable by all.

    The library renames as well, but its file has the mode that the umask leaves. Under a umask of 077
    node-exporter could not read it. So the library only writes the other file. Neither of the temporary
    names ends in `.prom`.
    """
    from prometheus_client import write_to_textfile

    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_to_textfile(str(aside), registry)
        aside.chmod(_MODE)
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _registry(measured: Measured, last_success: float | None) -> CollectorRegistry:
    """Return the metrics in a registry of their own: the library's global one has metrics of the process."""
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    _gauge(registry, "last_run_timestamp_seconds", "When the last run ended.", measured.ended)
    if last_success is not None:
        _gauge(registry, "last_success_timestamp_seconds", "When a run last ended with 0.", last_success)
    _gauge(registry, "duration_seconds", "How long the last run took.", measured.seconds)
    _gauge(registry, "exit_code", "The exit code of the last run; 0 is success.", measured.exit_code)
    if measured.pending is not None:
        meaning = "Calls that are planned and not acknowledged yet."
        _gauge(registry, "pending_calls", meaning, measured.pending)
    _gauges(registry, "rows", "Rows of the last run; read is the sum.", "outcome", measured.rows)
    _gauges(registry, "calls", "Calls of the last run.", "outcome", measured.calls)
    _gauges(
        registry,
        "findings",
        "Findings: what Kissmetrics would merge, change or drop.",
        "code",
        measured.findings,
    )
    _gauges(registry, "files", "Files that the last run looked at.", "state", measured.files)
    return registry


def _gauge(registry: CollectorRegistry, name: str, meaning: str, value: float) -> None:
    from prometheus_client import Gauge

    Gauge(f"{_PREFIX}_{name}", meaning, registry=registry).set(value)


def _gauges(
    registry: CollectorRegistry, name: str, meaning: str, label: str, values: Mapping[str, int]
) -> None:
    from prometheus_client import Gauge

    gauge = Gauge(f"{_PREFIX}_{name}", meaning, [label], registry=registry)
    for word, value in values.items():
        gauge.labels(word).set(value)


def _last_success(path: Path, measured: Measured) -> float | None:
    """Return the time of the last success: of this run, else of the file; None if there is none."""
    if measured.exit_code == 0:
        return measured.ended
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        return _parsed(text)
    except (OSError, ValueError):
        return None


def _parsed(text: str) -> float | None:
    """Return the value in the text of a file. The parser gets its lines only, as others may be damaged."""
    from prometheus_client.parser import text_string_to_metric_families

    lines = [line for line in text.split("\n") if line.startswith(_LAST_SUCCESS)]
    for family in text_string_to_metric_families("\n".join(lines)):
        for sample in family.samples:
            if sample.name == _LAST_SUCCESS and not sample.labels and math.isfinite(sample.value):
                return float(sample.value)
    return None
