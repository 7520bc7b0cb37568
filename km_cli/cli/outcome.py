"""Every way a command can end, as an exit code and words. The only place that turns errors into both."""

from __future__ import annotations

import os
import sys

import click

from km_cli.cli.show import complain
from km_cli.errors import Exit, KmError


def exit_code_of(command: click.Command) -> int:
    """Run the command; return its exit code."""
    try:
        code = command.main(standalone_mode=False, prog_name="km-cli")
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.UsageError as error:
        where = f"km-cli {error.ctx.info_name}" if error.ctx and error.ctx.parent else "km-cli"
        complain(error.format_message(), f"see {where} --help")
        return Exit.USAGE
    except click.Abort:
        return Exit.INTERRUPTED
    except KeyboardInterrupt:
        complain("interrupted")
        return Exit.INTERRUPTED
    except KmError as error:
        complain(str(error), error.hint)
        return error.exit
    except BrokenPipeError:
        # Whoever read our output has gone: nobody is left to tell, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.IO
    except OSError as error:
        complain(
            f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}",
            "mend it and run again",
        )
        return Exit.IO
    except Exception as error:
        if os.environ.get("KM_CLI_DEBUG"):
            raise
        complain(
            f"this is a bug in km-cli: {type(error).__name__}: {error}",
            "nothing that was sent is forgotten: run again; please report it with KM_CLI_DEBUG=1's output",
        )
        return 70
    return int(code or 0)
