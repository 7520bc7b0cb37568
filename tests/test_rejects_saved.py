"""Tables of rejects as spreadsheets save them, as crashes leave them, and as two runs write them at once."""

from __future__ import annotations

import csv
import io
import json
import random
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.errors import InputError
from km_cli.inputs import FormatOptions
from km_cli.model import Origin, Reject, Row
from km_cli.rejects import RejectsTable
from km_cli.rejects.table import format_header, is_empty
from tests.support.command import Command
from tests.support.drawing import examples
from tests.support.logs import said
from tests.support.reading import read_all, written
from tests.support.tracker import Tracker

LOG = """user,account,event,timestamp,größe
ada,Acme,Paid,2024-03-01T09:00:00Z,42
zoë,Café,Gekauft,SOON,naïve
"""
SENT = [
    {"_p": one, "_n": "Gekauft", "_t": "1709283900", "_d": "1", "größe": "naïve"} for one in ("Café", "zoë")
]
FORMS = {
    "cp1252": ("cp1252", ",", "\r\n"),
    "cp1252, semicolons": ("cp1252", ";", "\r\n"),
    "mac-roman": ("mac-roman", ";", "\r"),
    "utf-8": ("utf-8", ",", "\n"),
    "utf-8 with a mark": ("utf-8-sig", ";", "\r\n"),
    "utf-16 with tabs": ("utf-16", "\t", "\r\n"),
}
"""How Excel and LibreOffice save a table: encoding, delimiter, line ends."""


@pytest.fixture
def rejected(importer: Command, tmp_path: Path, tracker: Tracker) -> list[list[str]]:
    """The cells of the table of LOG's rejects, corrected."""
    (tmp_path / "log.csv").write_text(LOG, encoding="utf-8")
    path = tmp_path / "rejects.csv"
    importer("import", tmp_path / "log.csv", "--rejects", path).ended(65)
    tracker.forget()
    text = path.read_text("utf-8-sig").replace("SOON", "2024-03-01T09:05:00Z")
    return list(csv.reader(io.StringIO(text)))


def saved(folder: Path, cells: list[list[str]], encoding: str, delimiter: str, ends: str) -> Path:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=ends).writerows(cells)
    path = folder / "saved.csv"
    path.write_bytes(out.getvalue().encode(encoding))
    return path


def calls(tracker: Tracker) -> list[dict[str, str]]:
    return sorted(tracker.calls(), key=lambda call: call["_p"])


@pytest.mark.parametrize(("encoding", "delimiter", "ends"), FORMS.values(), ids=list(FORMS))
def test_the_encoding_of_a_saved_table_may_be_named(
    importer: Command,
    tracker: Tracker,
    tmp_path: Path,
    rejected: list[list[str]],
    encoding: str,
    delimiter: str,
    ends: str,
) -> None:
    """The names of columns and the values are those of the log."""
    path = saved(tmp_path, rejected, encoding, delimiter, ends)
    importer("import", path, "--encoding", encoding).ended(0)
    assert calls(tracker) == SENT


@pytest.mark.parametrize("form", ["utf-8", "utf-8 with a mark", "utf-16 with tabs"])
@pytest.mark.parametrize("flags", [(), ("--encoding", "cp1252")], ids=["", "cp1252"])
def test_an_encoding_that_is_certain_is_recognised(
    importer: Command,
    tracker: Tracker,
    tmp_path: Path,
    rejected: list[list[str]],
    form: str,
    flags: tuple[str, ...],
) -> None:
    """Without a flag, and under that of the log, which a source of km.toml may have for its files."""
    path = saved(tmp_path, rejected, *FORMS[form])
    if form.startswith("utf-16") and flags:
        said(importer("import", path, *flags).ended(2), "is encoded in UTF-16, not cp1252")
        return
    importer("import", path, *flags).ended(0)
    assert calls(tracker) == SENT


