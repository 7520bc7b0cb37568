"""What `backfill` does."""

from __future__ import annotations

import click

from km_cli.cli.settings import make_settings


def run_backfill(context: click.Context) -> int:
    """Read what is new since last time and send it."""
    make_settings(context)
    return 0
