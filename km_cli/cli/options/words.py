"""Values of options: names of files, and the words of a registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    _Choice = click.Choice[str]
else:
    _Choice = click.Choice


def paths(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let a shell complete names of files. The type of the option stays text, because - is not a path."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


class Words(_Choice):
    """The words of a registry. They are looked up when they are needed: `--help` is to load no registry."""

    def __init__(self, look_up: Callable[[], Iterable[str]]) -> None:
        self._look_up = look_up
        super().__init__(())

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that are registered."""
        return tuple(self._look_up())

    @choices.setter
    def choices(self, _none: object) -> None:
        """Ignore the choices that click sets; the registry has them."""


class FormatWords(Words):
    """The words of `--format`. Parquet files are not among them: their first bytes say what they are."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word. Raises UsageError for parquet, with the way to read such a file."""
        if str(value).casefold() == "parquet":
            from km_cli.errors import UsageError

            raise UsageError(
                "--format has no word for Parquet: such files are recognised by their content",
                "leave --format out; a file that is not recognised then is no Parquet file",
            )
        return super().convert(value, param, ctx)


def formats() -> Iterable[str]:
    from km_cli.inputs.formats import format_words

    return format_words()


def exports() -> Iterable[str]:
    from km_cli.exports import NO_EXPORT, export_tables

    return (*export_tables(), NO_EXPORT)


def strategies() -> Iterable[str]:
    from km_cli.strategies import STRATEGIES

    return STRATEGIES


def forms() -> Iterable[str]:
    from km_cli.cli.forms import FORMS

    return FORMS


def help_of_place() -> str:
    from km_cli.destinations import spellings

    return f"The place to look at: {spellings()}."


def help_of_to() -> str:
    from km_cli.destinations import spellings

    return f"{spellings()}."