@pytest.mark.parametrize("form", ["cp1252", "cp1252, semicolons", "mac-roman"])
def test_an_encoding_that_is_not_certain_is_asked_for(
    importer: Command, tracker: Tracker, tmp_path: Path, rejected: list[list[str]], form: str
) -> None:
    """Nothing is sent, and no reject is lost."""
    path = saved(tmp_path, rejected, *FORMS[form])
    result = importer("import", path).ended(2)
    said(result, f"{path}, line 1: this table of rejects is not in UTF-8", "--encoding cp1252", "mac-roman")
    assert not tracker.seen


def test_bytes_that_a_crash_cut_off_are_the_fault_of_their_row(
    importer: Command, tracker: Tracker, tmp_path: Path, rejected: list[list[str]]
) -> None:
    """Behind a byte order mark the table is in UTF-8, as km-cli writes it."""
    path = saved(tmp_path, rejected, "utf-8-sig", ",", "\n")
    path.write_bytes(path.read_bytes() + "time,3,zo\u00eb".encode()[:-1] + b"\n")
    result = importer("import", path, "--json").ended(65)
    assert result.summary["reasons"] == {"bad-reject": 1}
    assert calls(tracker) == SENT


TOKEN = "0123456789abcdef"


@settings(max_examples=examples(60))
@given(
    st.lists(st.text("aéñü,\n", max_size=8), min_size=1, max_size=4),
    st.integers(0, 9),
    st.sampled_from(["cp1252", "utf-8"]),
)
def test_any_table_is_read_in_the_flags_encoding_or_in_utf_8(
    values: list[str], blocks: int, encoding: str
) -> None:
    """Also if the first bytes beyond ASCII are far behind the beginning, or a character is cut by a block."""
    columns = ("a", "b")
    padding = [["x" * 8191, "y"] for _ in range(blocks)]
    rows = [*padding, *([value, "z"] for value in values)]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("reason", "line", *columns, "km_cli_reject"))
    mark = json.dumps({"source": "log.csv", "code": "time", "reading": TOKEN})
    writer.writerows(("", str(at), *row, mark) for at, row in enumerate(rows, start=2))
    with written(out.getvalue().encode(encoding), "t.csv", FormatOptions(encoding="cp1252")) as source:
        items = read_all(source)
    assert [list(item.values.values()) for item in items if isinstance(item, Row)] == rows


# What crashes leave


