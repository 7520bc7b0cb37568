"""Options that say how a log is sent: where, as which calls, how fast."""

from __future__ import annotations

import click

from km_cli.cli.options.words import Words, help_of_to, strategies
from km_cli.cli.sections import AutoOrNumber, Size, option, section

_TITLE = "Sending"

_to = option(
    "--to",
    default="kissmetrics",
    metavar="WHERE",
    show_default=True,
    make_help=help_of_to,
)
_strategy = option(
    "--strategy",
    type=Words(strategies),
    default=None,
    help="How a row becomes calls. Default: the personas of km.toml, else toggle.",
)
_site = option(
    "--site",
    metavar="NAME",
    default="",
    help="Name of the Kissmetrics site. Default: the first in km.toml, else main.",
)
_seconds = (
    option(
        "--collisions",
        type=click.Choice(["spread", "keep", "reject"]),
        default="spread",
        show_default=True,
        help="What to do with two calls that Kissmetrics would merge into one.",
    ),
    option(
        "--spread",
        type=click.IntRange(0, 86_400),
        default=60,
        show_default=True,
        metavar="SECONDS",
        help="How far a call may be moved so that Kissmetrics does not merge it.",
    ),
    option(
        "--batch-size",
        type=click.IntRange(1, 100_000),
        default=500,
        show_default=True,
        metavar="ROWS",
        help="Rows per batch.",
    ),
)

_part_size = option(
    "--part-size",
    type=Size(1 << 10),
    default="100M",
    show_default=True,
    metavar="SIZE",
    help="The most bytes of a bulk file (K, M, G). Kissmetrics takes one file an hour.",
)

_wire = (
    option(
        "--concurrency",
        type=AutoOrNumber(1, 1024),
        default="auto",
        show_default=True,
        metavar="auto|N",
        help="Calls in flight. auto begins with 4 and finds the fewest with which no more calls get through, "
        "up to 256 (64 without curl).",
    ),
    option(
        "--rate", type=click.FloatRange(0, min_open=True), metavar="N", help="At most N calls per second."
    ),
    option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=30.0,
        show_default=True,
        metavar="SECONDS",
        help="Time limit of one attempt.",
    ),
    option(
        "--transport",
        type=click.Choice(["auto", "requests", "curl"]),
        default="auto",
        show_default=True,
        help="Library that sends calls. curl is several times as fast and needs the package pycurl; auto "
        "takes it if it is there.",
    ),
    option(
        "--attempts",
        type=click.IntRange(1),
        default=10,
        show_default=True,
        metavar="N",
        help="Attempts before a call is left pending for the next run.",
    ),
)

delivery = section(_TITLE, _to, _strategy, _site, *_seconds, *_wire, _part_size)
resending = section(_TITLE, _to, _site, *_wire)

_in_flight = option(
    "--max-in-flight",
    "in_flight",
    type=click.IntRange(1, 100_000),
    default=256,
    show_default=True,
    metavar="N",
    help="Calls in flight at most, over all machines of the cluster.",
)
_COLLISIONS, _SPREAD, _ = _seconds
spark_delivery = section(_TITLE, _to, _strategy, _site, _COLLISIONS, _SPREAD, _in_flight, *_wire[1:])
