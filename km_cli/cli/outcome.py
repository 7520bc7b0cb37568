"""Turns every way in which a command can end into an exit code and a message. No other module does."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from random import SystemRandom
from typing import TextIO

import click

from km_cli.cli.terminal.show import begin_complaints, complain, hide, is_complaint_lost, say
from km_cli.config.environment import Environment
from km_cli.errors import Exit, KmError, did_you_mean
from km_cli.run.clock import SystemClock


def process_environment() -> Environment:
    """Return the environment of this process.

    A stream that the process was started without is replaced by /dev/null. Characters that a stream cannot
    encode are written escaped.
    """
    stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 - open as long as the process
    return Environment(
        os.environ,
        stdin,
        _usable(sys.stdout),
        _usable(sys.stderr),
        SystemClock(),
        SystemRandom(),
        os.getpid(),
        owns_process=True,
    )


def _usable(stream: TextIO | None) -> TextIO:
    if stream is None:
        return open(os.devnull, "w")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def exit_code_of(command: click.Command, words: Sequence[str], environment: Environment) -> int:
    """Run the command and return its exit code.

    It is 74 instead of 0 if a part of the output was lost: a script that reads the output, or a cron job that
    mails it, must not take silence for success.
    """
    with _streams(environment):
        begin_complaints()
        hide(value.strip() for name, value in environment.variables.items() if _is_of_key(name))
        try:
            code = _run(command, words, environment)
        finally:
            _close_storages()
        is_written = [_is_written(number, environment) for number in (1, 2)]
        if code == Exit.OK and (is_complaint_lost() or not all(is_written)):
            return Exit.IO
        return code


_OF_STORES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def _is_of_key(name: str) -> bool:
    """Tell whether a variable holds an API key, by its name: KM_API_KEY, or that of another site.

    So do those of object stores.
    """
    return (name.startswith("KM_") and name.endswith("KEY")) or name in _OF_STORES


def _close_storages() -> None:
    """Close the connections to object stores, if there may be any. The help does not import them."""
    if registry := sys.modules.get("km_cli.inputs.storage.registry"):
        registry.close_storages()


@contextmanager
def _streams(environment: Environment) -> Iterator[None]:
    """Replace the streams of `sys`, which click and rich use, by those of the environment."""
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, sys.stdout, sys.stderr = environment.stdin, environment.stdout, environment.stderr
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def _is_written(number: int, environment: Environment) -> bool:
    """Flush a stream and tell whether that worked.

    If not, the stream is silenced: Python would try to flush it once more at exit, and print a traceback.
    """
    try:
        (environment.stdout if number == 1 else environment.stderr).flush()
    except (OSError, ValueError):
        _silence(number, environment)
        return False
    return True


def _silence(number: int, environment: Environment) -> None:
    """Point a stream to /dev/null, unless the process has other users of it, such as the tests."""
    if environment.owns_process:
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _run(command: click.Command, words: Sequence[str], environment: Environment) -> int:
    try:
        code = command.main(list(words), standalone_mode=False, prog_name="km-cli", obj=environment)
        environment.stdout.flush()
    except click.ClickException as error:
        return _wrong_usage(error)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        return Exit.INTERRUPTED
    except KeyboardInterrupt:
        complain("interrupted", "run the same command again: it continues where this run stopped")
        return Exit.INTERRUPTED
    except KmError as error:
        from km_cli.cli.terminal.problem import complain_of

        complain_of(error)
        return error.exit
    except (OSError, SystemExit) as error:
        return _io_error(error, environment)
    except Exception as error:
        if _is_sqlite_error(error):
            complain(f"the ledger cannot be read: {error}", "it was not changed; restore a copy of it")
            return Exit.LEDGER
        if environment.variables.get("KM_CLI_DEBUG"):
            raise
        return _bug(error)
    return int(code or 0)


def _is_sqlite_error(error: Exception) -> bool:
    """Tell whether SQLite raised the error, without importing SQLite, which the help does not need."""
    sqlite3 = sys.modules.get("sqlite3")
    return sqlite3 is not None and isinstance(error, sqlite3.Error)


def _wrong_usage(error: click.ClickException) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        with suppress(OSError):
            say(error.format_message(), to_stderr=True)
        return Exit.USAGE
    context = error.ctx if isinstance(error, click.UsageError) else None
    see = f"see {context.command_path if context else 'km-cli'} --help"
    if isinstance(error, click.NoSuchOption):
        hint = did_you_mean(error.option_name, error.possibilities or (), see, also=f" {see}")
        if context and (other := _command_with(error.option_name, context)):
            hint = f"{other} has it: see km-cli {other} --help"
        if context and error.option_name == "--dry-run":
            hint = "a dry run is a command of its own: km-cli dry-run FILE... shows what import would send"
        complain(f"there is no option {error.option_name!r}", hint)
    elif isinstance(error, click.MissingParameter) and error.param:
        is_option = error.param.param_type_name == "option"
        name = error.param.opts[0] if is_option else error.param.human_readable_name
        name = name.replace("[", "").replace("]", "")
        complain(f"{name} is missing", f"add it; {see}, which has examples")
    else:
        message = error.format_message().rstrip(".")
        if message.startswith("Got unexpected extra argument") and context and _takes_ledger_alone(context):
            see = f"--ledger PATH names a ledger; {see}"
        complain(message, see)
    return Exit.USAGE


def _takes_ledger_alone(context: click.Context) -> bool:
    """Tell whether the ledger is all that the command works on, so that an argument was probably its path."""
    params = context.command.params
    return any("--ledger" in one.opts for one in params) and not any(
        one.param_type_name == "argument" for one in params
    )


def _command_with(option: str, context: click.Context) -> str:
    """Return the first command that has this option, "" if none has."""
    group = context.find_root().command
    if not isinstance(group, click.Group):
        return ""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command and any(option in param.opts for param in command.params):
            return name
    return ""


def _io_error(error: OSError | SystemExit, environment: Environment) -> int:
    if isinstance(error, BrokenPipeError | SystemExit):
        # The program that read our output has gone. (click turns that into SystemExit.) There is no one to
        # report it to, so Python must not try either when it exits.
        _silence(1, environment)
        return Exit.IO
    where = f": {error.filename}" if error.filename else ""
    complain(f"{error.strerror or error}{where}", "correct that and run again: nothing is sent twice")
    return Exit.IO


def _bug(error: Exception) -> int:
    complain(
        f"this is a bug in km-cli: {type(error).__name__}: {error}",
        "please report it, with the output of KM_CLI_DEBUG=1; the ledger has all that was sent: run again",
    )
    return Exit.BUG
