"""Screens that are kept as text in `tests/screens`, for people to look at.

`WRITE_SCREENS=yes python -m pytest -m "" -k screen` writes them anew: look at each before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

SCREENS = Path(__file__).parent.parent / "screens"


def check_screen(name: str, text: str) -> None:
    """Compare a screen with the one that is kept."""
    path = SCREENS / f"{name}.txt"
    if os.environ.get("WRITE_SCREENS") == "yes":
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text
