"""`km-cli serve`: a local Kissmetrics with a Live page. Its heavy half is `run_serve.py`."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options
from km_cli.cli.sections import Command, option, section

_server = section(
    "Server",
    option(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        show_default=True,
        help="The address to listen on. Any other than loopback lets other machines see all calls.",
    ),
    option(
        "--port",
        type=click.IntRange(0, 65_535),
        metavar="N",
        default=8808,
        show_default=True,
        help="The port to listen on; 0 takes one that is free, and prints it.",
    ),
    option(
        "--store",
        metavar="PATH",
        default=None,
        shell_complete=options.paths,
        help="The file that keeps the calls. Default: the store of --to local, in your state folder.",
    ),
)
_kissmetrics = section(
    "Kissmetrics",
    option(
        "--show-after",
        metavar="TIME",
        default="0",
        show_default=True,
        help="Show a call in the Query API (/v3) only after this time, such as 90m, as Kissmetrics does.",
    ),
    option(
        "--queries-per-minute",
        type=click.IntRange(1, 1_000_000),
        metavar="N",
        default=15,
        show_default=True,
        help="Let the Query API answer so many requests a minute.",
    ),
    option(
        "--fault",
        metavar="NAME=VALUE",
        multiple=True,
        help="Spoil answers to calls: failures=0.1 answers 503 to one call in ten. Also latency (seconds), "
        "resets, lost, throttled, retry_after, html, redirects, and seed.",
    ),
)
_output = section(
    "Output",
    option("-v", "--verbose", is_flag=True, help="Print a line for each request."),
)


@click.command("serve", cls=Command, short_help="Run a local Kissmetrics with a Live page.")
@_server
@_kissmetrics
@options.config
@_output
@click.pass_context
def command(context: click.Context, /, **_flags: Any) -> int:
    """Run a local Kissmetrics: a tracker that keeps what Kissmetrics would keep, and a Live page.

    Point any client at the address that is printed, and open it in a browser: the page shows calls as they
    arrive, people and their timelines, and what Kissmetrics would merge, change or drop. The store is that
    of --to local, so imports into it show there too. API keys are not stored: a call belongs to the site of
    km.toml that has its key, or else to site-1, site-2 and so on. Ctrl-C ends the server; every call that
    was answered is kept. It needs the packages starlette and uvicorn.

    \b
    Examples:
      km-cli serve
      km-cli serve --port 0 --store /tmp/trial.db
      km-cli serve --fault failures=0.05 --fault lost=0.02 --fault seed=7
      KM_API_KEY=test km-cli import events.csv --to http://127.0.0.1:8808
      curl 'http://127.0.0.1:8808/e?_k=test&_p=ada&_n=Signed+Up'
    """
    from km_cli.cli.run_serve import run_serve

    return run_serve(context)
