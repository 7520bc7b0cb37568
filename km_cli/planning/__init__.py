"""Sequence → row plan: known calls are skipped, and calls that Kissmetrics would merge get different seconds.

`corrections` knows the lines of which a corrected reject was sent, `matching` decides which other calls are
known, `seconds` gives the rest a second, `aliases` decides on aliases, and `planner` asks them in turn for
each row. Known calls are in slots, which the caller passes in: those of the ledger, or `plain_slots` in
memory.
"""

from __future__ import annotations

from km_cli.planning.planner import Planner
from km_cli.planning.seconds import Collisions, Encode, no_bytes

__all__ = ["Collisions", "Encode", "Planner", "no_bytes"]
