"""A real log, which is not ours to keep: it lies beside the repository, in shared/data."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest

from tests.support.bench import Bench
from tests.support.rowcount import Form, Level

LOG = Path(__file__).parent.parent.parent / "shared" / "data" / "receipt.csv"
USER = Level("user", "org:resource")
ACCOUNT = Level("account", "org:group")
FLAGS = ("--event", "concept:name", "--timestamp", "time:timestamp", "--allow-id", "EMPTY")
NAMED = ("--user", "org:resource", "--account", "org:group")
SITES = '[sites.main]\nkey_env = "KM_API_KEY"\n[sites.accounts]\nkey_env = "KM_ACCOUNT_API_KEY"\n'
DEPARTMENT = Level("department", "case:department", properties=("case:channel",), prefix="department ")

KINDS = {
    "all properties": ((*NAMED,), "", (USER, ACCOUNT), None),
    "no properties": ((*NAMED, "--no-properties"), "", (USER, ACCOUNT), ()),
    "some properties": ((*NAMED, "--property", "case:channel"), "", (USER, ACCOUNT), ("case:channel",)),
    "sites": (
        (*NAMED, "--no-properties", "--strategy", "sites"),
        "",
        (USER, ACCOUNT._replace(site="accounts")),
        (),
    ),
    "bare accounts and a third level": (
        (),
        SITES
        + '[[personas]]\nname = "user"\ncolumn = "org:resource"\nproperties = ["case:channel"]\n'
        + '[[personas]]\nname = "account"\ncolumn = "org:group"\nproperties = []\n'
        + 'prefix = "group "\nrename = "Group: {event}"\n'
        + '[[personas]]\nname = "department"\ncolumn = "case:department"\nproperties = ["case:channel"]\n'
        + 'prefix = "department "\nsite = "accounts"\n',
        (
            USER._replace(properties=("case:channel",)),
            ACCOUNT._replace(properties=(), prefix="group ", rename="Group: {event}"),
            DEPARTMENT._replace(site="accounts"),
        ),
        None,
    ),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def needs_log() -> None:
    """Skip the test if the log is not here."""
    if not LOG.exists():
        assert os.environ.get("KM_CLI_REQUIRE") != "all", f"{LOG} is missing"
        pytest.skip("the log is not here")


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    """The header and the rows of the log, in order of time."""
    needs_log()
    header, *found = csv.reader(io.StringIO(LOG.read_text(encoding="utf-8")))
    at = header.index("time:timestamp")
    return [header, *sorted(found, key=lambda row: row[at])]


def text(rows: list[list[str]], unit: str = "") -> str:
    """The rows as CSV; with a unit, their times are cut to whole seconds or minutes, so that many meet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header, *found = rows
    at = header.index("time:timestamp")
    writer.writerow(header)
    length = {"second": len("2011-10-11 13:45:40"), "minute": len("2011-10-11 13:45")}.get(unit, 0)
    for row in found:
        cut = row[at][:length].ljust(len("2011-10-11 13:45"), "0") + (":00" if unit == "minute" else "")
        writer.writerow([*row[:at], cut + row[at][-6:] if length else row[at], *row[at + 1 :]])
    return out.getvalue()


def made(bench: Bench, kind: str) -> tuple[tuple[str, ...], Form]:
    """The options for personas of this kind, and what the oracle knows of them."""
    flags, toml, levels, properties = KINDS[kind]
    form = Form(levels, "concept:name", "time:timestamp", properties=properties)
    if toml:
        return (*FLAGS, *flags, "--config", str(bench.write("km.toml", toml))), form
    return (*FLAGS, *flags, "--concurrency", "32"), form


@kinds
def test_the_first_rows_of_a_minute_each(bench: Bench, rows: list[list[str]], kind: str) -> None:
    """Of 400 rows, cut to minutes, each is sent or its part is in the rejects file: no second was left."""
    flags, form = made(bench, kind)
    log = bench.write("log.csv", text(rows[:401], "minute"))
    bench.send(log, *flags)
    bench.check([log], form)


@kinds
def test_rotated_and_exported(bench: Bench, rows: list[list[str]], kind: str) -> None:
    """Three files, and an export of all of it that has lost a column: nothing twice, nothing lost."""
    flags, form = made(bench, kind)
    header, *found = rows[:301]
    pieces = [found[:97], found[97:203], found[203:]]
    files = [bench.write(f"{at}.csv", text([header, *piece])) for at, piece in enumerate(pieces)]
    fewer = [
        [cell for at, cell in enumerate(row) if at != header.index("case:deadline")] for row in rows[:301]
    ]
    bench.send(*files, *flags)
    there = len(bench.wires())
    files.append(bench.write("export.csv", text(fewer)))
    bench.send(files[-1], *flags)
    assert len(bench.wires()) == there
    bench.check(files, form)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "unit"), [*((kind, "second") for kind in KINDS), ("no properties", "minute")]
)
def test_all_of_it(bench: Bench, rows: list[list[str]], kind: str, unit: str) -> None:
    flags, form = made(bench, kind)
    log = bench.write("log.csv", text(rows, unit))
    dry = bench.run("dry-run", log, *flags)
    assert bench.send(log, *flags, code=dry.code).counted == dry.counted
    bench.check([log], form)
    assert bench.send(log, *flags).summary["calls"]["planned"] == 0
