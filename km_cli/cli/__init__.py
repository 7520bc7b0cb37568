"""The command line: it parses and prints.

A command has a light half and a heavy half. The light half declares its options and its help and imports
nothing heavier than click: `import_.py`, `dry_run.py`, `compare.py`, `backfill.py`, `status.py`, `retry.py`,
`verify.py`, `show.py`, `ledger_.py`, `init.py`, `spark.py`. The heavy half does the work, and is imported
when the command runs: `run_import.py`, `run_dry_run.py` and so on. So `--help` and the completion of a shell
answer at once. `rules.py` and `config_.py` are small and have one file each.

Both halves share these modules:

- `options.py` declares options that several commands have, by means of `sections.py`.
- `settings.py` turns flags into Settings, with `column_flags.py`, `time_flags.py`, `own_files.py` and
  `sources.py` for their parts; `context.py` reads km.toml, whose values are the defaults of flags.
- `confirming.py` looks at the whole input and asks, before a run sends to Kissmetrics itself.
- `conclusion.py` prints problems and next steps after a run; `outcome.py` turns errors into exit codes.
- `forgetting.py` is the run of `ledger prune` and `ledger forget`.
- `forms/` writes the calls of a dry run as text (`--as`).
- `terminal/` prints for people, `monitoring/` reports for programs, `schedule/` prints crontabs and units.
"""

from __future__ import annotations

import importlib
import sys

import click

from km_cli.cli.sections import Group

_COMMANDS = {
    "import": "km_cli.cli.import_",
    "dry-run": "km_cli.cli.dry_run",
    "compare": "km_cli.cli.compare",
    "backfill": "km_cli.cli.backfill",
    "status": "km_cli.cli.status",
    "retry": "km_cli.cli.retry",
    "show": "km_cli.cli.show",
    "verify": "km_cli.cli.verify",
    "ledger": "km_cli.cli.ledger_",
    "serve": "km_cli.cli.serve",
    "spark": "km_cli.cli.spark",
    "rules": "km_cli.cli.rules",
    "init": "km_cli.cli.init",
    "config": "km_cli.cli.config_",
}
"""The commands, and the modules in which they are called `command`."""


class _Commands(Group):
    """Imports the module of a command when that command is asked for, not before."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name]).command
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="km-cli", prog_name="km-cli", message="%(prog)s %(version)s")
def group() -> None:
    """Replay event logs into Kissmetrics, for users and for their accounts.

    By default each row of a log is recorded twice, once for the user and once for the account. A ledger
    remembers every call that was sent, so you can repeat any command and nothing is sent twice.

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
