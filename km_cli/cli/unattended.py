"""What `backfill` does."""

from __future__ import annotations

import click

from km_cli.cli.settings import make_settings


def run_backfill(context: click.Context) -> int:
    """Read what is new since last time and send it; with --print, print what has that done every night."""
    if context.params["form"]:
        from km_cli.cli.install import print_install

        return print_install(context)
    make_settings(context)
    return 0
