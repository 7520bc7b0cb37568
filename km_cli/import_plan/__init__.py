"""The import plan: a text file that says which calls an import will send, for review before it does.

`km-cli dry-run --out` writes it, and `km-cli import --plan` sends exactly these calls or refuses. `content`
has its parts, `chain` the digests of its calls, `writing` and `reading` its text, and `differences` compares
two plans in words.
"""

from __future__ import annotations

from km_cli.import_plan.chain import START, Block, CallChain, Position
from km_cli.import_plan.content import CallsOf, Found, ImportPlan, Input, LedgerPart, Proof, Total
from km_cli.import_plan.differences import (
    changes,
    differences,
    differences_of_files,
    first_change,
    first_change_of_rest,
)
from km_cli.import_plan.reading import parse
from km_cli.import_plan.writing import signed, text_of

__all__ = [
    "START",
    "Block",
    "CallChain",
    "CallsOf",
    "Found",
    "ImportPlan",
    "Input",
    "LedgerPart",
    "Position",
    "Proof",
    "Total",
    "changes",
    "differences",
    "differences_of_files",
    "first_change",
    "first_change_of_rest",
    "parse",
    "signed",
    "text_of",
]
