"""Every line of bad-input.md about single files and rows, in one run of the real command a case."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.make_bad import AT, FIRST, GOOD, HEADER, LAST, SHAPE, TIME, Bad, Call, csv, did, jsonl, main
from tests.make_bad_values import VALUES
from tests.support.command import Command
from tests.support.logs import said
from tests.support.tracker import ENDLESS, Tracker, redirect

CASES = [*SHAPE, *TIME, *VALUES]
COUNTS = ("sent", "skipped", "rejected", "held", "pending")


def arrived(tracker: Tracker) -> list[Call]:
    """Return the calls that the tracker recorded, in any order. Each must have the form of a Call."""
    calls = []
    for params in tracker.calls():
        person, event, second = (params.pop(name) for name in ("_p", "_n", "_t"))
        assert params.pop("_d") == "1"
        calls.append(Call(person, event, int(second), tuple(sorted(params.items()))))
    return sorted(calls)


def counted(out: str) -> tuple[dict[str, int], dict[str, int]]:
    """Return rows and findings of a summary: of the object that --json prints, or of the table."""
    if out.startswith("{"):
        summary = json.loads(out)
        return summary["rows"], summary["findings"]
    table, _, found = out.partition("\nfindings\n")
    rows = re.findall(r"^(?:rows|  ) ?(\w+) +([\d,]+)", table, re.MULTILINE)
    heads = re.findall(r"^  \S (\w+) +([\d,]+)  .*\((\S+)\)$", found, re.MULTILINE)
    return _numbers(rows), _numbers([(code, number) for word, number, code in heads if word != "rejected"])


EVERYWHERE = {"crossover", "dates"}
"""Findings of any log in which an account does as its users do, or a time is a date."""

NORMALISED = {
    "byte order mark": "byte-order-mark",
    "line ends": "line-ends",
    "blank line": "blank-lines",
    "blanks around": "blanks-around-ids",
    "of a second": "fractions-floored",
    "empty value": "empty-values",
    "without an id": "parts-without-id",
}
"""Words of the summary for people, and of the other one."""


def normalised(out: str) -> dict[str, int]:
    """Return the counts of normalised forms, of either summary."""
    if out.startswith("{"):
        return dict(json.loads(out)["normalised"])
    line = "".join(re.findall(r"^normalised: (.*)", out, re.MULTILINE))
    pairs = [part.split(" ", 1) for part in line.split(", ") if part]
    return _numbers(
        [(word, number) for number, text in pairs for part, word in NORMALISED.items() if part in text]
    )


def _numbers(pairs: list[tuple[str, str]]) -> dict[str, int]:
    return {name: int(number.replace(",", "")) for name, number in pairs}


def harmless(text: str) -> bool:
    return all(letter == "\n" or letter.isprintable() for letter in text)


@pytest.mark.parametrize("bad", [pytest.param(bad, id=f"{bad.name}: {bad.line}") for bad in CASES])
def test_bad_input(importer: Command, tracker: Tracker, tmp_path: Path, bad: Bad) -> None:
    """Its exit code, its counts, its messages and the calls that arrive are exactly those of the table."""
    path = tmp_path / bad.name
    path.write_bytes(bad.content)
    # Findings are shown to people only.
    result = importer("import", path, *bad.flags, "-v" if bad.findings else "--json").ended(bad.exit)

    assert arrived(tracker) == sorted(bad.sent)
    rows, findings = counted(result.out)
    assert rows["read"] == sum(rows.get(name, 0) for name in COUNTS)
    assert tuple(rows.get(name, 0) for name in COUNTS) == (*bad.rows, 0, 0)
    assert {code: count for code, count in findings.items() if code not in EVERYWHERE} == dict(bad.findings)
    assert normalised(result.out) == dict(bad.normalised)
    rejects = importer.rejects()
    assert [(reject["code"], reject["line"]) for reject in rejects] == list(bad.reasons)
    assert {reject["source"] for reject in rejects} <= {str(path)}
    shown = result.out + result.err
    assert harmless(shown)
    whole = shown + "".join(reject["reason"] for reject in rejects)
    assert [part for part in bad.said if part not in whole] == []
    if bad.exit:
        said(result)
    else:
        assert result.err == ""


def test_files_are_named_for_what_is_wrong(tmp_path: Path) -> None:
    """Each once; the script writes them."""
    main(str(tmp_path))
    assert Counter(path.name for path in tmp_path.iterdir()) == Counter(bad.name for bad in CASES)


# file that changed where it was already read (rewritten, truncated, replaced)


@pytest.mark.parametrize(
    ("now", "rows", "new"),
    [
        (HEADER + FIRST.replace(b"pro", b"max") + LAST + b"cyd,Acme,In,1704067230,\n", (1, 1, 1),
        did("cyd Acme", "In", AT + 30)),
        (HEADER + FIRST, (0, 1, 0), ()),
        (HEADER + LAST + b"cyd,Acme,In,1704067230,\n", (1, 1, 0), did("cyd Acme", "In", AT + 30)),
    ],
    ids=["rewritten", "truncated", "replaced"],
)  # fmt: skip
def test_a_file_that_changed_where_it_was_read(
    importer: Command,
    tracker: Tracker,
    tmp_path: Path,
    now: bytes,
    rows: tuple[int, int, int],
    new: tuple[Call, ...],
) -> None:
    """A new reading from its start; known calls are skipped, and a row with other values is in conflict."""
    path = tmp_path / "changed.csv"
    path.write_bytes(csv())
    importer("import", path).ended(0)
    path.write_bytes(now)
    found, _ = counted(importer("import", path, "--json").ended(65 if rows[2] else 0).out)
    assert (found["sent"], found["skipped"], found["rejected"]) == rows
    assert arrived(tracker) == sorted((*GOOD, *new))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_corrected_reject_is_sent_and_nothing_else(
    importer: Command, tracker: Tracker, tmp_path: Path, form: str
) -> None:
    """A rejected row keeps its raw bytes: correct them, import the file, done."""
    content = csv(b"guest,Acme,In,1704067230,pro\n")
    if form == "jsonl":
        content = jsonl(b'"plan":"pro"').replace(b"cyd", b"guest")
    (tmp_path / f"log.{form}").write_bytes(content)
    importer("import", tmp_path / f"log.{form}", "--rejects", tmp_path / "rejects.jsonl").ended(65)
    text = (tmp_path / "rejects.jsonl").read_text()
    line = json.loads(text)
    assert line["raw"].encode() in content
    line["raw"] = line["raw"].replace("guest", "cyd")
    (tmp_path / "rejects.jsonl").write_text(json.dumps(line) + "\n")
    for sent in (1, 0):
        found, _ = counted(importer("import", tmp_path / "rejects.jsonl", "--json").ended(0).out)
        assert (found["sent"], found["skipped"]) == (sent, 1 - sent)
    importer("import", tmp_path / f"log.{form}").ended(0)
    assert arrived(tracker) == sorted((*GOOD, *did("cyd Acme", "In", AT + 30, plan="pro")))


def test_what_is_normalised_is_counted_where_this_run_read_it(importer: Command, tmp_path: Path) -> None:
    """A growing file: each blank line and empty value once; then in words, of several files together."""
    path = tmp_path / "growing.csv"
    path.write_bytes(b"\xef\xbb\xbf" + csv(b"\n cyd,Acme,In,1704067230.5,\r\n"))
    found = normalised(importer("import", path, "--json").ended(0).out)
    assert found == {
        "byte-order-mark": 1,
        "line-ends": 1,
        "blank-lines": 1,
        "blanks-around-ids": 1,
        "fractions-floored": 1,
        "empty-values": 1,
    }
    with path.open("ab") as file:
        file.write(b"\ncyd,Acme,In,1704067290,\n")
    found = normalised(importer("import", path, "--json").ended(0).out)
    assert found == {"blank-lines": 1, "empty-values": 1}
    assert normalised(importer("import", path, "--json").ended(0).out) == {}
    (tmp_path / "other.csv").write_bytes(b"\n" + csv().replace(b"\n", b"\r\n"))
    afresh = ("--to", f"local:{tmp_path / 'store.db'}")
    both = importer("dry-run", path, tmp_path / "other.csv", *afresh).ended(0).out
    assert "normalised: 1 byte order mark, 2 files with line ends other than LF, 3 blank lines, " in both


# hostile


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://trk.kissmetrics.io", ("unencrypted", "https://")),
        ("http://localhost.example.com", ("unencrypted", "https://")),
        ("https://ada:lovelace@example.com", ("user or password", "environment")),
    ],
)
def test_urls_that_no_key_may_go_to(km: Command, tmp_path: Path, url: str, parts: tuple[str, ...]) -> None:
    """http:// other than loopback, user:password in a URL."""
    (tmp_path / "log.csv").write_bytes(csv())
    result = km("import", tmp_path / "log.csv", "--to", url).ended(2)
    said(result, *parts)
    assert "lovelace" not in result.err


