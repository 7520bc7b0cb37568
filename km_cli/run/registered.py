"""Registers corrected rejects as an input format. Every module that opens inputs for a command imports this.

`inputs` does not know the form of rejects, as stages do not import each other. `run/__init__` is no place for
it, as `--help` would load all formats then.
"""

from __future__ import annotations

from km_cli.inputs.formats import register
from km_cli.rejects import REJECTS

register(REJECTS)
