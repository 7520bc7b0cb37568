"""Rows that differ in any column are different events for every persona, whatever the persona carries."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import SAMPLES
from tests.support.bench import Bench
from tests.support.rowlogs import BY_NAME, COLUMNS, KINDS, Kind, Row, as_csv, as_jsonl, row, seeded

kinds = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
BARE = BY_NAME["no-properties"]
TWINS = [row(0, note="1"), row(0, note="2"), row(0, note="3"), row(8, note="1")]
OFFSET = COLUMNS.index("offset")


def numbered(rows: list[Row], first: int) -> list[Row]:
    """Give each row an offset, as a message broker does."""
    return [(*one[:OFFSET], str(first + at)) for at, one in enumerate(rows)]


def users(bench: Bench) -> list[int]:
    """The seconds at which ada did something."""
    return sorted(call.second % 60 for call in bench.calls() if call.identity == "ada")


def test_three_contacts_that_one_user_invites_in_one_second(bench: Bench) -> None:
    """samples/teams.toml: the user and the account did it three times, each contact once."""
    rows = [row(0, contact=contact) for contact in ("zoe", "max", "kim")]
    log = bench.write("log.csv", as_csv(rows, ("timestamp", "user", "account", "contact", "event", "plan")))
    flags = ("--config", SAMPLES / "teams.toml", "--strict")
    dry = bench.run("dry-run", log, *flags)
    assert dry.code == 0, dry.err
    assert bench.send(log, *flags, code=0).counted == dry.counted
    times = {name: sum(call.event == name for call in bench.calls()) for name in ("Invited", "Was Invited")}
    assert times == {"Invited": 3, "Was Invited": 3}
    assert sorted(call.second % 60 for call in bench.calls() if call.event == "Account Invited") == [0, 1, 2]
    bench.check([log], BY_NAME["teams"].form)


@kinds
@pytest.mark.parametrize("form", [as_csv, as_jsonl], ids=["csv", "jsonl"])
def test_every_row_of_a_crowded_log_is_sent(bench: Bench, kind: Kind, form: object) -> None:
    """Forty rows within five seconds; a second import of it sends nothing, and neither does a copy."""
    rows = seeded(3, 40, 5)
    name = "log.csv" if form is as_csv else "log.jsonl"
    log = bench.write(name, as_csv(rows) if form is as_csv else as_jsonl(rows))
    bench.send(log, *bench.flags(kind))
    bench.check([log], kind.form)
    sent = len(bench.wires())
    copy = bench.write(f"copy-{name}", as_csv(rows[::-1]) if form is as_csv else as_jsonl(rows[::-1]))
    assert bench.send(log, *bench.flags(kind)).summary["rows"]["sent"] == 0
    assert bench.send(copy, *bench.flags(kind)).summary["rows"]["sent"] == 0
    assert len(bench.wires()) == sent


@kinds
def test_rows_that_differ_in_a_column_that_is_not_sent(bench: Bench, kind: Kind) -> None:
    log = bench.write("log.csv", as_csv(TWINS))
    bench.send(log, *bench.flags(kind), code=0)
    assert users(bench) == [0, 1, 2, 3]
    bench.check([log], kind.form)


def test_a_log_with_a_unique_column_of_which_one_property_is_sent(bench: Bench) -> None:
    """The column tells rows apart without being named."""
    log = bench.write("log.csv", as_csv(numbered([row(0)] * 5, 100)))
    bench.send(log, "--property", "plan", code=0)
    assert users(bench) == [0, 1, 2, 3, 4]


@kinds
def test_rows_that_are_alike_in_every_column_are_one(bench: Bench, kind: Kind) -> None:
    """That is said, and is no loss."""
    log = bench.write("log.csv", as_csv([TWINS[0], *TWINS, TWINS[0]]))
    result = bench.send(log, *bench.flags(kind), "--strict", code=0)
    assert result.summary["findings"]["alike-rows"] == 2
    assert users(bench) == [0, 1, 2, 3]
    bench.check([log], kind.form)


def test_rows_that_differ_only_in_spelling_a_blank_are_alike(bench: Bench) -> None:
    """JSON's null, an empty text and no key at all are the same."""
    cells = '"timestamp": "2024-03-01T12:00:00Z", "user": "ada", "event": "Paid"'
    rows = [f"{{{cells}}}\n", f'{{{cells}, "note": null}}\n', f'{{{cells}, "note": ""}}\n']
    log = bench.write("log.jsonl", "".join(rows))
    assert bench.send(log, code=0).summary["findings"]["alike-rows"] == 2
    assert users(bench) == [0]