@settings(max_examples=examples(60))
@given(st.data())
def test_a_header_that_was_cut_off_counts_as_empty(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A run goes on at that path, and its table is whole."""
    columns = tuple(data.draw(st.lists(st.sampled_from(['a"', "b\nc", "d,", "e"]), min_size=2, unique=True)))
    header = format_header(columns)
    cut = header[: data.draw(st.integers(0, len(header) - 2))]
    assert is_empty(cut)
    path = tmp_path_factory.mktemp("cut") / "rejects.csv"
    path.write_bytes(cut)
    table = RejectsTable(path)
    row = ",".join(["1"] * len(columns)).encode() + b"\n"
    reject = Reject(Row("log.csv", 2, row, None), "time", "reason")
    table.write([table.format(reject, Origin(TOKEN, (), columns, ","))])
    table.close()
    assert path.read_bytes().startswith(header + b"reason,2,1,")


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbfreason,li", b"\xef\xbb\xbfreason,line,us", b"\n"])
def test_a_run_goes_on_where_another_one_was_cut_off(
    importer: Command, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "log.csv").write_text(LOG, encoding="utf-8")
    path = tmp_path / "rejects.csv"
    path.write_bytes(content)
    importer("import", tmp_path / "log.csv", "--rejects", path).ended(65)
    assert (
        path.read_text("utf-8-sig").splitlines()[0]
        == "reason,line,user,account,event,timestamp,größe,km_cli_reject"
    )


@pytest.mark.parametrize("content", [b"reason,line,us", b"\xef\xbb\xbfreason,line,us\n", b"user,event\n"])
def test_a_file_of_something_else_is_not_written_over(
    importer: Command, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "log.csv").write_text(LOG, encoding="utf-8")
    path = tmp_path / "rejects.csv"
    path.write_bytes(content)
    said(importer("import", tmp_path / "log.csv", "--rejects", path).ended(2), "is not a table of rejects")
    assert path.read_bytes() == content


# Two runs at once


def rejects_of(columns: Sequence[str], number: int) -> list[Reject]:
    return [
        Reject(
            Row("log.csv", line, ",".join(f"{name}{line}" for name in columns).encode() + b"\n", None),
            "c",
            "r",
        )
        for line in range(2, number + 2)
    ]


def test_two_runs_that_begin_a_table_do_not_mix_their_columns(tmp_path: Path) -> None:
    """One begins the table, and the rows of the other one go beside it if its columns differ."""
    path = tmp_path / "rejects.csv"
    one, other = RejectsTable(path), RejectsTable(path)
    kinds = {one: ("a", "b"), other: ("b", "a")}
    (first,) = rejects_of(kinds[one], 1)
    (second,) = rejects_of(kinds[other], 1)
    lines = {table: [] for table in kinds}
    lines[one] = [one.format(first, Origin(TOKEN, (), kinds[one], ","))]
    lines[other] = [other.format(second, Origin(TOKEN, (), kinds[other], ","))]
    for table in (other, one):
        table.write(lines[table])
        table.close()
    text = path.read_text("utf-8-sig").splitlines()
    assert text[0] == "reason,line,a,b,km_cli_reject"
    assert [line.split(",")[2:4] for line in text[1:]] == [["a2", "b2"]]
    assert path.with_name("rejects.csv.jsonl").read_text().count('"raw": "b2,a2\\n"') == 1
    assert (one.place, other.place) == (str(path), f"{path}.jsonl")


def test_many_runs_at_once_write_whole_rows_below_one_header(tmp_path: Path) -> None:
    """Each in a thread of its own; the lock belongs to the open file, as with processes."""
    path, together = tmp_path / "rejects.csv", threading.Barrier(4)

    def run(columns: tuple[str, str], seed: int) -> None:
        table, chance = RejectsTable(path), random.Random(seed)
        together.wait()
        rejects = rejects_of(columns, 200)
        while rejects:
            some = rejects[: chance.randint(1, 9)]
            del rejects[: len(some)]
            table.write([table.format(reject, Origin(TOKEN, (), columns, ",")) for reject in some])
        table.close()

    runs = [threading.Thread(target=run, args=(("a", "b") if at % 2 else ("b", "a"), at)) for at in range(4)]
    for thread in runs:
        thread.start()
    for thread in runs:
        thread.join()
    with written(path.read_bytes(), "t.csv") as source:
        items = read_all(source)
    found = [item.values for item in items if isinstance(item, Row)]
    assert len(found) == len(items) == 400
    assert all(value.startswith(name) for values in found for name, value in values.items())
    beside = path.with_name("rejects.csv.jsonl").read_bytes()
    assert beside.count(b"\n") == beside.count(b'{"km_cli_reject"') == 400


# What the run says


@pytest.mark.parametrize(
    ("rows", "hint"),
    [
        ("zoe,Acme,Paid,SOON,1\n", "correct the cells of the log's own columns, then import that file"),
        ("zoe,Acme\n", "correct `raw` in each line of that file, then import it"),
        (
            "zoe,Acme,Paid,SOON,1\nzoe,Acme\n",
            "in the file beside it, correct `raw` in each line, and import that one too",
        ),
    ],
    ids=["table", "beside", "both"],
)
def test_the_hint_is_that_of_the_files_that_have_rejects(
    importer: Command, tmp_path: Path, rows: str, hint: str
) -> None:
    log = tmp_path / "log.csv"
    log.write_text(LOG.replace(LOG.splitlines(keepends=True)[2], rows), encoding="utf-8")
    result = importer("import", log, "--rejects", tmp_path / "rejects.csv").ended(65)
    assert result.err.splitlines()[-1].startswith("  next: ")
    assert result.err.rstrip().endswith(hint)


def test_a_table_that_is_no_table_any_more_is_an_error(tmp_path: Path) -> None:
    """A header with the mark alone was edited; the message says which column is missing."""
    path = tmp_path / "t.csv"
    path.write_text("a,b,km_cli_reject\n1,2,{}\n")
    with written(path.read_bytes(), "t.csv") as source, pytest.raises(InputError, match="needs one column"):
        read_all(source)
