"""Compares two versions of km-cli: the same logs must give the same calls and the same summaries.

    git worktree add /tmp/before HEAD~1
    python -m tests.compare_versions /tmp/before .

Each case is rehearsed and then imported, a file at a time, by the code of both checkouts, into a tracker on
loopback and a ledger of its own. What differs is printed, and the exit code is 1 if anything does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.command import KEY
from tests.support.people import ACCOUNT_KEY
from tests.support.rowlogs import KINDS, as_csv, as_jsonl, seeded
from tests.support.tracker import Tracker

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
RECEIPT = ROOT.parent / "shared" / "data" / "receipt.csv"
RECEIPT_FLAGS = ("--user", "org:resource", "--account", "case:concept:name", "--event", "concept:name")
PARTNERS_KEY = "00112233445566778899aabbccddeeff00112233"


class Case(NamedTuple):
    """Files that are imported one after the other with the same flags; `toml` is their km.toml."""

    name: str
    files: tuple[Path, ...]
    flags: tuple[str, ...] = ()
    toml: str = ""


def cases(folder: Path) -> Iterator[Case]:
    """Yield the cases; generated logs are written into `folder`."""
    events, teams = SAMPLES / "events.csv", SAMPLES / "teams.csv"
    yield Case("sample", (events, SAMPLES / "events.jsonl"))
    for flags in (
        ("--strategy", "property"),
        ("--strategy", "sites"),
        ("--no-properties",),
        ("--limit", "300"),
    ):
        yield Case(" ".join(("sample", *flags)), (events,), flags)
    yield Case("teams", (teams,), ("--config", str(SAMPLES / "teams.toml")))
    if RECEIPT.exists():
        for flags in ((), ("--no-properties",), ("--strategy", "property"), ("--spread", "600")):
            words = (*RECEIPT_FLAGS, "--timestamp", "time:timestamp", *flags)
            yield Case(" ".join(("receipt", *flags)), (RECEIPT,), words)
    for number, kind in enumerate(KINDS):
        rows = seeded(number, 200, 20)
        written = {"0.csv": as_csv(rows[:120]), "1.csv": as_csv(rows[80:]), "2.jsonl": as_jsonl(rows)}
        for name, text in written.items():
            (folder / f"{kind.name}-{name}").write_text(text, encoding="utf-8")
        files = tuple(folder / f"{kind.name}-{name}" for name in written)
        yield Case(f"generated, {kind.name}", files, kind.flags, kind.toml)


def outcome(checkout: Path, case: Case, tracker: Tracker) -> dict[str, Any]:
    """Return what a checkout makes of a case."""
    tracker.forget()
    said: list[Any] = []
    with tempfile.TemporaryDirectory() as home:
        ledger = Path(home, "ledger.db")
        flags = list(case.flags)
        if case.toml:
            Path(home, "km.toml").write_text(case.toml, encoding="utf-8")
            flags += ["--config", str(Path(home, "km.toml"))]
        for file in case.files:
            for verb in ("dry-run", "import"):
                words = [verb, str(file), *flags, "--to", tracker.url, "--ledger", str(ledger), "--json"]
                said.append(_summary(checkout, words, home))
    return {"calls": sorted(hit.wire for hit in tracker.hits), "said": said}


def _summary(checkout: Path, words: list[str], home: str) -> Any:
    """Run a command; return its exit code and its summary, without the time that it took."""
    keys = {"KM_API_KEY": KEY, "KM_ACCOUNT_API_KEY": ACCOUNT_KEY, "KM_PARTNERS_API_KEY": PARTNERS_KEY}
    done = subprocess.run(
        [sys.executable, "-m", "km_cli", *words],
        cwd=checkout,
        env={**os.environ, **keys, "HOME": home, "XDG_STATE_HOME": home},
        capture_output=True,
        text=True,
        check=False,
    )
    summary = json.loads(done.stdout) if done.stdout else done.stderr
    if isinstance(summary, dict):
        summary.pop("seconds", None)
        summary["calls"].pop("retried", None)
    return done.returncode, summary


def main(before: str, after: str) -> int:
    """Compare two checkouts; return the exit code."""
    differing = 0
    with Tracker() as tracker, tempfile.TemporaryDirectory() as folder:
        for case in cases(Path(folder)):
            old, new = (outcome(Path(checkout).resolve(), case, tracker) for checkout in (before, after))
            same = old == new
            differing += not same
            print(f"{'same' if same else 'DIFFERS':8} {len(new['calls']):7,} calls  {case.name}", flush=True)
            if not same:
                print(_difference(old, new))
    return int(differing > 0)


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    lost, added = (
        [wire for wire in one["calls"] if wire not in set(other["calls"])]
        for one, other in ((old, new), (new, old))
    )
    lines = [f"    {len(lost)} calls only before, {len(added)} only after: {[*lost[:2], *added[:2]]}"]
    lines += [
        f"    before: {json.dumps(a)}\n    after:  {json.dumps(b)}"
        for a, b in zip(old["said"], new["said"], strict=True)
        if a != b
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
