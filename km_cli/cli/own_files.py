"""The files that are km-cli's own: those that configure a run, and those that it writes.

They must be different files, and none of them may be read as a log.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import click

from km_cli.cli.context import KmTomlFile, environment_of, km_toml_of
from km_cli.config.files import expanded
from km_cli.config.settings import Settings
from km_cli.destinations import Target
from km_cli.errors import UsageError
from km_cli.inputs.messages import path_text
from km_cli.rejects.table_file import beside, check_places, is_table
from km_cli.run.backfill import Own

_OTHER_PATH = "give another path: --rejects PATH"
_SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")


def own_files(context: click.Context, settings: Settings, monitoring: Sequence[Path] = ()) -> Own:
    """Return km-cli's own files, each with a description, so that a backfill reads none of them as a log.

    `monitoring` are the files of --log and --metrics.
    """
    earlier = settings.ledger.parent.glob("rejects-*.jsonl")
    return [
        *configuration_and_ledger(context, settings),
        *((path, "the rejects file") for path in _rejects_files(settings)),
        *((path, "the rejects file of an earlier run") for path in earlier),
        *((path, "the file of --log or --metrics") for path in monitoring),
        *((path, "a bulk file that km-cli wrote") for path in _bulk_files(settings)),
    ]


def _bulk_files(settings: Settings) -> Iterator[Path]:
    """Yield the bulk files of earlier runs: their calls must not come back as those of a log."""
    if (series := settings.target.bulk()) is not None:
        yield from series.beside(settings.ledger).files()


def configuration_and_ledger(context: click.Context, settings: Settings) -> Iterator[tuple[Path, str]]:
    """Yield the files that configure a run, and those of the ledger, each with a description."""
    ledger, km_toml = settings.ledger, km_toml_of(context)
    for ending in ("", "-wal", "-shm", "-journal", ".lock"):
        yield ledger.with_name(ledger.name + ending), "the ledger, or a file that belongs to it"
    if km_toml.path:
        yield km_toml.path, "km.toml"
    for path in key_files(km_toml):
        yield path, "a key file"
    if "file" in km_toml.config.members:
        members = expanded(km_toml.config.members["file"], "km.toml, members.file:")
        yield km_toml.folder / members, "the members' file"


def key_files(km_toml: KmTomlFile) -> Iterator[Path]:
    """Yield the files that hold API keys, and that of `hash`. Raises UsageError for a path that cannot be."""
    if isinstance(key_file := km_toml.config.columns.hash_key_file, str):
        yield km_toml.folder / expanded(key_file, "km.toml, columns.hash_key_file:")
    for table in km_toml.config.sites.values():
        if table.key_file:
            yield km_toml.folder / expanded(table.key_file, "km.toml, key_file:")
    if km_toml.config.query.key_file:
        yield km_toml.folder / expanded(km_toml.config.query.key_file, "km.toml, query.key_file:")


def check_no_key(context: click.Context, path: Path, label: str) -> None:
    """Raise UsageError if a file that is to be read is a key file: an error about it would show the key.

    `label` begins the message.
    """
    if any(_is_same_file(path, key_file) for key_file in key_files(km_toml_of(context))):
        raise _is_key_file(label)


def _is_key_file(label: str) -> UsageError:
    return UsageError(
        f"{label} is a key file: it holds a secret, and km-cli never reads that as data",
        "name the file that you mean",
    )


def _is_open_file(stream: TextIO, path: Path) -> bool:
    """Tell whether a stream reads this file."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), os.stat(path))
    except (OSError, ValueError):
        return False


def check_inputs(context: click.Context, settings: Settings) -> None:
    """Raise UsageError if an input is a key file, also one that standard input comes from."""
    written, series = set(_bulk_files(settings)), settings.target.bulk()
    for name in settings.files:
        if name != "-":
            check_no_key(context, Path(name), path_text(name))
            if Path(name).absolute() in written or (series is not None and series.has_object(name)):
                raise UsageError(
                    f"{path_text(name)} is a bulk file that an import with this --to has written",
                    "name the log that you mean, or another file with --to",
                )
        elif any(_is_open_file(environment_of(context).stdin, one) for one in key_files(km_toml_of(context))):
            raise _is_key_file("standard input")


def check_rejects_file(context: click.Context, settings: Settings) -> None:
    """Raise UsageError if the rejects file is another file of the run, or cannot be written.

    This is checked before the run: when the first row is rejected, other rows have been sent.
    """
    if (path := settings.rejects).suffix.lower() in _SPREADSHEETS:
        raise UsageError(
            f"--rejects {path}: km-cli writes no {path.suffix} files",
            f"a spreadsheet opens a table of CSV: --rejects {shlex.quote(str(path.with_suffix('.csv')))}",
        )
    for rejects in _rejects_files(settings):
        for name in settings.files:
            if name != "-" and _is_same_file(rejects, Path(name)):
                raise UsageError(f"{name} would be both an input and the rejects file", _OTHER_PATH)
        for path, what in configuration_and_ledger(context, settings):
            if _is_same_file(rejects, path):
                raise UsageError(f"--rejects {rejects} is {what}", _OTHER_PATH)
    check_places(settings.rejects, is_asked=bool(context.params.get("rejects")))


def _rejects_files(settings: Settings) -> tuple[Path, ...]:
    """Return the files that rejects are written to: a table has a file of JSON lines beside it."""
    path = settings.rejects
    return (path, beside(path)) if is_table(path) else (path,)


def check_store(to: str, target: Target) -> None:
    """Raise UsageError if --to names a store in a folder that is absent: the path may be mistyped."""
    folder = target.own_ledger.absolute().parent if target.own_ledger else None
    if folder is None or not to.partition(":")[2] or folder.is_dir():
        return
    if os.path.lexists(folder):
        raise UsageError(f"--to {to}: {folder} is not a folder", "give the path of a file in a folder")
    raise UsageError(
        f"--to {to}: there is no folder {folder}",
        f"correct the path, or make the folder first: mkdir -p {shlex.quote(str(folder))}",
    )


def check_output(context: click.Context, settings: Settings, path: Path, option: str) -> None:
    """Raise UsageError if an output file is an input or one of km-cli's own files, or cannot be written."""
    other = f"give another path: {option} PATH"
    for name in settings.files:
        if name != "-" and _is_same_file(path, Path(name)):
            raise UsageError(f"{name} would be both an input and the file of {option}", other)
    for own, what in configuration_and_ledger(context, settings):
        if _is_same_file(path, own):
            raise UsageError(f"{option} {path} is {what}", other)
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UsageError(
            f"{option} {path}: there is no folder {folder}",
            f"correct the path, or make the folder first: mkdir -p {shlex.quote(str(folder))}",
        )
    if path.is_dir() or not os.access(folder, os.W_OK):
        problem = "it is a folder" if path.is_dir() else f"the folder {folder} cannot be written"
        raise UsageError(f"{option} {path}: {problem}", other)


def check_monitoring_files(settings: Settings, monitoring: Sequence[Path]) -> None:
    """Raise UsageError if --log or --metrics would write into the rejects file."""
    rejects = set(map(os.path.realpath, _rejects_files(settings)))
    for path in monitoring:
        if os.path.realpath(path) in rejects:
            raise UsageError(f"{path} is the rejects file too", "give one of them another path")


def _is_same_file(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to the same file, which need not exist yet."""
    try:
        return one.resolve() == other.resolve() or one.samefile(other)
    except (OSError, RuntimeError):
        return False