@pytest.mark.parametrize("key", ["se\ncret", "se cret", "se\tcret", "se\rcret"])
def test_a_key_with_line_breaks_or_blanks(
    importer: Command, tracker: Tracker, tmp_path: Path, key: str
) -> None:
    """It is named by its variable, and not shown."""
    (tmp_path / "log.csv").write_bytes(csv())
    importer.environment["KM_API_KEY"] = key
    result = importer("import", tmp_path / "log.csv").ended(2)
    said(result, "KM_API_KEY")
    assert "cret" not in result.err
    assert not tracker.seen


def test_a_redirect_is_not_followed(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """The key goes nowhere but where it was sent."""
    (tmp_path / "log.csv").write_bytes(HEADER + FIRST)
    with Tracker() as elsewhere:
        tracker.behave = lambda _hit, _number: redirect(f"{elsewhere.url}/e")
        said(importer("import", tmp_path / "log.csv").ended(69), "redirect")
        assert not elsewhere.seen


def test_an_endless_answer_is_bounded(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """It is no acknowledgement, and ends."""
    (tmp_path / "log.csv").write_bytes(HEADER + FIRST)
    tracker.behave = lambda _hit, _number: ENDLESS
    said(importer("import", tmp_path / "log.csv", "--attempts", "1").ended(75), "run the same command again")


def test_a_decompression_bomb_is_bounded(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """A record that unpacks to 64 MiB is rejected like any that is too long, and read on behind."""
    import gzip

    path = tmp_path / "bomb.csv.gz"
    bomb = b"cyd,Acme,In,1704067230," + b"0" * (64 << 20) + b"\n"
    path.write_bytes(gzip.compress(csv(bomb), 6))
    importer("import", path).ended(65)
    assert [reject["code"] for reject in importer.rejects()] == ["record-too-long"]
    assert arrived(tracker) == sorted(GOOD)


def _write_by_others(path: Path) -> None:
    path.chmod(0o666)


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))
    path.symlink_to("elsewhere.db")


def _damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100] + os.urandom(4096))


def _be_newer(path: Path) -> None:
    database = sqlite3.connect(path)
    with database:
        database.execute("UPDATE meta SET value = '99' WHERE key = 'version'")
    database.close()


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (_write_by_others, ("can be written by others", "chmod go-w")),
        (_link, ("is a link to elsewhere", "--ledger", "elsewhere.db")),
        (_damage, ("ledger", "left as it is", "--ledger PATH")),
        (_be_newer, ("newer km-cli", "99", "update km-cli")),
    ],
    ids=["others-can-write", "link", "damaged", "newer"],
)
def test_ledgers_that_are_not_used(
    importer: Command, tracker: Tracker, tmp_path: Path, spoil: Callable[[Path], None], parts: tuple[str, ...]
) -> None:
    """Nothing is sent, and the file stays as it is."""
    (tmp_path / "empty.csv").write_bytes(HEADER)
    (tmp_path / "log.csv").write_bytes(csv())
    importer("import", tmp_path / "empty.csv").ended(0)
    spoil(importer.state / "ledger.db")
    before = (importer.state / "ledger.db").read_bytes()
    said(importer("import", tmp_path / "log.csv").ended(73), *parts)
    assert not tracker.seen
    assert (importer.state / "ledger.db").read_bytes() == before
