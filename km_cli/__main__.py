"""`python -m km_cli` is `km-cli`."""

from __future__ import annotations

from km_cli.cli import main

if __name__ == "__main__":
    main()
