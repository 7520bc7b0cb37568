"""Runs the command line in this process, many times a second, with a tracker and a ledger."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.support.accounting import Call, calls_of, complaints, rejected_in
from tests.support.command import KEY, TRANSPORT
from tests.support.inprocess import run
from tests.support.people import ACCOUNT_KEY
from tests.support.rowcount import Form
from tests.support.rowlogs import Kind
from tests.support.tracker import Tracker

PARTNERS_KEY = "00112233445566778899aabbccddeeff00112233"
SITES = {KEY: "main", ACCOUNT_KEY: "accounts", PARTNERS_KEY: "partners"}
ENVIRONMENT = {
    **TRANSPORT,
    "KM_API_KEY": KEY,
    "KM_ACCOUNT_API_KEY": ACCOUNT_KEY,
    "KM_PARTNERS_API_KEY": PARTNERS_KEY,
    "KM_CLI_DEBUG": "1",
}


class Ran(NamedTuple):
    """How a run ended, and the summary of what it did."""

    code: int
    summary: dict[str, Any]
    err: str

    @property
    def counted(self) -> dict[str, Any]:
        """What a dry run and the import after it agree on: all but what a dry run proposes."""
        findings = {code: n for code, n in self.summary["findings"].items() if code != "id-column"}
        rows = {name: self.summary["rows"][name] for name in ("read", "sent", "skipped", "rejected")}
        return {
            **rows,
            "planned": self.summary["calls"]["planned"],
            "findings": findings,
            "reasons": self.summary["reasons"],
        }


class Bench:
    """A folder with a ledger of its own, and the tracker that its imports go to."""

    def __init__(self, folder: Path, tracker: Tracker) -> None:
        self.folder = folder
        self.tracker = tracker
        self.ledger = folder / "ledger.db"
        self.rejects: list[Path] = []
        self.environment: dict[str, str] = {}

    def write(self, name: str, text: str) -> Path:
        """Write a file of the folder."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def run(self, command: str, *words: str | Path) -> Ran:
        """Run a command with a rejects file of its own; return how it ended."""
        rejects = self.folder / f"rejects-{len(self.rejects)}"
        self.rejects.append(rejects)
        usual: tuple[str | Path, ...] = ("--to", self.tracker.url, "--ledger", self.ledger, "--json")
        if command != "dry-run":
            usual = (*usual, "--rejects", rejects)
        return ran(command, *words, *usual, **self.environment)

    def flags(self, kind: Kind) -> tuple[str, ...]:
        """Return the options that read a log with these personas."""
        if not kind.toml:
            return kind.flags
        return (*kind.flags, "--config", str(self.write("km.toml", kind.toml)))

    def send(self, *words: str | Path, code: int | None = None) -> Ran:
        """Import; without `code` it may end with rejects or without."""
        result = self.run("import", *words)
        assert result.code in ((0, 65) if code is None else (code,)), f"exit {result.code}: {result.err}"
        return result

    def calls(self) -> list[Call]:
        """Return the records that arrived."""
        return calls_of(self.tracker.hits, SITES)

    def wires(self) -> set[tuple[str, str, str, bytes]]:
        """Return the bytes of all that arrived, sets and aliases too."""
        return {hit.wire for hit in self.tracker.hits}

    def check(self, files: Sequence[Path], form: Form, overlap: str = "ask") -> None:
        """Each row is sent, known, or in a rejects file; nothing came twice."""
        assert len(self.wires()) == len(self.tracker.hits), "a call came twice, byte for byte"
        rejected = rejected_in(*self.rejects)
        wrong = complaints(files, form, self.calls(), overlap, rejected)
        assert not wrong, "\n".join(wrong[:20])


@contextmanager
def fresh(tracker: Tracker) -> Iterator[Bench]:
    """A bench in a folder that is gone afterwards; the tracker begins with nothing."""
    tracker.forget()
    with TemporaryDirectory() as folder:
        yield Bench(Path(folder), tracker)


def ran(*words: str | Path, **environment: str) -> Ran:
    """Run a command line in this process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KM_")}
    code, out, err = run([str(word) for word in words], {**kept, **ENVIRONMENT, **environment})
    return Ran(code, json.loads(out) if out.startswith("{") else {}, err)
