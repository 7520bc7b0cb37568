"""Small logs, and what a message about them must have."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import Result

HEADER = "user,account,event,timestamp,plan\n"
ROW = "ada,Acme,Clicked,2024-01-01T00:00:00Z,pro\n"
COMMANDS = ("import", "dry-run")


def written(folder: Path, rows: str | bytes, header: str = HEADER, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(header.encode() + (rows if isinstance(rows, bytes) else rows.encode()))
    return path


def said(result: Result, *parts: str) -> None:
    """Check that the message names these, and a next step; one line each, nothing that a terminal obeys."""
    first, next_step, *_ = result.err.splitlines()
    assert first.startswith("km-cli: ")
    assert next_step.startswith("  next: ")
    assert len(next_step) > len("  next: ") + 5
    assert [part for part in parts if part not in result.err] == []
    assert "\x1b" not in result.err
