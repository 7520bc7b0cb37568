"""The form that the options of a dry run ask for."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click

from km_cli.cli.context import environment_of
from km_cli.cli.forms import FORMS, About, Form
from km_cli.cli.own_files import check_output
from km_cli.config.files import expanded
from km_cli.config.settings import Settings
from km_cli.errors import UsageError


class AskedForm(NamedTuple):
    """A form, and the file to write, None for standard output."""

    form: Form
    path: Path | None

    @property
    def place(self) -> str:
        """The place for messages."""
        return str(self.path or "standard output")


def asked_form(context: click.Context, settings: Settings) -> AskedForm | None:
    """Return the form to write calls in, None if no calls are to be written.

    Raises UsageError for options that do not go together, and for a missing key if the form holds keys.
    """
    flags = context.params
    word, out = flags["form"], flags["out"]
    if word is None:
        if flags["with_keys"]:
            raise UsageError("--with-keys needs --as", "only --as urls writes API keys")
        return None
    made = FORMS[word]
    _check_keys(made, out, asks=flags["with_keys"])
    target = settings.target
    if made.needs_tracker and (target.own_ledger is not None or target.bulk() is not None):
        place = "a local store is none" if target.bulk() is None else "a bulk file is none"
        raise UsageError(
            f"--as {word} names the tracker that calls go to, and {place}",
            "leave out --to for Kissmetrics itself, or give the URL of km-cli serve: --to http://127.0.0.1:…",
        )
    if out is None and flags["as_json"]:
        raise UsageError(
            "--as and --json both write to standard output", "give a file for the calls: --out FILE"
        )
    path = None if out in (None, "-") else expanded(out, "--out")
    if path is not None:
        check_output(context, settings, path, "--out")
    return AskedForm(made(_about(context, settings)), path)


def _check_keys(form: type[Form], out: str | None, *, asks: bool) -> None:
    """Raise UsageError unless keys are written exactly if they are asked for, and only to a file."""
    if form.holds_keys and not asks:
        raise UsageError(
            f"--as {form.word} has the API key on every line",
            f"if that is intended: --as {form.word} --with-keys --out FILE, which only you can read",
        )
    if form.holds_keys and out in (None, "-"):
        raise UsageError(
            f"--as {form.word} has API keys, and is written only to a file", "give its path: --out FILE"
        )
    if asks and not form.holds_keys:
        raise UsageError(f"--as {form.word} has no API keys in it", "leave out --with-keys")


def _about(context: click.Context, settings: Settings) -> About:
    used = {persona.site for persona in settings.personas}
    sites = tuple(site for site in settings.people.sites if site.name in used)

    def keys() -> dict[str, str]:
        return {site.name: site.key(environment_of(context).variables) for site in sites}

    return About(settings.target.place, settings.personas[0].name, sites, keys)
