"""Rejects as a table: any value comes back through it, and corrected rows are sent as those of their log."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from km_cli.errors import LedgerFailed
from km_cli.formulas import guarded, unguarded
from km_cli.inputs import Item
from km_cli.model import Origin, Reject, Row
from km_cli.rejects import RejectsTable
from km_cli.rejects.table import format_header
from tests.support.command import Command
from tests.support.drawing import examples
from tests.support.logs import said
from tests.support.reading import read_all, written
from tests.support.tracker import OK, Tracker, refuse

TOKEN = "0123456789abcdef"
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
CELL = st.one_of(
    st.sampled_from(["=1+1", "'=1", "''-2", "-5", "+49 30", "@x", "\tx", "'", "'x", "a\nb", 'q"q', ";", ""]),
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf"]), max_size=12),
)
COLUMN = st.one_of(
    st.sampled_from(["reason", "line", "km_cli_reject", "=x", "'=x"]),
    st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6),
)


@given(ANY)
@example("''=x")
def test_any_value_comes_back_from_its_guard(value: str) -> None:
    """And no guarded one begins a formula."""
    assert unguarded(guarded(value)) == value
    assert not guarded(value).startswith(("=", "+", "-", "@", "\t"))


def origin(columns: tuple[str, ...], delimiter: str = ",", owed: tuple[str, ...] = ()) -> Origin:
    return Origin(TOKEN, owed, columns, delimiter)


def record(cells: list[str], delimiter: str = ",") -> bytes:
    """One record of a log."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerow(cells)
    return out.getvalue().encode()


