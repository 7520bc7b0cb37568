"""A job as a script that writes systemd units: a service, its timer, and a service that mails failures."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from km_cli.cli.schedule.crontab import user
from km_cli.cli.schedule.job import Job

_END = "END-OF-UNIT"
_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")


def unit_script_lines(job: Job) -> Iterator[str]:
    """Yield a script for sh. It runs nothing but `mkdir`, `cat` and `systemctl`."""
    is_root = os.geteuid() == 0
    of_user = "" if is_root else " --user"
    control = f"systemctl{of_user}"
    folder = "/etc/systemd/system" if is_root else '"${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user"'
    yield "#!/bin/sh"
    yield "# km-cli backfill, every night at 3, by systemd. Read this, then run it: … --print systemd … | sh"
    for line in job.comments():
        yield f"# {line}"
    yield f"# After a failure, `mail` (bsd-mailx or mailutils) writes to {user()}; an address works as well"
    yield f"# To see its runs: {control} list-timers; journalctl{of_user} -u {job.name}"
    if not is_root:
        yield "# To run it while you are not logged in, too: loginctl enable-linger"
    yield "set -eu"
    yield f"folder={folder}"
    yield 'mkdir -p "$folder"'
    yield from _written(f"{job.name}.service", _service(job, is_root=is_root))
    yield from _written(f"{job.name}.timer", _timer())
    yield from _written("km-cli-mail@.service", _mail(control))
    yield f"{control} daemon-reload"
    yield f"{control} enable --now {job.name}.timer"


def _written(name: str, unit: Iterator[str]) -> Iterator[str]:
    """Yield the lines that write a unit. The quoted heredoc keeps the shell from expanding its contents."""
    yield f"cat > \"$folder/{name}\" <<'{_END}'"
    yield from unit
    yield _END


def _service(job: Job, *, is_root: bool) -> Iterator[str]:
    yield "[Unit]"
    yield "Description=Send what is new to Kissmetrics (km-cli backfill)"
    if is_root:  # The manager of a user has no unit for the network.
        yield "Wants=network-online.target"
        yield "After=network-online.target"
    yield "OnFailure=km-cli-mail@%n.service"
    yield ""
    yield "[Service]"
    yield "Type=oneshot"
    if job.file:
        yield f"EnvironmentFile={_specifiers(str(job.file))}"
    for name, value in job.variables.items():
        yield f"Environment={_quoted(f'{name}={value}')}"
    yield f"ExecStart={_command(job.words)}"


def _timer() -> Iterator[str]:
    yield "[Unit]"
    yield "Description=Send what is new to Kissmetrics, every night"
    yield ""
    yield "[Timer]"
    yield "OnCalendar=*-*-* 03:00:00"
    yield "RandomizedDelaySec=60"
    yield "Persistent=true"
    yield ""
    yield "[Install]"
    yield "WantedBy=timers.target"


def _mail(control: str) -> Iterator[str]:
    """Yield a unit that mails the status of another unit, `%i`."""
    script = f'{control} status --full --lines=100 "$1" | mail -s "$1 failed on $(uname -n)" {user()}'
    yield "[Unit]"
    yield "Description=Mail how %i ended"
    yield ""
    yield "[Service]"
    yield "Type=oneshot"
    yield f"ExecStart={_command(('/bin/sh', '-c', script, 'mail'))} %i"


def _command(words: tuple[str, ...]) -> str:
    """Return a command for ExecStart, in which `$` begins a variable except in the name of the program."""
    return " ".join([_quoted(words[0]), *(_quoted(word).replace("$", "$$") for word in words[1:])])


def _quoted(word: str) -> str:
    """Quote a word as C does. `%` begins a specifier inside quotes, too."""
    if _PLAIN.fullmatch(word):
        return word
    inner = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_specifiers(inner)}"'


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")
