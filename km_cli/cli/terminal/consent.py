"""The question before a command changes the ledger in a way that cannot be undone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import click

from km_cli.cli.terminal.keyboard import Keyboard
from km_cli.cli.terminal.question import Declined, is_yes
from km_cli.cli.terminal.show import complain, say
from km_cli.config.environment import Environment
from km_cli.errors import UsageError


def ask_for_consent(environment: Environment, lines: Sequence[str], question: str, verb: str) -> None:
    """Print what is going to happen on standard error, and ask. Nothing was changed yet.

    `verb` is what a yes does. Raises Declined unless the answer is yes, UsageError without a terminal.
    """
    keyboard = Keyboard.of(environment)
    if keyboard is None:
        raise UsageError(
            f"{lines[0].rstrip('.')}: this needs a confirmation, and there is no terminal to ask on",
            "add --yes to confirm it",
        )
    try:
        for line in lines:
            say(line, to_stderr=True)
        answer = False
        with suppress(KeyboardInterrupt):
            answer = is_yes(f"{question} [y/N] ", keyboard, verb)
    except click.Abort:
        answer = False
    finally:
        keyboard.close()
    if not answer:
        complain("nothing was changed")
        raise Declined
