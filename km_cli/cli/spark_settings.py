"""Settings for `km_cli.spark.import_events`, from the words of a command line."""

from __future__ import annotations

from dataclasses import replace

import click

from km_cli.cli.import_ import command
from km_cli.cli.outcome import process_environment
from km_cli.cli.settings import make_settings
from km_cli.config.settings import Settings
from km_cli.errors import UsageError
from km_cli.spark.delivery import tracker_of
from km_cli.spark.inputs import NO_LIMIT, NO_LIMIT_HINT, check_settings

_NO_FILE = "-"
"""Stands for the log, which is a DataFrame."""


def settings_of(*words: str) -> Settings:
    """Return the settings that these flags of `km-cli import` give, with km.toml and the environment.

    Raises UsageError for flags that are wrong, and for settings that Spark has no place for.
    """
    try:
        context = command.make_context("import", [*words, _NO_FILE], obj=process_environment())
    except click.ClickException as error:
        raise UsageError(error.format_message(), "see km-cli import --help for the flags") from None
    settings = replace(make_settings(context), files=())
    tracker_of(settings.target.spelled or settings.target.place)
    if settings.limit is not None:
        raise UsageError(NO_LIMIT, NO_LIMIT_HINT)
    check_settings(settings)
    return settings
