"""What `init` does: read a file twice, write km.toml, and say what was taken for what."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from km_cli.cli.configured import environment_of
from km_cli.cli.terminal.show import say
from km_cli.config.files import expanded
from km_cli.errors import Exit, InputError, UsageError
from km_cli.inference import (
    Guess,
    Inferred,
    PersonaFound,
    busiest,
    counted,
    infer,
    listed,
    questions,
    quoted,
    toml_text,
)
from km_cli.inputs import Source, make_format_options, open_reader
from km_cli.inputs.messages import shell_command
from km_cli.model import Reject, Row

_STDOUT = "-"
_ROLE = 11
_APART = {"\t": "tab", "|": "pipe", ";": "semicolon"}
"""Miller's words for delimiters."""


def run_init(context: click.Context) -> int:
    """Look, write, tell."""
    flags = context.params
    output = flags["output"]
    target = None if output == _STDOUT else expanded(output, "--output")
    if target is not None:
        _check_free(target)
    log = _Log(
        Source(
            flags["file"],
            format_options=make_format_options(flags["format"] or "", flags["encoding"], flags["delimiter"]),
        )
    )
    found = infer(log.rows, log.columns, tabular=log.tabular, now=environment_of(context).clock.now())
    if not found.rows:
        raise log.nothing()
    text = toml_text(found, log.source.name)
    if target is None:
        click.echo(text, nl=False)
    else:
        _write(target, text)
    telling = _Telling(to_stderr=target is None)
    telling.found(found, log)
    telling.next(found, log, _dry_run(context), target)
    return Exit.OK


class _Log:
    """The file that is looked at. It can be read again from its start."""

    def __init__(self, source: Source) -> None:
        self.source = source
        if source.path is None:
            raise _only_once("standard input")
        source.check()
        if not source.path.is_file():
            raise _only_once(source.name)
        opened = open_reader(source)
        opened.close()
        if opened.format.holds_rejects:
            raise UsageError(
                f"{source.name} holds rejected rows, which keep the mapping of their log",
                "look at the log itself; rejects are imported without any flags",
            )
        self.columns = opened.columns
        self.delimiter = opened.delimiter
        self.tabular = opened.format.is_tabular
        self.bad: list[Reject] = []
        self.bad_count = 0

    def rows(self) -> Iterator[Row]:
        """Yield what can be read; what can't is counted."""
        self.bad_count = 0
        opened = open_reader(self.source)
        try:
            for item in opened.reader().items():
                if isinstance(item, Row):
                    yield item
                elif isinstance(item, Reject):
                    self.bad_count += 1
                    self.bad = self.bad or [item]
        finally:
            opened.close()

    def nothing(self) -> InputError:
        """Return the error for a file without rows."""
        name = self.source.name
        if self.bad:
            return InputError(
                f"{name}: none of its records can be read; {self.first_bad}",
                "correct it, or say how it is written: --format, --delimiter, --encoding",
            )
        return InputError(f"{name} has no rows: there is nothing to look at", "give a file with some rows")

    @property
    def first_bad(self) -> str:
        """The first record that can't be read, for people."""
        return f"the first, line {self.bad[0].row.line}: {self.bad[0].reason}"


def _only_once(name: str) -> UsageError:
    return UsageError(
        f"{name} can be read only once, and init looks twice", "write it to a file first, and name that"
    )


def _check_free(target: Path) -> None:
    if os.path.lexists(target):
        raise UsageError(
            f"{target} is there already and is not overwritten",
            "write to another place: --output PATH, or to standard output: --output -",
        )


def _write(target: Path, text: str) -> None:
    """Write a whole file or none; never over one that came in meanwhile."""
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
            f"{target} cannot be written: {error.strerror}", "write to another place: --output PATH"
        ) from None


def _dry_run(context: click.Context) -> list[str]:
    """Return the command that tries the file out, with the flags that say how it is written."""
    flags = context.params
    given = [name for name in ("format", "delimiter", "encoding") if flags[name]]
    format_options = [word for name in given for word in (f"--{name}", flags[name])]
    return ["km-cli", "dry-run", flags["file"], *format_options]


