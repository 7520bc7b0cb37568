"""Compares the ledger with a data export of Kissmetrics (W7), call by call.

Both sides are read once, as streams, and meet in a temporary file that SQLite keeps: neither need fit into
memory. `files`, `records` and `loading` read the export, `expected` reads the ledger, `comparing` joins
the two second by second. `judging` decides whether an absent call can be in the export at all. `matching` and
`pairing` find absent calls under other people. `listing` names them, and `verifying` puts all this together.
"""

from km_cli.verify.export.files import ExportError
from km_cli.verify.export.result import (
    MOST_LISTED,
    AbsentCall,
    Detail,
    OtherPerson,
    UnknownRecord,
    Verified,
)
from km_cli.verify.export.verifying import ExportRequest, verify_export

__all__ = [
    "MOST_LISTED",
    "AbsentCall",
    "Detail",
    "ExportError",
    "ExportRequest",
    "OtherPerson",
    "UnknownRecord",
    "Verified",
    "verify_export",
]
