"""Wrong, and said so: columns that probably have the wrong role, and the place where one was named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.mapping import are_swapped
from tests.conftest import SAMPLES
from tests.support.command import Command
from tests.support.drawing import examples
from tests.support.logs import COMMANDS, said

SWAPPING = "--user account --account user"


def log(
    folder: Path, user: str, account: str, time: str = "2024-03-01T09:{n:02}:00Z", rows: int = 40
) -> Path:
    """Write a log in which {n} counts rows, {a} four accounts, and {u} their twenty users."""
    lines = [
        ",".join(one.format(n=n, a=n % 4, u=n % 20) for one in (user, account, "Paid", time))
        for n in range(rows)
    ]
    path = folder / "log.csv"
    path.write_text("\n".join(["user,account,event,timestamp", *lines, ""]), encoding="utf-8")
    return path


def findings(km: Command, *words: str | Path) -> dict[str, Any]:
    """The findings of a dry run, by code."""
    counted: dict[str, Any] = km("dry-run", *words, "--json").ended(0).summary["findings"]
    return counted


@pytest.mark.parametrize("command", COMMANDS)
def test_swapped_columns_are_said_with_the_flags_that_swap_them(
    importer: Command, tmp_path: Path, command: str
) -> None:
    """Without a terminal too."""
    path = log(tmp_path, "Acme{a}", "u{u}")
    wrong = importer(command, path).ended(0)
    wanted = "{} the first 40 events, 'user' (user) has 4 values and 'account' (account) has 20"
    beginning = "note: in" if command == "import" else f"first: {path}: in"
    assert wanted.format(beginning) in wrong.out + wrong.err
    assert "(swapped)" in wrong.out + wrong.err
    assert SWAPPING in wrong.out + wrong.err


def test_the_flags_swap_the_columns(km: Command, tmp_path: Path) -> None:
    assert "swapped" not in findings(km, log(tmp_path, "Acme{a}", "u{u}"), *SWAPPING.split())


@pytest.mark.parametrize(
    ("user", "account", "rows"),
    [
        ("u{u}", "Acme{a}", 40),  # as it should be
        ("ada", "Acme{u}", 40),  # one person tries all accounts
        ("Acme{a}", "u{u}", 19),  # too few rows to tell
        ("Acme{a}", "", 40),
        ("Acme{a}", "Acme{a}x", 40),
    ],
)
def test_other_logs_are_not_said_to_be_swapped(
    km: Command, tmp_path: Path, user: str, account: str, rows: int
) -> None:
    assert "swapped" not in findings(km, log(tmp_path, user, account, rows=rows), "--collisions", "keep")


def test_swapped_columns_do_not_make_a_strict_import_fail(importer: Command, tmp_path: Path) -> None:
    """The log may really be like that, and then --strict must not stand in its way."""
    importer("import", log(tmp_path, "Acme{a}", "u{u}"), "--strict").ended(0)


PAIRS = st.lists(
    st.tuples(st.sampled_from(["", *"abcd"]), st.sampled_from(["", *"0123456789"])), min_size=1, max_size=60
)


@settings(max_examples=examples(200))
@given(PAIRS)
def test_no_log_is_swapped_both_ways(pairs: list[tuple[str, str]]) -> None:
    """If a log looks swapped, the same log with its columns swapped does not."""
    assert not (are_swapped(pairs) and are_swapped([(account, user) for user, account in pairs]))


def test_a_constant_time_is_said(importer: Command, tmp_path: Path) -> None:
    path = log(tmp_path, "u{n}", "Acme{n}", "2024-03-01T09:00:00Z")
    wanted = "note: the first 40 events all have the time 2024-03-01 09:00:00 UTC, from 'timestamp'"
    assert wanted in importer("import", path).ended(0).err


@pytest.mark.parametrize("time", ["2024-03-01", "2024-03-01T09:00:0{a}Z"])
def test_times_of_a_day_or_of_few_seconds_are_not_constant(km: Command, tmp_path: Path, time: str) -> None:
    path = log(tmp_path, "u{n}", "Acme{n}", time)
    assert "constant-time" not in findings(km, path, "--timezone", "UTC")


def test_a_time_in_the_future_is_said_with_the_column_that_is_not(km: Command, tmp_path: Path) -> None:
    path = log(tmp_path, "u{n}", "Acme{n}", "2099-03-01T09:{n:02}:00Z,2024-03-01T09:{n:02}:00Z,{n}")
    text = path.read_text().replace("timestamp", "date,seen,number")
    path.write_text(text)
    result = km("dry-run", path).ended(2)
    said(result, "the time '2099-03-01T09:00:00Z' is more than a day ahead")
    said(result, "the times of 'date' lie in the future")
    said(result, "perhaps --timestamp seen")
    assert km("dry-run", path, "--timestamp", "seen", "--json").ended(0).summary["rows"]["sent"] == 40


@pytest.mark.parametrize(
    ("time", "quoted"),
    [
        ("13/04/2024", "'13/04/2024' has no offset"),
        ("2024-04-13 9:05", "'2024-04-13 9:05'"),
        ("20240413T090500", "'20240413T090500' has no offset"),
    ],
)
def test_a_message_quotes_the_time_as_it_stands_in_the_file(
    km: Command, tmp_path: Path, time: str, quoted: str
) -> None:
    result = km("dry-run", log(tmp_path, "u", "a", time, rows=1))
    assert quoted in result.out + result.err


@pytest.mark.parametrize(
    ("time", "code", "wanted"),
    [
        ("13/04/2024 10:00 UTC", 0, "2024-04-13 10:00:00 UTC"),
        ("03/04/2024 10:00 UTC", 2, "'03/04/2024 10:00 UTC' can be read in several ways"),
    ],
)
def test_a_date_of_one_reading_is_read_so(
    km: Command, tmp_path: Path, time: str, code: int, wanted: str
) -> None:
    result = km("dry-run", log(tmp_path, "u", "a", time, rows=1)).ended(code)
    assert wanted in result.out + result.err


@pytest.mark.parametrize(
    ("toml", "words", "variables", "place"),
    [
        ("", ("--user", "usr"), {}, "'usr' (--user)"),
        ("", (), {"KM_CLI_USER": "usr"}, "'usr' (KM_CLI_USER)"),
        ('[columns]\nuser = "usr"\n', (), {}, "'usr' (km.toml, columns.user)"),
        ('[columns]\nuser = "usr"\n', ("--user", "usar"), {}, "'usar' (--user)"),
        ('[[personas]]\nname = "user"\ncolumn = "usr"\n', (), {}, "'usr' (km.toml, the persona 'user')"),
        ('[columns]\nid = "key"\n', (), {}, "'key' (km.toml, columns.id)"),
        (
            '[columns]\nexclude = ["plan"]\n',
            ("--exclude-property", "x"),
            {},
            "'plan' (km.toml, columns.exclude)",
        ),
        ("", ("--exclude-property", "plan"), {}, "'plan' (--exclude-property)"),
        ('[columns]\nignore = ["offset"]\n', (), {}, "'offset' (km.toml, columns.ignore)"),
        ('[columns]\nproperties = ["plan"]\n', (), {}, "'plan' (km.toml, columns.properties)"),
    ],
)
def test_a_message_says_where_a_column_was_named(
    km: Command, tmp_path: Path, toml: str, words: tuple[str, ...], variables: dict[str, str], place: str
) -> None:
    (tmp_path / "here.toml").write_text(toml)
    km.environment.update(variables)
    result = km("dry-run", log(tmp_path, "u", "a"), "--config", tmp_path / "here.toml", *words).ended(2)
    said(result, f"there is no column {place}")


def test_the_nested_sample_needs_no_flags(km: Command) -> None:
    """Six of its rows are bad on purpose."""
    rows = km("dry-run", SAMPLES / "events.jsonl", "--json").ended(65).summary["rows"]
    assert rows == {"read": 1460, "sent": 1453, "skipped": 1, "rejected": 6, "held": 0, "pending": 0}


def test_import_points_to_the_dry_run(km: Command) -> None:
    said(km("import", "x.csv", "--dry-run").ended(2), "km-cli dry-run FILE... shows what import would send")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_store_in_a_folder_that_is_absent_is_refused(km: Command, tmp_path: Path, command: str) -> None:
    """The folder is not made, because the path may be mistyped."""
    path, there = log(tmp_path, "u{n}", "a{a}"), tmp_path / "my folder"
    words = (command, path, "--to", f"local:{there / 'x.db'}")
    result = km(*words).ended(2)
    said(result, f"there is no folder {there}")
    said(result, f"mkdir -p '{there}'")
    assert not there.exists()
    there.mkdir()
    km(*words).ended(0)


def test_a_store_below_a_file_is_refused(km: Command, tmp_path: Path) -> None:
    path = log(tmp_path, "u", "a")
    said(km("import", path, "--to", f"local:{path / 'x.db'}").ended(2), "is not a folder")
