"""Registers corrected rejects as an input format. Every module that opens inputs for a command imports this.

`inputs` cannot register them itself, because it must not import `rejects`. If `run/__init__` registered them,
even `--help` would load all formats.
"""

from __future__ import annotations

from km_cli.inputs.formats import register
from km_cli.rejects import REJECTS, REJECTS_TABLE

register(REJECTS)
register(REJECTS_TABLE)