def through(folder: Path, rejects: list[Reject], of: Origin) -> tuple[list[Item], list[Item]]:
    """Write rejects; read back those of the table, and those beside it."""
    path = folder / "rejects.csv"
    for one in (path, folder / "rejects.csv.jsonl"):
        one.unlink(missing_ok=True)
    table = RejectsTable(path)
    table.write([table.format(reject, of) for reject in rejects])
    table.close()
    read = []
    for one in (path, folder / "rejects.csv.jsonl"):
        with written(one.read_bytes() if one.exists() else b"", one.name) as source:
            read.append(read_all(source))
    return read[0], read[1]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all examples of a property."""
    return tmp_path_factory.mktemp("table")


@settings(max_examples=examples(200))
@given(
    columns=st.lists(COLUMN, min_size=2, max_size=4, unique_by=str.casefold),
    rows=st.lists(st.lists(CELL, min_size=4, max_size=4), min_size=1, max_size=4),
    delimiter=st.sampled_from(",;\t|"),
    owed=st.sampled_from([(), ("account",)]),
)
def test_rejected_rows_come_back_the_same(
    shared: Path, columns: list[str], rows: list[list[str]], delimiter: str, owed: tuple[str, ...]
) -> None:
    """With any names of columns, any cells, and from a log with any delimiter."""
    of = origin(tuple(columns), delimiter)
    cells = [row[: len(columns)] for row in rows]
    rejects = [
        Reject(Row("log.csv", 7 + at, record(row, delimiter), row), "code", "=reason", owed)
        for at, row in enumerate(cells)
    ]
    items, others = through(shared, rejects, of)
    assert others == []
    for at, (row, item) in enumerate(zip(cells, items, strict=True)):
        assert isinstance(item, Row), item
        assert (item.source, item.line, item.origin) == ("log.csv", 7 + at, of._replace(owed=owed))
        assert item.values == dict(zip(columns, row, strict=True))


@settings(max_examples=examples(100))
@given(
    st.lists(
        st.dictionaries(st.sampled_from("abc"), CELL | st.none() | st.booleans() | st.just({"x": 1})),
        min_size=1,
        max_size=5,
    )
)
def test_rejected_objects_come_back_as_texts_or_beside_the_table(
    shared: Path, objects: list[dict[str, Any]]
) -> None:
    """A nested one is a line of JSON; a blank value is the same as an absent one."""
    rejects = [
        Reject(Row("log.jsonl", at, json.dumps(one).encode(), one), "code", "reason")
        for at, one in enumerate(objects)
    ]
    items, others = through(shared, rejects, origin(("a", "b", "c"), ""))
    words = {True: "true", False: "false", None: ""}
    flat = [one for one in objects if not any(isinstance(value, dict) for value in one.values())]
    texts = [
        {key: words[value] if not isinstance(value, str) else value for key, value in one.items()}
        for one in flat
    ]
    assert [item.values for item in items if isinstance(item, Row)] == [
        {key: value for key, value in one.items() if value} for one in texts
    ]
    assert len(items) == len(flat)
    assert len(others) == len(objects) - len(flat)


@pytest.mark.parametrize(
    "raw",
    [b"\xff,2\n", b"1\n", b"1,2,3\n", "a\u200b,2\n".encode(), b"a\x1b[31m,2\n", b'"a\rb",2\n'],
)
def test_records_that_are_no_rows_of_a_table_go_beside_it(tmp_path: Path, raw: bytes) -> None:
    """Bytes that are no text, another number of fields, and characters that no spreadsheet shows."""
    good = Reject(Row("log.csv", 2, b"1,2\n", ["1", "2"]), "code", "reason")
    bad = Reject(Row("log.csv", 3, raw, None), "code", "reason")
    items, others = through(tmp_path, [bad, good], origin(("a", "b")))
    assert [item.line for item in items if isinstance(item, Row)] == [2]
    (other,) = others
    row = other.row if isinstance(other, Reject) else other
    assert isinstance(row, Row)
    assert (row.line, row.raw) == (3, raw)


def test_rows_of_a_log_with_other_columns_go_beside_the_table(tmp_path: Path) -> None:
    """A table has one header; a later run goes on with it."""
    table = RejectsTable(tmp_path / "rejects.csv")
    row = Row("log.csv", 2, b"1,2\n", None)
    table.write([table.format(Reject(row, "code", "reason"), origin(("a", "b")))])
    table.write([table.format(Reject(row, "code", "reason"), origin(("a", "c")))])
    assert (table.count, table.place) == (2, table.place)
    assert "1 of them, not in the form of a table, in " in table.place
    table.close()
    again = RejectsTable(tmp_path / "rejects.csv")
    again.write([again.format(Reject(row, "code", "reason"), origin(("a", "b")))])
    again.close()
    assert (tmp_path / "rejects.csv").read_text("utf-8-sig").count("\n") == 3


def test_a_row_that_a_crash_cut_off_stays_one_row(tmp_path: Path) -> None:
    """Also inside of quotation marks, where the rows behind it would be a part of its cell."""
    path = tmp_path / "rejects.csv"
    row = Reject(Row("log.csv", 2, b'"a\nb",2\n', None), "code", "reason")
    table = RejectsTable(path)
    table.write([table.format(row, origin(("a", "b")))])
    table.close()
    path.write_bytes(path.read_bytes() + b'reason,3,"a\nb')
    again = RejectsTable(path)
    again.write([again.format(row, origin(("a", "b")))])
    again.close()
    with written(path.read_bytes(), path.name) as source:
        items = read_all(source)
    assert [type(item) for item in items] == [Row, Reject, Row]


def test_a_row_that_another_run_left_open_stays_one_row(tmp_path: Path) -> None:
    """It crashed while this run goes on, which has written to the table before."""
    path = tmp_path / "rejects.csv"
    row = Reject(Row("log.csv", 2, b'"a\nb",2\n', None), "code", "reason")
    table = RejectsTable(path)
    table.write([table.format(row, origin(("a", "b")))])
    with path.open("ab") as file:
        file.write(b'reason,3,"a\nb')
    for _ in range(2):
        table.write([table.format(row, origin(("a", "b")))])
    table.close()
    with written(path.read_bytes(), path.name) as source:
        items = read_all(source)
    assert [type(item) for item in items] == [Row, Reject, Row, Row]


def test_neither_file_keeps_rows_if_one_cannot_be_written(tmp_path: Path) -> None:
    """The batch is not committed then, and its rows are read again."""
    path = tmp_path / "rejects.csv"
    (tmp_path / "rejects.csv.jsonl").mkdir()
    table = RejectsTable(path)
    good = table.format(Reject(Row("log.csv", 2, b"1,2\n", None), "code", "reason"), origin(("a", "b")))
    bad = table.format(Reject(Row("log.csv", 3, b"1\n", None), "code", "reason"), origin(("a", "b")))
    with pytest.raises(LedgerFailed):
        table.write([good, bad])
    table.close()
    assert path.read_bytes() == format_header(("a", "b"))
    assert table.count == 0


# The command

LOG = """user;account;event;timestamp;plan
ada;Acme;Paid;2024-03-01T09:00:00Z;=pro
guest;Acme;Paid;2024-03-01T09:01:00Z;-5
bo;Acme;Paid;31 o'clock;"two
lines"
cy;Acme;Paid
"""


@pytest.fixture
def rejected(importer: Command, tmp_path: Path) -> Path:
    """A table of the two rows that an import of LOG rejected; a third one is beside it."""
    (tmp_path / "log.csv").write_text(LOG)
    path = tmp_path / "out" / "rejects.csv"
    result = importer("import", tmp_path / "log.csv", "--rejects", path).ended(65)
    said(result, "3 rows rejected", f"in {path} (1 of them, not in the form of a table, in {path}.jsonl)")
    said(result, "correct the cells of the log's own columns, then import that file")
    return path


def corrected(path: Path, change: Callable[[dict[str, str]], None], delimiter: str = ",") -> Path:
    """Save the table as a spreadsheet does after a person has changed its rows."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        change(row)
    out = path.with_name("corrected.csv")
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(reversed(rows))
    return out


