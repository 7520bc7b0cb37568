"""The heavy half of `init`: read a log twice, write km.toml, and print the column of each role."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

import km_cli.run.registered  # noqa: F401 - rejects are an input format, too
from km_cli.cli.context import environment_of
from km_cli.cli.init_export import recognised_export
from km_cli.cli.init_logs import Logs
from km_cli.cli.terminal.show import say
from km_cli.config.files import expanded
from km_cli.errors import Exit, UsageError
from km_cli.exports import ExportTable
from km_cli.inference import (
    Guess,
    Inferred,
    PersonaFound,
    backfill_text,
    busiest,
    counted,
    infer,
    listed,
    questions,
    quoted,
    toml_text,
)
from km_cli.inputs import make_format_options
from km_cli.inputs.messages import shell_command

_STDOUT = "-"
_ROLE_WIDTH = 11
_MILLER_DELIMITERS = {"\t": "tab", "|": "pipe", ";": "semicolon"}
"""The names that Miller, the program of the suggested commands, has for delimiters."""


def run_init(context: click.Context) -> int:
    """Look at the log, write km.toml and print a report."""
    flags = context.params
    output = flags["output"]
    target = None if output == _STDOUT else expanded(output, "--output")
    if target is not None:
        _check_free(target)
    options = make_format_options(flags["format"] or "", flags["encoding"], flags["delimiter"])
    logs = Logs(flags["files"], options)
    files = logs.entries_from(target.parent if target else Path())
    if export := recognised_export(logs.sources, flags["export"] or ""):
        table, text = export
        _put(target, text + (backfill_text(logs.name, files) if files else ""))
        _Report(to_stderr=target is None).print_export(table, logs.name, _dry_run(context), target)
        return Exit.OK
    found = infer(logs.rows, logs.columns, tabular=logs.tabular, now=environment_of(context).clock.now())
    if not found.rows:
        raise logs.without_rows()
    found = found._replace(is_all=found.is_all and not logs.is_cut)
    _put(target, toml_text(found, logs.name, files))
    report = _Report(to_stderr=target is None)
    report.print_roles(found, logs)
    report.print_next(found, logs, _dry_run(context), target)
    return Exit.OK


def _check_free(target: Path) -> None:
    if os.path.lexists(target):
        raise UsageError(
            f"{target} exists already and is not overwritten",
            "write to another file with --output PATH, or to standard output with --output -",
        )


def _put(target: Path | None, text: str) -> None:
    """Write km.toml to its file, or to standard output if there is none."""
    if target is None:
        click.echo(text, nl=False)
    else:
        _write(target, text)


def _write(target: Path, text: str) -> None:
    """Write the whole file or nothing, and never over a file that was created in the meantime."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        try:
            with temporary.open("x", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            _check_free(target)
            temporary.rename(target)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
    except OSError as error:
        raise UsageError(
            f"{target} cannot be written: {error.strerror}", "write to another file with --output PATH"
        ) from None


def _dry_run(context: click.Context) -> list[str]:
    """Return the command that tries km.toml on the log, with the format options that init was given."""
    flags = context.params
    given = [name for name in ("format", "delimiter", "encoding") if flags[name]]
    format_options = [word for name in given for word in (f"--{name}", flags[name])]
    return ["km-cli", "dry-run", *flags["files"], *format_options]


class _Report:
    """Prints the column of each role and the reason; on standard error if km.toml goes to standard output."""

    def __init__(self, *, to_stderr: bool) -> None:
        self._to_stderr = to_stderr

    def _print(self, text: str) -> None:
        """Print a line whose paths and commands can be copied."""
        say(text, to_stderr=self._to_stderr, whole=True)

    def _print_role(self, role: str, text: str) -> None:
        say(f"  {role:<{_ROLE_WIDTH}}{text}", to_stderr=self._to_stderr, hang=_ROLE_WIDTH + 2)

    def print_roles(self, found: Inferred, logs: Logs) -> None:
        """Print the column of each role, and what is left out."""
        looked = f"{'all' if found.is_all else 'the first'} {counted(found.rows, 'row')}"
        self._print(f"{logs.name}: looked at {looked}")
        if logs.bad:
            self._print_role("unreadable", f"{counted(logs.bad, 'record')}; {logs.first_bad}")
        self._print_role("event", _describe(found.event))
        self._print_role("time", _describe(found.timestamp, found.clock.form))
        if found.id.column:
            self._print_role("id", _describe(found.id))
        for persona in found.personas:
            self._print_role(persona.name, _describe(persona.guess, *_details(persona)))
            if busy := busiest(persona):
                names = listed(event.name for event in busy)
                self._print_role(
                    "",
                    f"one {persona.name} does these over 1,000 times, and the last 1,000 are kept (D7): "
                    f"{names}",
                )
        if found.swapped:
            user, account = (persona.guess.column for persona in found.personas[:2])
            flags = shlex.join(["--user", account, "--account", user])
            self._print_role("swapped?", f"there are fewer users than accounts; if so: {flags}")
        if found.expands:
            self._print_role(
                "properties", f"the members of {quoted(found.expands)}: {listed(found.properties)}"
            )
        elif found.properties:
            self._print_role("properties", listed(found.properties))
        for name, why in found.excluded:
            self._print_role("left out", f"{quoted(name)}: {why}")

    def print_export(self, table: ExportTable, log: str, command: list[str], target: Path | None) -> None:
        """Print that a log is an export of a tool, and what to do next."""
        self._print(f"{log}: an export of {table.title}; its columns are those that {table.source} documents")
        self._print_command(command, target, "check it" if target is None else f"check {target}")

    def _print_command(self, command: list[str], target: Path | None, first: str) -> None:
        command = self._print_written(command, target)
        if target is None:
            first = f"save it as km.toml, {first}"
        self._print(f"next: {first}, then {shlex.join(command)}")

    def _print_written(self, command: list[str], target: Path | None) -> list[str]:
        """Print which file was written, if any. Return the command that uses it."""
        if target is None:
            return command
        self._print(f"\nwrote {target}")
        return command if target == Path("km.toml") else [*command, "--config", str(target)]

    def print_next(self, found: Inferred, logs: Logs, command: list[str], target: Path | None) -> None:
        """Print the questions that km.toml has, if any, and what to do next."""
        command = self._print_written(command, target)
        asked = questions(found)
        for question in asked:
            self._print(f"question: {question}")
        if found.timestamp.clock:
            self._print(f"  for example: {_joined(found.timestamp, logs)}, then km-cli init with the output")
        if target is None:
            first = f"save it as km.toml, {'answer its questions' if asked else 'check it'}"
        else:
            first = f"answer the questions in {target}" if asked else f"check {target}"
        self._print(f"next: {first}, then {shlex.join(command)}")


def _joined(guess: Guess, logs: Logs) -> str:
    """Return a command that joins the columns of the day and the time of day into one."""
    if logs.tabular:
        apart = "" if logs.delimiter == "," else f" --fs {_MILLER_DELIMITERS[logs.delimiter]}"
        join = f'${{timestamp}} = ${{{guess.column}}} . " " . ${{{guess.clock}}}'
        return shell_command(logs.files[0].name, f"mlr --csv{apart} put {shlex.quote(join)}")
    day, clock = (
        "." + "".join(f"[{quoted(key)}]" for key in name.split(".")) for name in (guess.column, guess.clock)
    )
    join = f'.timestamp = {day} + " " + {clock}'
    return shell_command(logs.files[0].name, f"jq -c {shlex.quote(join)}")


def _describe(guess: Guess, *more: str) -> str:
    if not guess.column:
        return "not found"
    if guess.clock:
        return f"not sure: {quoted(guess.column)} has the day only, {quoted(guess.clock)} the time of day"
    if not guess.sure:
        return f"not sure; perhaps {quoted(guess.column)}: {guess.why}"
    others = f"or is it {listed(guess.others)}?" if guess.others else ""
    return f"{quoted(guess.column)}: {'; '.join(filter(None, (guess.why, *more, others)))}"


def _details(persona: PersonaFound) -> Iterator[str]:
    yield counted(persona.identities, "identity")
    if persona.prefix:
        yield f"with the prefix {quoted(persona.prefix)}, because {persona.why} (I2)"
    for value, rows in persona.placeholders:
        yield f"{counted(rows, 'row')} with {quoted(value)} rejected: a placeholder, not an identity (I1)"
