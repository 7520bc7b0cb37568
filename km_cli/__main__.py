"""`km-cli` and `python -m km_cli`: the command line in a process of its own.

This module imports nothing of its own at first. Loading the command line takes a moment, and Ctrl-C in that
moment ends the process as it does later: with a line and exit code 130, without a traceback.
"""

from __future__ import annotations

import sys
from contextlib import suppress


def main() -> None:
    """Run the command line, and end the process."""
    try:
        from km_cli.cli import main as run

        run()
    except KeyboardInterrupt:
        with suppress(AttributeError, OSError, ValueError):  # There may be no standard error.
            sys.stderr.write("km-cli: interrupted\n  next: run the same command again\n")
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
