"""`km-cli init` on logs of other systems: the columns that a person would choose in each."""

from __future__ import annotations

from pathlib import Path

import pytest

from km_cli.inference import Inferred, infer
from km_cli.inputs import Source, open_reader
from km_cli.model import Row
from tests.support.strangers import STRANGERS, Stranger

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
