"""`km-cli init` on logs of other systems: the columns that a person would choose in each."""

from __future__ import annotations

from pathlib import Path

import pytest

from km_cli.inference import Inferred, infer
from km_cli.inputs import Source, open_reader
from km_cli.model import Row
from tests.support.command import Command
from tests.support.strangers import ROWS, STRANGERS, Stranger

NOW = 1_750_000_000.0


def looked_at(path: Path, text: str) -> Inferred:
    """The findings about a log."""
    path.write_text(text, encoding="utf-8")
    opened = open_reader(Source(str(path)))
    try:
        rows = [item for item in opened.reader().items() if isinstance(item, Row)]
        return infer(lambda: rows, opened.columns, tabular=opened.format.is_tabular, now=NOW)
    finally:
        opened.close()


def answers(found: Inferred) -> dict[str, str]:
    """The column of each role; "" if there is none, or it is a question."""
    guesses = {"event": found.event, "timestamp": found.timestamp}
    guesses |= {persona.name: persona.guess for persona in found.personas}
    chosen = {role: guess.column if guess.is_known else "" for role, guess in guesses.items()}
    return {**chosen, "id": found.id.column}


@pytest.mark.parametrize("log", STRANGERS, ids=lambda log: log.name)
def test_the_columns_are_those_that_a_person_would_choose(tmp_path: Path, log: Stranger) -> None:
    chosen = answers(looked_at(tmp_path / log.file, log.text()))
    wrong = {
        role: column
        for role, column in chosen.items()
        if column not in (getattr(log, role) if role in Stranger._fields else ())
    }
    assert wrong == {}


@pytest.mark.parametrize("log", STRANGERS, ids=lambda log: log.name)
def test_the_object_that_holds_the_properties_is_named(tmp_path: Path, log: Stranger) -> None:
    assert looked_at(tmp_path / log.file, log.text()).expands == log.expands


ASKED = {
    "stripe": ["which column is the user?"],
    "shop": ["which column is the event?"],
    "snowplow": ["in which time zone was the log written?"],
    "django": ["which column is the event?"],
}
"""The questions that only a person can answer; the other logs have none."""


@pytest.mark.parametrize("log", STRANGERS, ids=lambda log: log.name)
def test_every_row_can_be_sent_with_the_file_as_it_is_written(
    km: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Stranger
) -> None:
    """Once the questions are answered."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / log.file).write_text(log.text(), encoding="utf-8")
    out = km("init", log.file).ended(0).out
    asked = [line.partition(": ")[2] for line in out.splitlines() if line.startswith("question: ")]
    assert len(asked) == len(ASKED.get(log.name, []))
    assert all(map(str.startswith, asked, ASKED.get(log.name, [])))
    answer(tmp_path / "km.toml")
    rows = km("dry-run", log.file, "--json").ended(0).summary["rows"]
    assert rows["sent"] == ROWS


def answer(toml: Path) -> None:
    """Answer the questions as a person would: Berlin, all rows are one event, rows that name no user."""
    text = toml.read_text(encoding="utf-8")
    text = text.replace("# timezone =", "timezone =").replace("# event_name =", "event_name =")
    before, user, after = text.partition("[[personas]]  # the first is the actor, to whom identity returns\n")
    if after.startswith('name = "user"\ncolumn = "?"'):
        user, after = "", after[after.index("[[personas]]") :]
    toml.write_text(before + user + after, encoding="utf-8")


def test_a_pattern_of_exports_is_a_source_of_backfills(
    km: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export's columns are those of its table, and its files are read each night like any others."""
    monkeypatch.chdir(tmp_path)
    log = next(log for log in STRANGERS if log.name == "amplitude")
    lines = log.text().splitlines(keepends=True)
    for number in range(2):
        (tmp_path / f"{number}.jsonl").write_text("".join(lines[number::2]), encoding="utf-8")
    out = km("init", "*.jsonl").ended(0).out
    assert "2 files: an export of Amplitude" in out
    assert km("backfill", "--to", "local", "--json").ended(0).summary["rows"]["sent"] == ROWS
