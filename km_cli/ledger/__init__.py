"""The durable record of readings, slots, outbox and counts, in one SQLite file."""

from __future__ import annotations

from km_cli.ledger.bulk_parts import BulkPart
from km_cli.ledger.checks import check_name
from km_cli.ledger.expected import Shortfalls
from km_cli.ledger.forgetting import Claimed
from km_cli.ledger.heads import Head
from km_cli.ledger.horizons import NO_HORIZON
from km_cli.ledger.ledger import Ledger
from km_cli.ledger.pauses import Pause
from km_cli.ledger.pruning import Pruned
from km_cli.ledger.readings import Reading
from km_cli.ledger.runs import NO_RUN, RunRecord
from km_cli.ledger.sent import Sent
from km_cli.ledger.state import LedgerState, readings_known, runs_since, state_of

__all__ = [
    "NO_HORIZON",
    "NO_RUN",
    "BulkPart",
    "Claimed",
    "Head",
    "Ledger",
    "LedgerState",
    "Pause",
    "Pruned",
    "Reading",
    "RunRecord",
    "Sent",
    "Shortfalls",
    "check_name",
    "readings_known",
    "runs_since",
    "state_of",
]
