"""A backfill as lines for crontab."""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Iterator

from km_cli.cli.schedule.job import Job
from km_cli.errors import UsageError

_LONGEST = 998
"""Bytes of a command: what is longer is refused by some crons and cut off by others."""


def lines(job: Job) -> Iterator[str]:
    """Yield what to add to a crontab. Raises UsageError if cron can't hold it."""
    command = _command(job)
    if len(command.encode()) > _LONGEST:
        raise UsageError(
            f"the command has {len(command.encode()):,} bytes, cron takes {_LONGEST}",
            "say in km.toml what the flags say, or use --print systemd",
        )
    yield "# km-cli backfill, every night at 3: add these lines by `crontab -e`"
    for line in job.comments():
        yield f"# {line}"
    yield "# It is silent when all is well. What is wrong is mailed to MAILTO: a user here, or an address."
    yield f"MAILTO={user()}"
    yield f"0 3 * * * {command}"


def user() -> str:
    """Return who runs this, by name; by number, if there is no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _command(job: Job) -> str:
    """Return what cron gives to sh. Each step runs only if the one before it went well."""
    words = [f"{name}={_quoted(value)}" for name, value in job.variables.items()]
    command = " ".join([*words, *map(_quoted, job.words)])
    return f"set -a && . {_quoted(str(job.file))} && set +a && {command}" if job.file else command


def _quoted(word: str) -> str:
    r"""Quote a word for sh, and for cron before that, which takes \% for % and might take \\ for \.

    A backslash always stands in single quotes here. They are closed and opened behind it, so that cron finds
    neither of the two where none was meant.
    """
    return shlex.quote(word).replace("\\", "\\''").replace("%", "\\%")
