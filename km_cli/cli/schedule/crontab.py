"""A job as lines of a crontab."""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Iterator

from km_cli.cli.schedule.job import Job
from km_cli.errors import UsageError

_LONGEST = 998
"""Bytes that a command may have: some crons refuse a longer one, others cut it off."""


def crontab_lines(job: Job) -> Iterator[str]:
    """Yield the lines to add to a crontab. Raises UsageError if the command is too long for cron."""
    command = _command(job)
    if len(command.encode()) > _LONGEST:
        raise UsageError(
            f"the command has {len(command.encode()):,} bytes, and cron takes at most {_LONGEST}",
            "move flags to km.toml, or use --print systemd",
        )
    yield "# km-cli backfill, every night at 3: add these lines with `crontab -e`"
    for line in job.comments():
        yield f"# {line}"
    yield "# cron mails problems to MAILTO: a user of this machine, or an address."
    yield "# A run without problems prints nothing."
    yield f"MAILTO={user()}"
    yield f"0 3 * * * {command}"


def user() -> str:
    """Return the name of the user that runs this; the number, if there is no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _command(job: Job) -> str:
    """Return the command that cron gives to sh. Each step runs only if the step before it succeeded."""
    words = [f"{name}={_quoted(value)}" for name, value in job.variables.items()]
    command = " ".join([*words, *map(_quoted, job.words)])
    return f"set -a && . {_quoted(str(job.file))} && set +a && {command}" if job.file else command


def _quoted(word: str) -> str:
    r"""Quote a word for sh, and for cron, which reads the line first.

    cron turns \% into %, and some crons may turn \\ into \. Here a backslash is always inside single quotes.
    The quotes are closed and opened again after it, so that cron finds neither of the two pairs by accident.
    """
    return shlex.quote(word).replace("\\", "\\''").replace("%", "\\%")
