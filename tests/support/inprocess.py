"""Runs the command line in this process, in an environment of its own: Python need not start for each run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from io import BytesIO, StringIO, TextIOWrapper
from itertools import count
from random import SystemRandom
from tempfile import TemporaryFile
from unittest.mock import patch

from km_cli.cli import group
from km_cli.cli.outcome import exit_code_of
from km_cli.config.environment import Environment
from km_cli.protocols import Clock
from km_cli.run.clock import SystemClock
from tests.support.schemas import check_output

_RUNS = count(1)


def run(
    words: Sequence[str],
    variables: Mapping[str, str],
    stdin: bytes | None = None,
    clock: Clock | None = None,
) -> tuple[int, str, str]:
    """Run a command line to its end; return the exit code and what it wrote to both streams.

    Libraries look into `os.environ` themselves (proxies, time zones, the home folder): meanwhile it holds
    `variables`. An output of --json must be as its schema says.
    """
    out, err = _stream(), _stream()
    with closing(_input(stdin)) as source, patch.dict(os.environ, variables, clear=True):
        code = exit_code_of(group, words, environment(variables, source, out, err, clock))
    printed = _text(out)
    check_output(words, printed)
    return code, printed, _text(err)


def environment(
    variables: Mapping[str, str],
    stdin: TextIOWrapper | None = None,
    stdout: TextIOWrapper | None = None,
    stderr: TextIOWrapper | None = None,
    clock: Clock | None = None,
) -> Environment:
    """Return an environment; what is not given is empty, and time is the real one."""
    return Environment(
        variables,
        stdin or StringIO(),
        stdout or _stream(),
        stderr or _stream(),
        clock or SystemClock(),
        SystemRandom(),
        next(_RUNS),
    )


def _input(content: bytes | None) -> TextIOWrapper:
    """Return standard input: a file, as it needs a descriptor."""
    file = TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(content or b"")
    file.seek(0)
    return TextIOWrapper(file, encoding="utf-8")


def _stream() -> TextIOWrapper:
    return TextIOWrapper(BytesIO(), encoding="utf-8", errors="backslashreplace", write_through=True)


def _text(stream: TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, BytesIO)
    return buffer.getvalue().decode()
