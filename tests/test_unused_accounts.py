"""Rows that name no account, although a column looks like one: the dry run says so, with the first line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command
from tests.support.people import configure

Row = dict[str, Any]

MANY = 210
"""More rows than are looked at to find the columns of an export."""


def jsonl(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def plain(number: int, **more: Any) -> Row:
    return {"user": f"u{number % 9}", "event": "Paid", "time": 1709629200 + number, **more}


def mixpanel(number: int, **more: Any) -> Row:
    own = {"time": 1709629200 + number, "distinct_id": f"u{number % 9}", "$insert_id": f"i{number}"}
    return {"event": "Paid", "properties": {**own, **more}}


def amplitude(number: int, **more: Any) -> Row:
    moment = f"2024-03-05 09:{number // 60:02}:{number % 60:02}.000000"
    own = {"event_type": "Paid", "event_time": moment, "user_id": f"u{number % 9}"}
    return {**own, "$insert_id": f"i{number}", "event_properties": {"plan": "pro"}, **more}


def ga4(number: int, *params: Row) -> Row:
    own = {"event_name": "paid", "event_timestamp": str((1709629200 + number) * 10**6), "user_id": "ada"}
    return {**own, "event_date": "20240305", "event_params": list(params)}


LATE = [
    ([plain(n) for n in range(MANY)] + [plain(MANY, groupId="acme")], "groupId"),
    ([plain(n) for n in range(MANY)] + [plain(MANY, props={"org": {"id": "acme"}})], "props.org.id"),
    ([mixpanel(n) for n in range(MANY)] + [mixpanel(MANY, company_id="acme")], "properties.company_id"),
    ([amplitude(n) for n in range(MANY)] + [amplitude(MANY, groups={"squad": ["a"]})], "groups.squad"),
    (
        [ga4(n) for n in range(MANY)] + [ga4(MANY, {"key": "company", "value": {"string_value": "acme"}})],
        "event_params.company",
    ),
]


@pytest.mark.parametrize(("rows", "column"), LATE)
def test_an_account_that_comes_late_is_reported(
    km: Command, tmp_path: Path, rows: list[Row], column: str
) -> None:
    """With the line of the first row that has it."""
    log = jsonl(tmp_path / "log.jsonl", rows)
    options = ("--timezone", "UTC", *(("--flatten",) if "props" in column else ()))
    summary = km("dry-run", log, *options, "--json").ended(0).summary
    assert summary["findings"]["unused-account"] == 1
    out = " ".join(km("dry-run", log, *options).ended(0).out.split())
    assert f"line {MANY + 1}" in out
    assert f"has {column!r}" in out


NONE = [
    [plain(0), plain(1, plan="pro", groups_seen=3, accounting="yes", **{"company size": "9"})],
    [plain(0, account="acme"), plain(1, groupId=""), plain(2, account="", company="Acme Inc")],
    [mixpanel(0, company="acme"), mixpanel(1, company="acme", team="b")],
]


@pytest.mark.parametrize("rows", NONE)
def test_other_rows_are_not_reported(km: Command, tmp_path: Path, rows: list[Row]) -> None:
    """Other words, blank values, and rows whose account is known."""
    log = jsonl(tmp_path / "log.jsonl", rows)
    summary = km("dry-run", log, "--timezone", "UTC", "--json").ended(0).summary
    assert "unused-account" not in summary["findings"]


def test_a_column_that_is_left_out_is_not_reported(km: Command, tmp_path: Path) -> None:
    log = jsonl(tmp_path / "log.jsonl", [plain(0, groupId="acme")])
    for option in ("--exclude-property", "--ignore-column", "--account"):
        summary = km("dry-run", log, option, "groupId", "--json").ended(0).summary
        assert "unused-account" not in summary["findings"]


@pytest.mark.parametrize("late", [True, False])
def test_of_chosen_columns_only_late_ones_are_reported(km: Command, tmp_path: Path, late: bool) -> None:
    """A km.toml with the user alone leaves out the other columns of the first rows on purpose."""
    configure(km, '[[personas]]\nname = "user"\ncolumn = "user"\n')
    first = [plain(n, filler="x" * 6000) for n in range(MANY if late else 0)]
    log = jsonl(tmp_path / "log.jsonl", [*first, plain(MANY, company="acme")])
    summary = km("dry-run", log, "--json").ended(0).summary
    assert summary["findings"].get("unused-account", 0) == int(late)
