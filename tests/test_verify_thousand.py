"""Of 1,000 calls that are lost, merged or alien on purpose, `km-cli verify` names every one, and no other."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from zlib import crc32

import pytest

from tests.support.command import Command
from tests.support.exporting import Fact, damage, fact_of, records_of, write_export
from tests.support.patience import PATIENCE
from tests.support.people import configure
from tests.support.tracker import BAD, Hit, Reaction, Tracker, flaky

ROWS = 1_400
TOML = """
[[personas]]
name = "user"
[[personas]]
name = "account"
set = ["plan"]
"""


def log_of(folder: Path) -> Path:
    """Write a log: each second has two rows, some of one account, so that calls are moved."""
    draw = random.Random(7)
    rows = [
        f"2024-03-01T09:{n // 120:02}:{n // 2 % 60:02}Z,u{draw.randrange(300)},"
        f"Acme {draw.randrange(4)},{draw.choice(('In', 'Paid', 'Signed Up'))},{n + 2},"
        f"{draw.choice(('free', 'pro', 'team'))}"
        for n in range(ROWS)
    ]
    rows[40] = rows[40].replace("2024", "1924")
    path = folder / "log.csv"
    path.write_text("\n".join(["timestamp,user,account,event,n,plan", *rows, ""]))
    return path


def second_of(line: int) -> int:
    """Return the second of a line of the log."""
    return 1_709_283_600 + (line - 2) // 2


class Trouble:
    """A tracker that refuses one call of fifty, fails now and then, and kills the process at a request."""

    def __init__(self) -> None:
        self._faults = flaky(3, 0.02)
        self.process: subprocess.Popen[str] | None = None
        self.at = 0

    def __call__(self, hit: Hit, number: int) -> Reaction:
        if self.process is not None and number >= self.at:
            self.process.kill()
        return BAD if crc32(hit.query.encode()) % 50 == 0 else self._faults(hit, number)


def import_through_trouble(importer: Command, tracker: Tracker, log: Path) -> None:
    """Import; three runs are killed, others are ended by the tracker, until one comes to its end."""
    tracker.behave = trouble = Trouble()
    for _ in range(3):
        trouble.at = len(tracker.seen) + 200
        trouble.process = process = importer.start("import", log)
        process.communicate(timeout=PATIENCE)
        trouble.process = None
    for _ in range(30):
        if importer("import", log).code == 65 and not importer("status", "--json").summary["pending"]:
            return
    pytest.fail("the import did not come to its end")


def verified(importer: Command, export: Path, log: Path, details: Path, code: int) -> list[dict[str, object]]:
    importer("verify", export, "--source", log, "--details", details).ended(code)
    return [json.loads(line) for line in details.read_text(encoding="utf-8").splitlines()]


def fact(detail: dict[str, object]) -> Fact:
    from datetime import datetime

    moment = datetime.fromisoformat(str(detail["time"]))
    return Fact(int(moment.timestamp()), str(detail["event"] or ""), str(detail["identity"]))


@pytest.mark.slow
def test_every_call_is_named_and_no_other(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    configure(importer, TOML)
    log = log_of(tmp_path)
    import_through_trouble(importer, tracker, log)
    lines = records_of(tracker.hits)
    assert any("_n" not in line for line in lines)
    assert len({json.dumps(line) for line in lines}) < len(lines), "no call came twice"
    assert any(line["_t"] != second_of(int(line["n"])) for line in lines if "n" in line), "no call was moved"
    whole = write_export(tmp_path / "whole", lines)
    assert verified(importer, whole, log, tmp_path / "whole.jsonl", 0) == []
    done = damage(lines, 1_000, random.Random(11))
    assert len(done.lost) + len(done.moved) + len(done.alien) == 1_000
    assert len(done.lost) > 300 < len(done.moved)
    export = write_export(tmp_path / "damaged", done.lines, packed=True)
    found = verified(importer, export, log, tmp_path / "details.jsonl", 65)
    by_outcome = {
        outcome: [one for one in found if one["outcome"] == outcome]
        for outcome in ("absent", "other_person", "not_in_ledger")
    }
    assert sorted(map(fact, by_outcome["absent"])) == sorted(done.lost)
    moved = {fact(one): (one["other"], one["by_alias"]) for one in by_outcome["other_person"]}
    assert moved == done.moved
    assert len(by_outcome["other_person"]) == len(moved)
    assert sorted(map(fact, by_outcome["not_in_ledger"])) == sorted(done.alien)
    rows = {fact_of(line): int(line["n"]) for line in lines if "n" in line}
    for one in (*by_outcome["absent"], *by_outcome["other_person"]):
        assert one["source"] == str(log)
        if one["event"]:
            assert one["line"] == rows[fact(one)], one
