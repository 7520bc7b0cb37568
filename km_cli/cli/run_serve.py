"""The heavy half of `serve`: make the settings, start the server, and wait for a signal."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from km_cli.cli.context import environment_of, km_toml_of
from km_cli.cli.show_place import personas_of
from km_cli.cli.terminal.show import complain, put, say
from km_cli.config.files import expanded
from km_cli.config.people import make_sites
from km_cli.errors import Exit, UsageError

if TYPE_CHECKING:
    from km_cli.serve.running import RunningServer
    from km_cli.serve.settings import ServeSettings


def run_serve(context: click.Context) -> int:
    """Serve until a signal comes. Raises UsageError, LedgerError."""
    _check_libraries()
    from km_cli.serve.guard import is_loopback
    from km_cli.serve.running import RunningServer

    settings = _settings(context)
    if environment_of(context).owns_process:  # errors are answered and printed by the guard, in plain words
        logging.getLogger("uvicorn.error").disabled = True
    if not is_loopback(settings.host):
        complain(
            f"--host {settings.host}: every machine that reaches this one can see and change all calls",
            "use it in a network that you trust, or leave --host out",
        )
    told = _told if settings.is_verbose else None
    with _listening(RunningServer(settings, told)) as server:
        put(f"km-cli serve: {server.url}/ (store {settings.store})")
        environment_of(context).stdout.flush()
        server.wait()
    return Exit.OK


def _check_libraries() -> None:
    from km_cli.install_hint import install_command

    try:
        import starlette
        import uvicorn  # noqa: F401 - only to see whether it is installed
    except ImportError as error:
        raise UsageError(
            f"serve needs libraries that are not installed: {error.name}", install_command("serve")
        ) from None
    del starlette


def _settings(context: click.Context) -> ServeSettings:
    """Return the settings that flags, variables and km.toml give. Raises UsageError."""
    from km_cli.serve.faults import make_faults
    from km_cli.serve.settings import ServeSettings, seconds_of

    flags = context.params
    return ServeSettings(
        store=_store(context),
        host=flags["host"],
        port=flags["port"],
        keys=_keys(context),
        personas=personas_of(context),
        show_after=seconds_of(flags["show_after"], "--show-after"),
        queries_a_minute=flags["queries_per_minute"],
        faults=make_faults(dict(map(_fault, flags["fault"])), "--fault"),
        is_verbose=flags["verbose"],
    )


def _told(line: str) -> None:
    say(line, to_stderr=True)


def _store(context: click.Context) -> Path:
    path = context.params["store"]
    return expanded(path, "--store") if path else environment_of(context).state_folder / "local.db"


def _keys(context: click.Context) -> Mapping[str, str]:
    """Return the API keys of the sites of km.toml, of those that have one here."""
    file, variables = km_toml_of(context), environment_of(context).variables
    keys: dict[str, str] = {}
    for site in make_sites(file.config, file.folder):
        with suppress(UsageError):  # without its key here, the calls of a site belong to site-1
            key = site.key(variables)
            if key not in keys.values():
                keys[site.name] = key
    return keys


def _fault(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(
            f"--fault {text}: it has no value", "write NAME=VALUE, for example --fault failures=0.1"
        )
    return name.strip(), value.strip()


@contextmanager
def _listening(server: RunningServer) -> Iterator[RunningServer]:
    """Run the server, and have signals end it cleanly. In a thread of tests there are no signals."""
    if threading.current_thread() is not threading.main_thread():
        with server:
            yield server
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.ask_to_stop()

    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN  # nohup ignores it
    heard = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else []))
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        with server:
            yield server
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
