"""The durable record of readings, slots, outbox and counts, in one SQLite file."""

from __future__ import annotations

from km_cli.ledger.bulk_parts import BulkPart
from km_cli.ledger.checks import check_name
from km_cli.ledger.ledger import Ledger
from km_cli.ledger.pauses import Pause
from km_cli.ledger.readings import Head, Reading
from km_cli.ledger.runs import NO_RUN, RunRecord
from km_cli.ledger.sent import Sent

__all__ = ["NO_RUN", "BulkPart", "Head", "Ledger", "Pause", "Reading", "RunRecord", "Sent", "check_name"]