class _Telling:
    """Says what was taken for what, and why; on standard error if km.toml goes to standard output."""

    def __init__(self, *, to_stderr: bool) -> None:
        self._to_stderr = to_stderr

    def say(self, text: str) -> None:
        """Say a line that can be copied."""
        say(text, to_stderr=self._to_stderr, whole=True)

    def line(self, role: str, text: str) -> None:
        """Say what was found for a role."""
        say(f"  {role:<{_ROLE}}{text}", to_stderr=self._to_stderr, hang=_ROLE + 2)

    def found(self, found: Inferred, log: _Log) -> None:
        """Say all that was found."""
        looked = f"{'all' if found.is_all else 'the first'} {counted(found.rows, 'row')}"
        self.say(f"{log.source.name}: looked at {looked}")
        if log.bad:
            self.line("unreadable", f"{counted(log.bad_count, 'record')}; {log.first_bad}")
        self.line("event", _guess(found.event))
        self.line("time", _guess(found.timestamp, found.clock.said))
        if found.id.column:
            self.line("id", _guess(found.id))
        for persona in found.personas:
            self.line(persona.name, _guess(persona.guess, *_about(persona)))
            if busy := busiest(persona):
                names = listed(event.name for event in busy)
                self.line(
                    "", f"over 1,000 of one {persona.name}, of which the last 1,000 are kept (D7): {names}"
                )
        if found.properties:
            self.line("properties", listed(found.properties))
        for name, why in found.excluded:
            self.line("left out", f"{quoted(name)}: {why}")

    def next(self, found: Inferred, log: _Log, command: list[str], target: Path | None) -> None:
        """Say what has to be answered, if anything, and what to do next."""
        if target is not None:
            self.say(f"\nwrote {target}")
            if target != Path("km.toml"):
                command = [*command, "--config", str(target)]
        asked = questions(found)
        for question in asked:
            self.say(f"asked: {question}")
        if found.timestamp.clock:
            self.say(
                f"  for instance: {_joined(found.timestamp, log)}, and km-cli init with what comes of it"
            )
        if target is None:
            first = f"save it as km.toml, {'answer what is asked' if asked else 'look it through'}"
        else:
            first = f"answer what is asked in {target}" if asked else f"look {target} through"
        self.say(f"next: {first}, then {shlex.join(command)}")


def _joined(guess: Guess, log: _Log) -> str:
    """Return a command that joins day and time of day to one column."""
    if log.tabular:
        apart = "" if log.delimiter == "," else f" --fs {_APART[log.delimiter]}"
        join = f'${{timestamp}} = ${{{guess.column}}} . " " . ${{{guess.clock}}}'
        return shell_command(log.source.name, f"mlr --csv{apart} put {shlex.quote(join)}")
    day, clock = (
        "." + "".join(f"[{quoted(key)}]" for key in name.split(".")) for name in (guess.column, guess.clock)
    )
    join = f'.timestamp = {day} + " " + {clock}'
    return shell_command(log.source.name, f"jq -c {shlex.quote(join)}")


def _guess(guess: Guess, *more: str) -> str:
    if not guess.column:
        return "not found"
    if guess.clock:
        return f"not sure: {quoted(guess.column)} is the day alone, {quoted(guess.clock)} the time of day"
    if not guess.sure:
        return f"not sure; perhaps {quoted(guess.column)}: {guess.why}"
    others = f"or is it {listed(guess.others)}?" if guess.others else ""
    return f"{quoted(guess.column)}: {'; '.join(filter(None, (guess.why, *more, others)))}"


def _about(persona: PersonaFound) -> Iterator[str]:
    yield counted(persona.identities, "identity")
    if persona.prefix:
        yield f"with the prefix {quoted(persona.prefix)}, since {persona.why} (I2)"
    for value, rows in persona.placeholders:
        yield f"{counted(rows, 'row')} with {quoted(value)}, rejected: it stands for nobody (I1)"
