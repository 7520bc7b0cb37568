"""The settings of a program that uses Spark come from the words of a command line."""

from __future__ import annotations

import pytest

from km_cli.cli.spark_settings import settings_of
from km_cli.errors import UsageError


def test_the_flags_of_an_import_are_those_of_a_program() -> None:
    settings = settings_of("--to", "http://127.0.0.1:1", "--user", "who", "--spread", "5")
    assert (settings.files, settings.spread, settings.target.tracker) == ((), 5, "http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--nonsense",), "nonsense"),
        (("--to", "local"), "local"),
        (("--limit", "3"), "--limit"),
    ],
)
def test_what_spark_has_no_place_for_is_refused(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        settings_of(*words)
    assert caught.value.hint
