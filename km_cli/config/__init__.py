"""What is in force: flags before the environment before km.toml before defaults.

This and the command line read os.environ, nobody else.
"""

from __future__ import annotations

from km_cli.config.backfill import BackfillSource, backfill_sources
from km_cli.config.membership import read_members
from km_cli.config.people import People, people_of
from km_cli.config.reject_limit import RejectLimit, make_reject_limit
from km_cli.config.settings import Settings, environment, state_folder
from km_cli.config.sites import Site

__all__ = [
    "BackfillSource",
    "People",
    "RejectLimit",
    "Settings",
    "Site",
    "backfill_sources",
    "environment",
    "make_reject_limit",
    "people_of",
    "read_members",
    "state_folder",
]