@pytest.mark.parametrize("swapped", [False, True])
def test_values_that_change_places_are_no_twins(bench: Bench, swapped: bool) -> None:
    """Two columns whose values are exchanged make another row, in one file and in two."""
    header = ("timestamp", "user", "event", "a", "b")
    rows = [("2024-03-01T12:00:00Z", "ada", "Paid", *values) for values in (("1", "2"), ("2", "1"))]
    texts = [as_csv(rows, header, header)]
    if swapped:
        texts.append(as_csv(rows[::-1], header[::-1], header))
    for number, text in enumerate(texts):
        bench.send(bench.write(f"{number}.csv", text), "--no-properties", code=0)
    assert users(bench) == [0, 1]


# --id


def test_an_id_is_all_that_tells_rows_apart(bench: Bench) -> None:
    """Rows with the same id are one, also in another file with other values; others are not."""
    kind = BARE._replace(form=BARE.form._replace(id="offset"))
    rows = numbered(TWINS, 1)
    again = [(*one[: OFFSET - 1], "changed", one[OFFSET]) for one in rows[1:]]
    log = bench.write("log.csv", as_csv([*rows, rows[0], *numbered(TWINS[:1], 9)]))
    export = bench.write("export.csv", as_csv([*again, *numbered(TWINS[:1], 10)]))
    bench.send(log, *kind.flags, "--id", "offset", code=0)
    assert len(users(bench)) == 5
    bench.send(export, *kind.flags, "--id", "offset", code=0)
    assert len(users(bench)) == 6
    bench.check([log, export], kind.form)


def test_rows_without_an_id_are_told_by_their_columns(bench: Bench) -> None:
    kind = BARE._replace(form=BARE.form._replace(id="offset"))
    rows = [*TWINS, TWINS[0], *numbered(TWINS, 1)]
    log = bench.write("log.csv", as_csv(rows))
    bench.send(log, *kind.flags, "--id", "offset", code=0)
    assert len(users(bench)) == 8
    bench.check([log], kind.form)


# Ignored columns


@pytest.mark.parametrize("where", ["flag", "km.toml"])
def test_lines_that_were_delivered_again_with_another_offset(bench: Bench, where: str) -> None:
    """In one file and in another one: with the offset ignored they are the same rows."""
    flags: tuple[str, ...] = ("--ignore-column", "offset", "--exclude-property", "contact")
    if where == "km.toml":
        toml = bench.write("km.toml", '[columns]\nignore = ["offset"]\nexclude = ["contact"]\n')
        flags = ("--config", str(toml))
    form = BY_NAME["all-but-note"].form._replace(ignored=("offset",), excluded=("contact",))
    log = bench.write("log.csv", as_csv(numbered(TWINS, 1) + numbered(TWINS[:2], 5)))
    again = bench.write("again.csv", as_csv(numbered(TWINS[2:], 900) + numbered([row(16)], 990)))
    bench.send(log, *flags, code=0)
    assert users(bench) == [0, 1, 2, 3]
    bench.send(again, *flags, code=0)
    assert users(bench) == [0, 1, 2, 3, 4]
    bench.check([log, again], form)
    assert not any("offset" in hit.params for hit in bench.tracker.hits), "an ignored column was sent"


def test_a_column_that_is_not_there_cannot_be_ignored(bench: Bench) -> None:
    log = bench.write("log.csv", as_csv(TWINS))
    result = bench.run("import", log, "--ignore-column", "offzet")
    assert result.code == 2
    assert "offzet" in result.err


# The same, however it runs


@kinds
@pytest.mark.parametrize("limit", [pytest.param(1, marks=pytest.mark.slow), 7])
def test_an_interrupted_import_sends_the_same(bench: Bench, tmp_path: Path, kind: Kind, limit: int) -> None:
    """So many rows a run, until all are sent."""
    log = bench.write("log.csv", as_csv(seeded(5, 14, 2)))
    bench.send(log, *bench.flags(kind))
    whole = bench.wires()
    bench.tracker.forget()
    (tmp_path / "parts").mkdir()
    parts = Bench(tmp_path / "parts", bench.tracker)
    for _ in range(14 // limit):
        parts.send(log, *parts.flags(kind), "--limit", str(limit), "--batch-size", "2")
    assert parts.send(log, *parts.flags(kind)).summary["rows"]["sent"] == 0
    assert parts.wires() == whole
    parts.check([log], kind.form)


@kinds
def test_a_dry_run_says_the_same(bench: Bench, kind: Kind) -> None:
    """For a log, and for an export of it that overlaps and differs in places."""
    rows = seeded(9, 40, 6)
    drifted = [(*one[:5], "other", *one[6:]) if at % 7 == 0 else one for at, one in enumerate(rows[10:])]
    for name, found in (("log.csv", rows[:30]), ("export.csv", drifted)):
        log = bench.write(name, as_csv(found))
        before = bench.ledger.read_bytes() if bench.ledger.exists() else b""
        dry = bench.run("dry-run", log, *bench.flags(kind))
        assert (bench.ledger.read_bytes() if bench.ledger.exists() else b"") == before
        assert bench.send(log, *bench.flags(kind), code=dry.code).counted == dry.counted
