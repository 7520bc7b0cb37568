"""Screens that are kept as text in `tests/screens`, for people to look at.

`KM_CLI_SCREENS=write python -m pytest -m "" -k screen` writes them anew: look at each before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

SCREENS = Path(__file__).parent.parent / "screens"


def check_screen(name: str, text: str) -> None:
    """Compare a screen with the one that is kept."""
    path = SCREENS / f"{name}.txt"
    if os.environ.get("KM_CLI_SCREENS") == "write":
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text