def mend(row: dict[str, str]) -> None:
    row["user"] = row["user"].replace("guest", "di")
    row["timestamp"] = row["timestamp"].replace("31 o'clock", "2024-03-01T09:02:00Z")


def test_the_table_has_reason_and_line_before_the_columns_of_the_log(rejected: Path) -> None:
    with rejected.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        *("reason", "line", "user", "account", "event", "timestamp", "plan", "km_cli_reject"),
    ]  # fmt: skip
    assert [(row["line"], row["user"], row["plan"]) for row in rows] == [
        ("3", "guest", "'-5"),
        ("4", "bo", "two\nlines"),
    ]
    assert "placeholder" in rows[0]["reason"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_corrected_rows_are_sent_as_rows_of_their_log(
    importer: Command, tracker: Tracker, rejected: Path, delimiter: str
) -> None:
    """With the values of the log, without the guard; a spreadsheet may sort rows and choose the delimiter."""
    path = corrected(rejected, mend, delimiter)
    before = len(tracker.calls())
    summary = importer("import", path, "--json").ended(0).summary
    assert summary["rows"]["sent"] == 2
    sent = tracker.calls()[before:]
    assert {(one["_p"], one["plan"]) for one in sent if one["_p"] != "Acme"} == {
        ("di", "-5"), ("bo", "two\nlines"),
    }  # fmt: skip
    again = importer("import", path, "--json").ended(0).summary["rows"]
    assert (again["sent"], again["skipped"]) == (0, 2)
    assert len(tracker.calls()) == before + 4


def test_a_row_that_was_refused_in_part_owes_the_rest(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """The call that arrived is not sent once more, whatever a spreadsheet made of the rest."""
    (tmp_path / "log.csv").write_text(LOG.splitlines()[0] + "\nada;Acme;Paid;2024-03-01T09:00:00Z;=pro\n")
    tracker.behave = lambda hit, _: refuse(413) if hit.params["_p"] == "Acme" else OK
    path = tmp_path / "rejects.csv"
    importer("import", tmp_path / "log.csv", "--rejects", path).ended(65)
    tracker.behave = None
    tracker.forget()
    importer("import", corrected(path, lambda _: None, ";")).ended(0)
    assert [(one["_p"], one["plan"]) for one in tracker.calls()] == [("Acme", "=pro")]


def test_rows_that_are_not_corrected_are_rejected_again(importer: Command, rejected: Path) -> None:
    """Into a table of the same form; the log itself sends nothing twice."""
    again = rejected.with_name("again.csv")
    importer("import", rejected, "--rejects", again).ended(65)
    assert again.read_bytes() == rejected.read_bytes()
    last = importer("import", f"{rejected}.jsonl", "--json").ended(65).summary
    assert last["reasons"] == {"still-bad": 1}


def test_a_row_that_is_no_reject_any_more_is_kept(importer: Command, rejected: Path) -> None:
    """Without the mark in its last column the row cannot be told from any other."""

    def spoil(row: dict[str, str]) -> None:
        row["km_cli_reject"] = ""

    result = importer("import", corrected(rejected, spoil), "--json").ended(65)
    assert result.summary["reasons"] == {"bad-reject": 2}


def test_what_stands_there_already_is_not_written_over(importer: Command, tmp_path: Path) -> None:
    """A table of something else, and an input. A file that holds JSON lines goes on as such."""
    log = tmp_path / "log.csv"
    log.write_text(LOG)
    said(importer("import", log, "--rejects", log).ended(2), "both an input and the rejects file")
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    said(importer("import", log, "--rejects", other).ended(2), "is not a table of rejects")
    lines = tmp_path / "lines.csv"
    lines.write_bytes(b'{"km_cli_reject": 1, "line": 1, "raw": ""}\n')
    importer("import", log, "--rejects", lines).ended(65)
    assert lines.read_bytes().count(b'{"km_cli_reject": 1') == 4


def test_only_its_owner_can_read_it(rejected: Path) -> None:
    for path in (rejected, rejected.with_name(rejected.name + ".jsonl")):
        assert os.stat(path).st_mode & 0o777 == 0o600


# As spreadsheets and people leave it

OWING = (
    "user,account,event,timestamp,plan\n"
    "u1,a1,Paid,2024-01-02T10:00:00Z,pro\n"
    "u2,a2,Paid,2024-01-02T10:00:01Z,x\n"
)


@pytest.fixture
def owed_table(importer: Command, tracker: Tracker, tmp_path: Path) -> list[list[str]]:
    """The cells of a table with one row, of which the account's part is owed."""
    log, path = tmp_path / "log.csv", tmp_path / "rejects.csv"
    log.write_text(OWING, encoding="utf-8")
    tracker.behave = lambda hit, _: refuse(400) if hit.params["_p"] == "a1" else OK
    importer("import", log, "--rejects", path, "--property", "plan").ended(65)
    tracker.behave = None
    tracker.forget()
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


ORDERS = {
    "behind": lambda row: [*row[2:-1], row[0], row[1], row[-1]],
    "swapped": lambda row: [row[1], row[0], *row[2:]],
    "mark first": lambda row: [row[-1], *row[:-1]],
}


@pytest.mark.parametrize("order", list(ORDERS.values()), ids=list(ORDERS))
def test_columns_may_be_moved(
    importer: Command,
    tracker: Tracker,
    tmp_path: Path,
    owed_table: list[list[str]],
    order: Callable[[list[str]], list[str]],
) -> None:
    """Only what is owed is sent: read as a plain log, the user's event would be there twice."""
    moved = tmp_path / "moved.csv"
    with moved.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(map(order, owed_table))
    importer("import", moved, "--property", "plan").ended(0)
    assert [hit.params["_p"] for hit in tracker.seen] == ["a1"]


@pytest.mark.parametrize("gone", [0, 1])
def test_a_table_without_one_of_its_columns_is_refused(
    importer: Command, tracker: Tracker, tmp_path: Path, owed_table: list[list[str]], gone: int
) -> None:
    cut = tmp_path / "cut.csv"
    with cut.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([row[:gone] + row[gone + 1 :] for row in owed_table])
    result = importer("import", cut, "--property", "plan").ended(2)
    said(result, "table of rejects", "in front of")
    assert not tracker.seen


def test_a_table_whose_columns_were_moved_gets_no_more_rows(
    importer: Command, tmp_path: Path, owed_table: list[list[str]]
) -> None:
    """They would stand under the wrong columns."""
    moved = tmp_path / "moved.csv"
    with moved.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(map(ORDERS["mark first"], owed_table))
    importer("import", tmp_path / "log.csv", "--rejects", moved).ended(2)


@pytest.mark.parametrize("before", [b"\n", b"   \n\n", b"\n\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf"])
def test_blanks_before_the_header_are_passed_over(
    importer: Command, tracker: Tracker, tmp_path: Path, owed_table: list[list[str]], before: bytes
) -> None:
    """And rows whose cells were emptied, rather than deleted."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows([*owed_table, [""] * len(owed_table[0])])
    edited = tmp_path / "edited.csv"
    edited.write_bytes(before + out.getvalue().encode())
    importer("import", edited, "--property", "plan").ended(0)
    assert [hit.params["_p"] for hit in tracker.seen] == ["a1"]


def test_a_spreadsheet_file_is_not_written(km: Command, tmp_path: Path) -> None:
    """JSON lines under such a name open in no program."""
    (tmp_path / "log.csv").write_text(LOG)
    path = tmp_path / "bad rows.XLSX"
    result = km("import", tmp_path / "log.csv", "--to", "local", "--rejects", path).ended(2)
    said(result, f"--rejects {path}: km-cli writes no .XLSX files")
    said(result, f"a spreadsheet opens a table of CSV: --rejects '{path.with_suffix('.csv')}'")
    assert not path.exists()
