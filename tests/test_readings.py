"""Readings: files that grow, overlap, come in parts or come back corrected (promise 5), in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from km_cli.errors import InputError
from km_cli.mapping import ColumnOptions
from km_cli.model import Overlap
from tests.support.running import run, wire

HEADER = "user,account,event,timestamp,plan,id\n"
MAPPED = ColumnOptions(id="id")


def row(plan: str, event_id: str = "", user: str = "ada", second: str = "00") -> str:
    return f"{user},,Clicked,2024-01-01T00:00:{second}Z,{plan},{event_id}\n"


def plans(folder: Path, *files: str, spread: int = 60) -> list[str]:
    """Import the files (each the rows of one) into one ledger; return the plans sent, sorted."""
    sent = []
    for number, rows in enumerate(files):
        path = folder / f"{number}.csv"
        path.write_text(HEADER + rows, encoding="utf-8")
        planned, _ = run(
            [path], folder / "ledger.db", column_options=MAPPED, spread=spread, overlap=Overlap.REPEATS
        )
        sent += [call["plan"] for call in wire(planned)]
    return sorted(sent)


@pytest.mark.parametrize(
    ("known", "then", "sent"),
    [
        (row("x"), row("y") + row("x"), ["x", "y"]),
        (row("x"), row("x") + row("y"), ["x", "y"]),
        (row("x"), row("y"), ["x"]),
        (row("x"), row("y") + row("y"), ["x"]),
        # some rows have an id and others none
        (row("x", "1"), row("y") + row("x", "1"), ["x", "y"]),
        (row("x", "1"), row("x", "1") + row("y"), ["x", "y"]),
        (row("x", "5"), row("y") + row("x", "2"), ["x", "x"]),
        (row("x", "5"), row("x", "2") + row("y"), ["x", "x"]),
        (row("x"), row("y", "7") + row("x", "8"), ["x", "y"]),
    ],
)
def test_another_log_of_known_deeds(tmp_path: Path, known: str, then: str, sent: list[str]) -> None:
    assert plans(tmp_path, known, then) == sent


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_log_may_grow_at_any_row(tmp_path: Path, cut: int) -> None:
    rows = [row("y"), row("x"), row("z")]
    whole = plans(tmp_path, row("x"), "".join(rows))
    (tmp_path / "parts").mkdir()
    parts = plans(tmp_path / "parts", row("x"), "".join(rows[:cut]), "".join(rows))
    assert parts == whole == ["x", "y", "z"]


def test_many_exports_between_do_not_make_a_log_forget_its_own(tmp_path: Path) -> None:
    others = [row("x") + row("o", user=f"u{number}") for number in range(20)]
    assert plans(tmp_path, row("x"), *others, row("x") + row("y")).count("y") == 1


def test_a_displaced_call_without_a_second_is_rejected_at_its_own_place(tmp_path: Path) -> None:
    known, log = tmp_path / "known.csv", tmp_path / "log.csv"
    known.write_text(HEADER + row("x"))
    log.write_text(HEADER + row("y") + row("x"))
    repeats = {"column_options": MAPPED, "spread": 0, "overlap": Overlap.REPEATS}
    run([known], tmp_path / "ledger.db", **repeats)
    _, tally = run([log], tmp_path / "ledger.db", **repeats)
    (reject,) = tally.rejects.values()
    assert (reject.code, reject.row.line, reject.owed) == ("D1-full", 2, ("user",))


def test_bad_rows_behind_the_cursor_do_not_stop_a_log(tmp_path: Path) -> None:
    good = "".join(row("p", user=f"u{number}") for number in range(20))
    bad = "".join(row("p", user="guest") for _ in range(20))
    assert len(plans(tmp_path, good, good + bad + row("last"))) == 21
    with pytest.raises(InputError, match="20 of the first 21 rows"):
        plans(tmp_path, bad + row("first"))


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_last_line_without_its_end_is_judged_again_when_it_has_grown(tmp_path: Path, end: str) -> None:
    cut = row("enter").removesuffix(",\n")
    first = plans(tmp_path, row("p", user="bob") + cut + ",")
    assert first == ["enter", "p"]
    (tmp_path / "again").mkdir()
    assert (
        plans(tmp_path / "again", row("p", user="bob") + cut + ",", row("p", user="bob") + cut + "," + end)
        == first
    )
    (tmp_path / "grown").mkdir()
    grown = row("p", user="bob") + cut + "prise," + end
    assert plans(tmp_path / "grown", row("p", user="bob") + cut[:-9], grown) == ["enterprise", "p"]


def test_a_header_without_its_end_may_still_grow(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user,event,time")
    run([log], tmp_path / "ledger.db")
    log.write_text("user,event,timestamp\nada,Clicked,1704067200\n")
    sent, _ = run([log], tmp_path / "ledger.db")
    assert len(sent) == 1


def test_other_spread_or_collisions_judge_anew(tmp_path: Path) -> None:
    rows = "".join(f"u{number},Acme,Clicked,2024-01-01T00:00:00Z,,\n" for number in range(5))
    log = tmp_path / "log.csv"
    log.write_text(HEADER + rows)
    first, _ = run([log], tmp_path / "ledger.db", spread=2)
    second, tally = run([log], tmp_path / "ledger.db", spread=60)
    assert (len(first), len(second)) == (8, 2)
    assert tally.rows.rejected == 0


def test_nothing_becomes_durable_while_a_file_is_looked_through(tmp_path: Path) -> None:
    """Whether a file repeats another may depend on its last row: it is read to its end within a batch."""
    first, second = tmp_path / "log.csv.1", tmp_path / "log.csv"
    first.write_text(HEADER + row("a", second="00") + row("b", second="01"))
    more = "".join(f"u{n},,Clicked,2024-01-01T01:{n // 60:02}:{n % 60:02}Z,p,\n" for n in range(1500))
    second.write_text(HEADER + row("c", second="01") + more)
    sent, tally = run(
        [first, second], tmp_path / "ledger.db", column_options=ColumnOptions(exclude=("id",)), batch_size=100
    )
    assert len(sent) == 1503
    assert not tally.reasons


# One id in two personas, two ids that fold to one (I2, D4), whatever the row, the file or the run


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ("sam,Acme", "zoe,sam", "I2"),
        ("zoe,sam", "sam,Acme", "I2"),
        ('ada,"Acme, Inc"', "bob,Acme: Inc", "D4-ids"),
        ('ada,"Acme, Inc"', 'bob,"Acme, Inc"', ""),
        ("sam,Acme", "Sam,acme", ""),
    ],
)
@pytest.mark.parametrize("apart", [True, False])
def test_two_that_would_become_one_person(
    tmp_path: Path, first: str, second: str, code: str, apart: bool
) -> None:
    rows = [f"{who},In,2024-01-01T00:00:0{at}Z,,\n" for at, who in enumerate((first, second))]
    logs = rows if apart else ["".join(rows)]
    reasons = []
    for number, rows_of_log in enumerate(logs):
        log = tmp_path / f"{number}.csv"
        log.write_text(HEADER + rows_of_log)
        _, tally = run([log], tmp_path / "ledger.db", column_options=ColumnOptions(exclude=("id",)))
        reasons += list(tally.reasons)
    assert reasons == [code] * bool(code)


def test_a_row_that_is_not_sent_makes_nobody_anything(tmp_path: Path) -> None:
    """The id of a rejected row may still become an account."""
    log = tmp_path / "log.csv"
    reused = "zed,,In,2024-01-01T00:00:05Z,,1\n"
    log.write_text(
        HEADER + "ada,,In,2024-01-01T00:00:00Z,,1\n" + reused + "bob,zed,In,2024-01-01T00:00:09Z,,2\n"
    )
    sent, tally = run([log], tmp_path / "ledger.db", column_options=MAPPED)
    assert list(tally.reasons) == ["id-reused"]
    assert [one.call.identity for one in sent] == ["ada", "bob", "zed"]
