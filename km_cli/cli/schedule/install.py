"""Print the crontab or systemd units that run a backfill every night, whatever is set in this shell."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
from click.core import ParameterSource

from km_cli.cli.configured import environment_of, taken
from km_cli.cli.schedule.job import Job
from km_cli.cli.settings import make_settings
from km_cli.cli.terminal.show import complain, escaped, put
from km_cli.config.backfill import BackfillSource, overlap_of
from km_cli.config.environment import Environment
from km_cli.config.settings import Settings
from km_cli.errors import UsageError

_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")

_PLACES = ("PATH", "FILE")
"""What the help calls a value that is a path."""


def print_install(context: click.Context) -> int:
    """Print a line for crontab, or a script that writes systemd's units. Raises UsageError.

    What can't work is not printed; what does not work yet is complained of.
    """
    settings = make_settings(context)
    job = _job(context, settings)
    if context.params["form"] == "crontab":
        from km_cli.cli.schedule.crontab import lines
    else:
        from km_cli.cli.schedule.systemd import lines
    put("\n".join(lines(job)))
    _complain_of(job, settings.environment)
    return 0


def _job(context: click.Context, settings: Settings) -> Job:
    config, sources = _config(context, settings)
    overlaps = tuple((one.name, overlap_of(one, settings)) for one in sources)
    carried = _carried(settings.environment)
    # A password in a proxy's URL is as secret as a key: it is not printed, the file holds it.
    secret = [name for name in carried if name not in ("NO_PROXY", "no_proxy") and "@" in carried[name]]
    secrets = (*_key_variables(settings), *_option_variables(context), *secret)
    job = Job(
        name=f"km-cli-backfill-{_tag(config, context.params['names'])}",
        words=(*_program(), "backfill", *_arguments(context, settings, config)),
        variables={name: value for name, value in carried.items() if name not in secret},
        secrets=secrets,
        file=_file(environment_of(context), config) if secrets else None,
        overlaps=overlaps,
    )
    for text in (*job.words, *job.variables.values(), str(job.file)):
        _check_printable(text)
    return job


def _config(context: click.Context, settings: Settings) -> tuple[Path, Sequence[BackfillSource]]:
    """Return where km.toml is, and its sources. Raises UsageError for what a backfill would complain of."""
    from km_cli.cli.monitoring.metrics import check_metrics
    from km_cli.cli.monitoring.ping import check_ping
    from km_cli.cli.sources import sources_of

    sources = sources_of(context, settings)
    check_ping(context.params["ping"])
    if context.params["metrics"]:
        check_metrics(Path(context.params["metrics"]).expanduser())
    path = taken(context).path
    assert path is not None
    return path.absolute(), sources


def _program() -> tuple[str, ...]:
    """Return the words that run km-cli: its script, if it is beside this interpreter."""
    script = Path(sys.executable).absolute().with_name("km-cli")
    return (str(script),) if os.access(script, os.X_OK) else (sys.executable, "-m", "km_cli")


def _arguments(context: click.Context, settings: Settings, config: Path) -> Iterator[str]:
    """Yield the names and options that were given now, and the places that another environment would move.

    Without XDG_STATE_HOME another ledger would be used, and all that was sent before would be sent again.
    """
    yield from context.params["names"]
    yield f"--config={config}"
    own_ledger = settings.target.own_ledger
    if own_ledger is not None:
        yield f"--to={settings.target.tracker}:{own_ledger.absolute()}"
    else:
        yield f"--ledger={settings.ledger.absolute()}"
    done = {"names", "config", "ledger", "form", *(["to"] if own_ledger else [])}
    given = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    for param in context.command.params:
        name = param.name or ""
        is_given = name not in done and context.get_parameter_source(name) in given
        if is_given and param.envvar not in _option_variables(context):
            yield from _words(param, context.params[name])


def _words(param: click.Parameter, value: object) -> Iterator[str]:
    """Yield an option as it is written; `--name=value`, so that no value is taken for an option."""
    flag = max(param.opts, key=len)
    if isinstance(param, click.Option) and param.is_flag:
        yield flag
        return
    for one in value if isinstance(value, tuple) else (value,):
        is_place = isinstance(param, click.Option) and param.metavar in _PLACES
        yield f"{flag}={Path(one).expanduser().absolute() if is_place else _plain(one)}"


def _plain(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _carried(now: Mapping[str, str]) -> dict[str, str]:
    """Return what leads through proxies and says whom to trust, as it is set now."""
    names = [form for name in _PROXIES for form in (name, name.lower())]
    carried = {name: now[name] for name in names if now.get(name)}
    # What trust is in is a file: relative to this folder it would be another one elsewhere.
    return carried | {name: str(Path(now[name]).absolute()) for name in _BUNDLES if now.get(name)}


def _key_variables(settings: Settings) -> tuple[str, ...]:
    """Return the variables that hold keys. Raises UsageError if a file that should hold one does not."""
    if not settings.target.needs_key:
        return ()
    for site in settings.people.sites:
        if site.key_file:
            site.key(settings.environment)
    return tuple(dict.fromkeys(site.key_env for site in settings.people.sites if not site.key_file))


def _option_variables(context: click.Context) -> tuple[str, ...]:
    """Return the variables of options that are secret: who has the URL of --ping can report success.

    On a command line it is no secret any more, in the environment it may be one.
    """
    is_hidden = context.get_parameter_source("ping") is ParameterSource.ENVIRONMENT
    return ("KM_CLI_PING",) if is_hidden else ()


def _file(environment: Environment, config: Path) -> Path:
    """Return where the secrets of what this km.toml says are: another one's keys may have the same names."""
    return environment.config_folder / f"backfill-{_tag(config)}.env"


