"""Text → a cell that no spreadsheet takes for a formula, and back."""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t]")
"""The beginning of a cell that a spreadsheet would take for a formula, or of one that is guarded already.

The quotation marks count, so that taking one off gives back any value.
"""

_GUARDED = re.compile(r"'+[=+\-@\t]")


def guarded(value: str) -> str:
    """Return a value as a cell that no spreadsheet takes for a formula."""
    return f"'{value}" if _FORMULA.match(value) else value


def unguarded(cell: str) -> str:
    """Return the value of a cell: `guarded` undone, whatever the value."""
    return cell[1:] if _GUARDED.match(cell) else cell
