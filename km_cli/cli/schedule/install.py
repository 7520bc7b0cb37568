"""Print the crontab or systemd units that run a backfill every night.

cron and systemd run it without the variables of this shell. So the job contains all that it needs: absolute
paths, the options given now, and variables for proxies and certificates.
"""

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

from km_cli.cli.context import environment_of, km_toml_of
from km_cli.cli.schedule.job import Job
from km_cli.cli.settings import make_settings
from km_cli.cli.terminal.show import complain, escaped, put
from km_cli.config.backfill import BackfillSource, overlap_of, settings_for
from km_cli.config.environment import Environment
from km_cli.config.settings import Settings
from km_cli.errors import UsageError

_PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
_CERTIFICATE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")

_PATH_METAVARS = ("PATH", "FILE")
"""The words that the help has for paths."""


def print_install(context: click.Context) -> int:
    """Print lines for a crontab, or a script that writes systemd units.

    Raises UsageError for a job that cannot work. Complains about secrets that are still missing, but prints
    the job, because its comments show how to add them.
    """
    settings = make_settings(context)
    job = _job(context, settings)
    if context.params["form"] == "crontab":
        from km_cli.cli.schedule.crontab import crontab_lines as lines_of
    else:
        from km_cli.cli.schedule.systemd import unit_script_lines as lines_of
    put("\n".join(lines_of(job)))
    _complain_of_secrets(job, settings.environment)
    return 0


def _job(context: click.Context, settings: Settings) -> Job:
    config, sources = _config(context, settings)
    settings = settings_for(sources, settings)
    overlaps = tuple((one.name, overlap_of(one, settings)) for one in sources)
    kept = _connection_variables(settings.environment)
    # A proxy's URL with a password is as secret as a key: it goes to the file and is not printed.
    secret = [name for name in kept if name not in ("NO_PROXY", "no_proxy") and "@" in kept[name]]
    secrets = (*_key_variables(settings), *_option_variables(context), *secret)
    job = Job(
        name=f"km-cli-backfill-{_tag(config, context.params['names'])}",
        words=(*_program(), "backfill", *_arguments(context, settings, config)),
        variables={name: value for name, value in kept.items() if name not in secret},
        secrets=secrets,
        file=_file(environment_of(context), config) if secrets else None,
        overlaps=overlaps,
    )
    for text in (*job.words, *job.variables.values(), str(job.file)):
        _check_printable(text)
    return job


def _config(context: click.Context, settings: Settings) -> tuple[Path, Sequence[BackfillSource]]:
    """Return the path of km.toml, and its sources. Raises UsageError for flags that a run would refuse."""
    from km_cli.cli.monitoring.metrics import check_metrics
    from km_cli.cli.monitoring.ping import check_ping
    from km_cli.cli.sources import make_backfill_sources

    sources = make_backfill_sources(context, settings)
    check_ping(context.params["ping"])
    if context.params["metrics"]:
        check_metrics(Path(context.params["metrics"]).expanduser())
    path = km_toml_of(context).path
    assert path is not None
    return path.absolute(), sources


def _program() -> tuple[str, ...]:
    """Return the words that run km-cli: its script, if it is beside this interpreter, else the module."""
    script = Path(sys.executable).absolute().with_name("km-cli")
    return (str(script),) if os.access(script, os.X_OK) else (sys.executable, "-m", "km_cli")


def _arguments(context: click.Context, settings: Settings, config: Path) -> Iterator[str]:
    """Yield the names and options that were given now, and the paths that depend on this environment.

    The ledger is given outright: without this shell's XDG_STATE_HOME the job would use another ledger, and
    send everything again.
    """
    yield from context.params["names"]
    yield f"--config={config}"
    own_ledger = settings.target.own_ledger
    if own_ledger is not None:
        yield f"--to={settings.target.tracker}:{own_ledger.absolute()}"
    else:
        yield f"--ledger={settings.ledger.absolute()}"
    if settings.target.bulk() is not None:
        yield f"--to={settings.target.spelled}"
    has_path = own_ledger is not None or settings.target.bulk() is not None
    done = {"names", "config", "ledger", "form", *(["to"] if has_path else [])}
    given = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    for param in context.command.params:
        name = param.name or ""
        is_given = name not in done and context.get_parameter_source(name) in given
        if is_given and param.envvar not in _option_variables(context):
            yield from _words(param, context.params[name])


