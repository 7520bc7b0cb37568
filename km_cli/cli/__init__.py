"""The command line: one file a command. Nothing heavier than click is imported before a command runs."""

from __future__ import annotations

import importlib
import sys

import click

from km_cli.errors import UsageError, did_you_mean

_COMMANDS = {
    "import": "km_cli.cli.import_",
    "dry-run": "km_cli.cli.dry_run",
    "backfill": "km_cli.cli.backfill",
    "rules": "km_cli.cli.rules",
    "init": "km_cli.cli.init",
    "config": "km_cli.cli.config_",
}
"""A command's name, and the module that holds it as `command`."""


class _Commands(click.Group):
    """Finds commands by name, so that `--help` loads none it does not show."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            hint = did_you_mean(args[0], _COMMANDS, f"there are: {', '.join(_COMMANDS)};")
            raise UsageError(f"there is no command {args[0]!r}", f"{hint} see {ctx.command_path} --help")
        return super().resolve_command(ctx, args)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="km-cli", prog_name="km-cli", message="%(prog)s %(version)s")
def group() -> None:
    """Replay and backfill event logs into Kissmetrics: users and accounts side by side.

    Every row of a log becomes calls that toggle the identity: the user did it, the account did it. What
    was sent is remembered in a ledger, so that any command can be repeated and nothing is sent twice.

    \b
    Try it without an account:
      km-cli dry-run events.csv
      km-cli import events.csv --to local
    Then for real:
      export KM_API_KEY=...
      km-cli import events.csv
    """


def main() -> None:
    """Run the command line in a process of its own."""
    from km_cli.cli.outcome import exit_code_of, process_environment

    sys.exit(exit_code_of(group, sys.argv[1:], process_environment()))