def _tag(config: Path, names: Sequence[str] = ()) -> str:
    """Return a word that is the same for the same km.toml and sources, and fit for a file's name."""
    word = re.sub(r"[^A-Za-z0-9]+", "-", "-".join(names) or config.parent.name).strip("-").lower()[:40]
    digest = hashlib.sha256("\0".join((str(config), *names)).encode(errors="surrogateescape")).hexdigest()
    return f"{word}-{digest[:6]}".lstrip("-")


def _check_printable(text: str) -> None:
    """Raise UsageError for what one line can't hold, or nobody sees in it."""
    if escaped(text) != text or "\n" in text:
        raise UsageError(
            f"{text!r} has characters that can't be printed: what runs it would not get them",
            "rename it, or say it in km.toml",
        )


def _complain_of(job: Job, variables: Mapping[str, str]) -> None:
    """Say what the file of the secrets lacks."""
    if not job.file:
        return
    try:
        there = _read(job.file)
        is_open = bool(job.file.stat().st_mode & 0o077)
    except FileNotFoundError:
        complain(
            f"{job.file} is not there yet: {' and '.join(job.secrets)} will be read from it",
            "write it with the command that the comments show",
        )
        return
    except (OSError, UnicodeDecodeError) as error:
        complain(f"{job.file} cannot be read: {error}", "write it anew, as the comments show")
        return
    if is_open:
        complain(f"{job.file} can be read by others", f"chmod 600 {shlex.quote(str(job.file))}")
    for name in job.secrets:
        _complain_of_variable(job.file, name, there.get(name, ""), variables.get(name, ""))


def _complain_of_variable(file: Path, name: str, value: str, here: str) -> None:
    if not value:
        complain(f"{file} does not say {name}", "write it with the command that the comments show")
    elif value != (here or value).strip():
        complain(f"{file} has another {name} than is set here", "see which one is right, and correct it")


def _read(file: Path) -> dict[str, str]:
    """Return the variables that stand in a file as a shell and systemd both understand it."""
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            found[name] = value.strip("'\"")
    return found
