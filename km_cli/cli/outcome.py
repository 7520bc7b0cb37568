"""Every way a command can end, as an exit code and words. The only place that turns errors into both."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from random import SystemRandom
from typing import TextIO

import click

from km_cli.cli.terminal.show import begin_complaints, complain, is_complaint_lost, say
from km_cli.config.environment import Environment
from km_cli.errors import Exit, KmError, did_you_mean
from km_cli.run.clock import SystemClock


def process_environment() -> Environment:
    """Return the environment of this process, with all three streams even if it was started without.

    What a stream cannot encode is shown escaped.
    """
    stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 - open as long as the process
    return Environment(
        os.environ,
        stdin,
        _mended(sys.stdout),
        _mended(sys.stderr),
        SystemClock(),
        SystemRandom(),
        os.getpid(),
        owns_process=True,
    )


def _mended(stream: TextIO | None) -> TextIO:
    if stream is None:
        return open(os.devnull, "w")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def exit_code_of(command: click.Command, words: Sequence[str], environment: Environment) -> int:
    """Run the command; return its exit code: 74 instead of 0 if something could not be said."""
    with _streams(environment):
        begin_complaints()
        code = _code_of(command, words, environment)
        is_written = [_is_written(number, environment) for number in (1, 2)]
        if code == Exit.OK and (is_complaint_lost() or not all(is_written)):
            return Exit.IO
        return code


@contextmanager
def _streams(environment: Environment) -> Iterator[None]:
    """Have click and rich, which know only `sys`, read and write the streams of the environment."""
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, sys.stdout, sys.stderr = environment.stdin, environment.stdout, environment.stderr
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def _is_written(number: int, environment: Environment) -> bool:
    """Tell whether a stream takes what is left to write; Python would try that once more when it exits."""
    try:
        (environment.stdout if number == 1 else environment.stderr).flush()
    except (OSError, ValueError):
        _silence(number, environment)
        return False
    return True


def _silence(number: int, environment: Environment) -> None:
    if environment.owns_process:
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _code_of(command: click.Command, words: Sequence[str], environment: Environment) -> int:
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
        complain("interrupted", "run the same command again: it goes on where this one stopped")
        return Exit.INTERRUPTED
    except KmError as error:
        complain(str(error), error.hint)
        return error.exit
    except (OSError, SystemExit) as error:
        return _failed(error, environment)
    except Exception as error:
        if _is_of_sqlite(error):
            complain(f"the ledger cannot be read: {error}", "it is left as it is; bring back a copy of it")
            return Exit.LEDGER
        if environment.variables.get("KM_CLI_DEBUG"):
            raise
        return _bug(error)
    return int(code or 0)


def _is_of_sqlite(error: Exception) -> bool:
    """Tell whether SQLite raised this. The help needs no SQLite, so it is not imported for that."""
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
        complain(f"there is no option {error.option_name!r}", hint)
    elif isinstance(error, click.MissingParameter) and error.param:
        name = error.param.human_readable_name.replace("[", "").replace("]", "")
        complain(f"{name} is missing", f"say which; {see}, it begins with examples")
    else:
        complain(error.format_message().rstrip("."), see)
    return Exit.USAGE


def _failed(error: OSError | SystemExit, environment: Environment) -> int:
    if isinstance(error, BrokenPipeError | SystemExit):
        # Whoever read our output has gone (click makes SystemExit of it): nobody is left to tell, not
        # even at exit.
        _silence(1, environment)
        return Exit.IO
    where = f": {error.filename}" if error.filename else ""
    complain(
        f"{error.strerror or error}{where}", "mend it and run again: nothing that was sent is sent twice"
    )
    return Exit.IO


def _bug(error: Exception) -> int:
    complain(
        f"this is a bug in km-cli: {type(error).__name__}: {error}",
        "nothing that was sent is forgotten: run again; please report it with KM_CLI_DEBUG=1's output",
    )
    return Exit.BUG
