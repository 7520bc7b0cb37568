"""The parts of a row that are still owed, because the destination refused them and took the others."""

from __future__ import annotations

from collections.abc import Sequence

from km_cli.model import Receipt, Reject, Row


def refused(row: Row, receipts: Sequence[Receipt]) -> Reject:
    """Return the reject for a row of which a destination refused these calls.

    It owes the parts of those calls alone. When it is imported, only they are planned: the other parts were
    acknowledged, and a second call could count twice.
    """
    owed = tuple(dict.fromkeys(receipt.call.part for receipt in receipts))
    return Reject(row, "refused", f"the destination refused it: {receipts[0].reason}", owed)
