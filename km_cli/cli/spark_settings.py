"""Settings for `km_cli.spark.import_events`, from the words of a command line."""

from __future__ import annotations

import click

from km_cli.cli.import_ import command
from km_cli.cli.outcome import process_environment
from km_cli.cli.settings import make_settings
from km_cli.config.settings import Settings
from km_cli.errors import UsageError
from km_cli.spark.inputs import check_settings


def settings_of(*words: str) -> Settings:
    """Return the settings that these flags of `km-cli import` give, with km.toml and the environment.

    Raises UsageError for flags that are wrong, and for settings that Spark has no place for.
    """
    try:
        context = command.make_context("import", list(words), obj=process_environment())
    except click.ClickException as error:
        raise UsageError(error.format_message(), "see km-cli import --help for the flags") from None
    settings = make_settings(context)
    check_settings(settings)
    return settings
