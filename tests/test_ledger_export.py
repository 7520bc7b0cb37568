"""`km-cli ledger export`: a receipt for each call, from which no person can be guessed."""

from __future__ import annotations

import csv
import json
import os
import stat
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tests.make_ledgers import OLDS, Old
from tests.support.command import Command
from tests.support.old_ledgers import unpacked
from tests.support.people import configure, write
from tests.support.schemas import validator
from tests.support.tracker import OK, UNAVAILABLE, Tracker

ROWS = (
    "ada@example.com,Acme,Clicked,@1,pro",
    "bob@example.com,Acme,Clicked,@1,max",
    "ada@example.com,,Signed Up,@3",
)
SECRET = bytes(range(32))


@pytest.fixture
def sent(importer: Command, tracker: Tracker, tmp_path: Path) -> Command:
    """The command with a ledger of five calls: one was moved, and those of bob are pending."""
    tracker.behave = lambda hit, _: UNAVAILABLE if hit.params["_p"].startswith("bob") else OK
    importer("import", write(tmp_path / "log.csv", *ROWS), "--attempts", "1").ended(75)
    return importer


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    path.chmod(0o600)
    return path


def lines(km: Command, *words: str | Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in km("ledger", "export", *words).ended(0).out.splitlines()]
    for one in found:
        errors = list(
            validator("common").evolve(schema={"$ref": "common.json#/$defs/receipt"}).iter_errors(one)
        )
        assert not errors, errors
    return found


def test_each_call_has_a_receipt(sent: Command, tracker: Tracker, tmp_path: Path) -> None:
    found = lines(sent)
    assert {(one["persona"], one["event"], one["time"][-3:-1], one["moved_seconds"]) for one in found} == {
        ("user", "Clicked", "01", 0),
        ("account", "Clicked", "01", 0),
        ("account", "Clicked", "02", 1),
        ("user", "Signed Up", "03", 0),
    }
    assert {(one["to"], one["site"], one["source"]) for one in found} == {
        (tracker.url, "main", str(tmp_path / "log.csv"))
    }
    assert [one["line"] for one in found if one["state"] == "pending"] == [3]
    assert len(found) == 5


def test_a_person_leaves_only_under_the_secret(sent: Command, secret: Path, tmp_path: Path) -> None:
    """The same person has the same digest, another secret gives other digests, and none is in the ledger."""
    assert all("person" not in one for one in lines(sent))
    found = lines(sent, "--secret-file", secret)
    assert sorted(Counter(one["person"] for one in found).values()) == [1, 2, 2]
    ledger = (sent.state / "ledger.db").read_bytes()
    for one in found:
        assert bytes.fromhex(one["person"])[:8] not in ledger
        assert "example.com" not in json.dumps(one)
    (tmp_path / "other").write_bytes(SECRET[::-1])
    (tmp_path / "other").chmod(0o600)
    others = lines(sent, "--secret-file", tmp_path / "other")
    assert {one["person"] for one in others}.isdisjoint({one["person"] for one in found})


def test_a_table_has_the_same(sent: Command, secret: Path) -> None:
    out = sent("ledger", "export", "--as", "csv", "--secret-file", secret).ended(0).out
    rows = list(csv.DictReader(StringIO(out)))
    as_text = [
        {name: str(value) for name, value in one.items()} for one in lines(sent, "--secret-file", secret)
    ]
    assert rows == as_text


def test_a_file_is_whole_and_for_its_owner_alone(sent: Command, tmp_path: Path) -> None:
    out = tmp_path / "receipts.jsonl"
    found = sent("ledger", "export", "--out", out, "--json").ended(0).summary
    assert (found["calls"], found["bytes"]) == (5, out.stat().st_size)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert out.read_text() == sent("ledger", "export").ended(0).out
    assert "exists already" in sent("ledger", "export", "--out", out).ended(2).err
    assert sent("ledger", "export", "--out", tmp_path / "absent" / "x").ended(74).out == ""
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".rec")] == []
    assert "add --out PATH" in sent("ledger", "export", "--json").ended(2).err


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [
        (SECRET, 0o640, "can be read by others"),
        (SECRET, 0o604, "can be read by others"),
        (SECRET[:31], 0o600, "too short"),
        (b"", 0o600, "too short"),
    ],
)
def test_a_poor_secret_is_refused(
    sent: Command, secret: Path, content: bytes, mode: int, problem: str
) -> None:
    secret.write_bytes(content)
    secret.chmod(mode)
    result = sent("ledger", "export", "--secret-file", secret).ended(2)
    assert problem in result.err
    assert "urandom" not in result.err  # the command for a new secret would overwrite this file
    assert result.out == ""


def test_an_absent_secret_comes_with_the_way_to_make_one(sent: Command, tmp_path: Path) -> None:
    err = sent("ledger", "export", "--secret-file", tmp_path / "none").ended(2).err
    command = err.partition("keep it: ")[2].strip()
    assert os.system(command) == 0
    assert len(lines(sent, "--secret-file", tmp_path / "none")) == 5


def test_properties_and_sites_are_told(importer: Command, tmp_path: Path) -> None:
    configure(
        importer,
        '[sites.main]\nkey_env = "KM_API_KEY"\n[sites.accounts]\nkey_env = "KM_ACCOUNT_API_KEY"\n'
        '[[personas]]\nname = "user"\n'
        '[[personas]]\nname = "account"\nset = ["plan"]\nsite = "accounts"\nrename = "Account {event}"\n',
    )
    importer("import", write(tmp_path / "log.csv", *ROWS)).ended(0)
    kinds = Counter((one["site"], one["persona"], one["event"]) for one in lines(importer))
    assert kinds == {
        ("main", "user", "Clicked"): 2,
        ("main", "user", "Signed Up"): 1,
        ("accounts", "account", "Account Clicked"): 2,
        ("accounts", "account", ""): 2,
    }


@pytest.mark.parametrize("old", OLDS[::4], ids=[old.id for old in OLDS[::4]])
def test_ledgers_of_older_formats_are_exported(km: Command, tmp_path: Path, old: Old) -> None:
    folder = unpacked(old, tmp_path)
    words = ("--to", f"local:{folder}/ledger.db") if old.local else ("--ledger", folder / "ledger.db")
    before = (folder / "ledger.db").read_bytes()
    found = lines(km, *words)
    assert found
    assert {one["state"] for one in found} <= {"acknowledged", "pending"}
    assert (folder / "ledger.db").read_bytes() == before