def _words(param: click.Parameter, value: object) -> Iterator[str]:
    """Yield an option as one word, `--name=value`, so that a value that begins with `-` is no option."""
    flag = max(param.opts, key=len)
    if isinstance(param, click.Option) and param.is_flag:
        yield flag
        return
    for one in value if isinstance(value, tuple) else (value,):
        is_path = isinstance(param, click.Option) and param.metavar in _PATH_METAVARS
        yield f"{flag}={Path(one).expanduser().absolute() if is_path else _plain(one)}"


def _plain(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _connection_variables(now: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy and certificate variables that are set now."""
    names = [form for name in _PROXY_VARIABLES for form in (name, name.lower())]
    proxies = {name: now[name] for name in names if now.get(name)}
    # Paths to certificates are made absolute: the job runs in another folder.
    return proxies | {
        name: str(Path(now[name]).absolute()) for name in _CERTIFICATE_VARIABLES if now.get(name)
    }


def _key_variables(settings: Settings) -> tuple[str, ...]:
    """Return the variables that hold API keys. Raises UsageError if a key file holds no key."""
    if not settings.target.needs_key:
        return ()
    for site in settings.people.sites:
        if site.key_file:
            site.key(settings.environment)
    return tuple(dict.fromkeys(site.key_env for site in settings.people.sites if not site.key_file))


def _option_variables(context: click.Context) -> tuple[str, ...]:
    """Return the variables of options whose values are secret, because the URL of --ping is like a password.

    It is treated as a secret only if it came from the environment; a URL on the command line is visible to
    every user of the machine anyway.
    """
    is_hidden = context.get_parameter_source("ping") is ParameterSource.ENVIRONMENT
    return ("KM_CLI_PING",) if is_hidden else ()


def _file(environment: Environment, config: Path) -> Path:
    """Return the path of the file of secrets. Each km.toml has its own: two may use the same variables."""
    return environment.config_folder / f"backfill-{_tag(config)}.env"


def _tag(config: Path, names: Sequence[str] = ()) -> str:
    """Return a word for the name of a file: the same for the same km.toml and sources, else different."""
    word = re.sub(r"[^A-Za-z0-9]+", "-", "-".join(names) or config.parent.name).strip("-").lower()[:40]
    digest = hashlib.sha256("\0".join((str(config), *names)).encode(errors="surrogateescape")).hexdigest()
    return f"{word}-{digest[:6]}".lstrip("-")


def _check_printable(text: str) -> None:
    """Raise UsageError for characters that end a line or are invisible."""
    if escaped(text) != text or "\n" in text:
        raise UsageError(
            f"{text!r} has characters that cannot be printed: cron or systemd would get another text",
            "rename it, or set it in km.toml",
        )


def _complain_of_secrets(job: Job, variables: Mapping[str, str]) -> None:
    """Complain about secrets that the file lacks, or holds with another value than this shell."""
    if not job.file:
        return
    try:
        values = _read_variables(job.file)
        is_open = bool(job.file.stat().st_mode & 0o077)
    except FileNotFoundError:
        complain(
            f"{job.file} does not exist yet: the job reads {' and '.join(job.secrets)} from it",
            "write it with the command in the comments",
        )
        return
    except (OSError, UnicodeDecodeError) as error:
        complain(f"{job.file} cannot be read: {error}", "write it again with the command in the comments")
        return
    if is_open:
        complain(f"other users can read {job.file}", f"chmod 600 {shlex.quote(str(job.file))}")
    for name in job.secrets:
        _complain_of_variable(job.file, name, values.get(name, ""), variables.get(name, ""))


def _complain_of_variable(file: Path, name: str, value: str, here: str) -> None:
    if not value:
        complain(f"{file} does not set {name}", "write it with the command in the comments")
    elif value != (here or value).strip():
        complain(
            f"{file} has another {name} than this shell", "check which one is right, and correct the other"
        )


def _read_variables(file: Path) -> dict[str, str]:
    """Return the variables of a file in the form that both a shell and systemd read."""
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            found[name] = value.strip("'\"")
    return found
