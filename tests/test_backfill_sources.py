"""[[backfill]] in km.toml: the sources, the paths of their files, and the selection of their events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from km_cli.config import kmtoml_file
from km_cli.config.backfill import BackfillSource, backfill_sources
from km_cli.config.kmtoml import BackfillTable, KmToml
from km_cli.errors import UsageError
from km_cli.mapping import Selection, make_selection

HOUR = 3600 * 10**9
NEW_YEAR = 1704067200 * 10**9


def source(name: str, *files: str, **said: Any) -> BackfillTable:
    return BackfillTable(name=name, files=list(files or ("a.csv",)), **said)


def sources(*tables: BackfillTable, names: tuple[str, ...] = (), **said: Any) -> tuple[BackfillSource, ...]:
    """Return the sources of the tables in etc/km.toml, with the flags in `said`."""
    words = {"since": "", "until": "", "only": (), "skip": (), "timezone": "", **said}
    return backfill_sources(
        KmToml(backfill=list(tables)),
        Path("etc"),
        names,
        make_selection(**words),
        "since" in said,
        "until" in said,
        words["timezone"],
    )


def test_all_of_them_or_those_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of km.toml, not in the order of the names."""
    monkeypatch.setenv("HOME", "/home/ada")
    exports = source("exports", "exports/*.csv", "~/more/", optional=True)
    tables = (exports, source("logs", "/var/log/%Y.jsonl"), source("old"))
    first, second, third = sources(*tables)
    assert first == BackfillSource("exports", ("etc/exports/*.csv", "/home/ada/more/"), Selection(), True)
    assert second == BackfillSource("logs", ("/var/log/%Y.jsonl",), Selection(), False)
    assert sources(*tables, names=("old", "exports", "old")) == (first, third)


@pytest.mark.parametrize(
    ("said", "since", "until"),
    [
        ({}, NEW_YEAR, NEW_YEAR + 24 * HOUR),
        ({"timezone": "Europe/Berlin"}, NEW_YEAR - HOUR, NEW_YEAR + 23 * HOUR),
        ({"since": "2024-01-01T12:00"}, NEW_YEAR + 12 * HOUR, NEW_YEAR + 24 * HOUR),
        ({"until": "2024-01-01T12:00"}, NEW_YEAR, NEW_YEAR + 12 * HOUR),
        ({"since": "2024-01-03", "until": "2024-01-04"}, NEW_YEAR + 48 * HOUR, NEW_YEAR + 72 * HOUR),
        ({"since": ""}, None, NEW_YEAR + 24 * HOUR),
    ],
)
def test_a_flag_stands_before_a_sources_own_times(
    said: dict[str, str], since: int | None, until: int | None
) -> None:
    """Both bounds are in the zone of the log; events come from flags only."""
    table = source("a", since="2024-01-01", until="2024-01-02")
    (one,) = sources(table, only=["In"], skip=["Out"], **said)
    assert one.selection == Selection(since, until, ("in",), ("out",))


@pytest.mark.parametrize(
    ("tables", "said", "message", "hint"),
    [
        ([], {}, "km.toml has no [[backfill]]", '[[backfill]], name = "exports" and files = ['),
        (
            [source("a"), source("b"), source("a")],
            {"names": ("b",)},
            "km.toml, backfill[3].name: backfill[1] is called 'a' too",
            "its own name",
        ),
        ([source("exports")], {"names": ("exprots",)}, "called 'exprots'", "did you mean 'exports'?"),
        ([source("a"), source("b")], {"names": ("zzz",)}, "called 'zzz'", "the names are: a, b"),
        (
            [source("a"), source("b", since="soon")],
            {},
            "km.toml, backfill[2].since: 'soon' is not a time",
            "2024-01-31",
        ),
        (
            [source("a", until="2024-02-30")],
            {"until": "2024-01-01"},
            "km.toml, backfill[1].until: '2024-02-30' is not a time",
            "2024-01-31",
        ),
        (
            [source("a", since="2024-01-02", until="2024-01-02")],
            {},
            "no row can be from 2024-01-02 on (km.toml, backfill[1].since) and before 2024-01-02 (km.toml, "
            "backfill[1].until)",
            "earlier",
        ),
        (
            [source("a", until="2024-01-01")],
            {"since": "2024-06-01"},
            "from 2024-06-01T00:00:00+00:00 on (--since) and before 2024-01-01 (km.toml, backfill[1].until)",
            "give other times",
        ),
    ],
)
def test_what_makes_no_sense(
    tables: list[BackfillTable], said: dict[str, Any], message: str, hint: str
) -> None:
    """The message has the place, and the hint the next step."""
    with pytest.raises(UsageError) as raised:
        sources(*tables, **said)
    assert message in str(raised.value)
    assert hint in raised.value.hint


@pytest.mark.parametrize("names", [(), ("new",), ("old", "new")])
def test_a_source_of_which_flags_leave_nothing_is_left_out(names: tuple[str, ...]) -> None:
    old, new = source("old", until="2020-01-01"), source("new")
    assert [one.name for one in sources(old, new, names=names, since="2024-01-01")] == ["new"]


def test_dates_need_no_quotation_marks(tmp_path: Path) -> None:
    config = tmp_path / "km.toml"
    config.write_text(
        "[[backfill]]\nname = 'a'\nfiles = ['*.csv']\n"
        "since = 2024-01-01\nuntil = 2024-01-02T12:00:00+02:00\n",
        encoding="utf-8",
    )
    (one,) = sources(*kmtoml_file.read(config).backfill)
    assert (one.selection.since, one.selection.until) == (NEW_YEAR, NEW_YEAR + 34 * HOUR)
