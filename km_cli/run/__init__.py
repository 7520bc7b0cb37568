"""Everything that runs, and nothing that prints: the one loop, and what drives it for each command."""

from __future__ import annotations

from km_cli.inputs.formats import register
from km_cli.rejects import REJECTS

# Corrected rejects are an input like any other. `inputs` does not know their form, so it is registered here,
# where every command that reads inputs comes by.
register(REJECTS)
