"""The interface of a form."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, NamedTuple

from km_cli.cli.terminal.show import INVISIBLE
from km_cli.config.sites import Site
from km_cli.destinations.base import QueryEncoder
from km_cli.model import NO_SECOND, Row, RowPlan, Wired

UNKNOWN_TO_LEDGER = "The ledger does not know calls that are sent this way: an import would send them again."
"""What every form says of its calls."""


class About(NamedTuple):
    """What a form knows of the run.

    `url` is the base URL of the tracker, `actor` the persona that the identity returns to (W9), `sites` are
    those that calls go to. `keys` is asked only by forms that hold keys; it raises UsageError.
    """

    url: str
    actor: str
    sites: tuple[Site, ...]
    keys: Callable[[], Mapping[str, str]]


class Sent(NamedTuple):
    """A call with the row that it comes from and the second that it is sent with, NO_SECOND for an alias."""

    row: Row
    call: Wired
    second: int


class Form(ABC):
    """Writes the calls of a dry run as text. Each method yields lines without their ends."""

    word: ClassVar[str]
    holds_keys: ClassVar[bool] = False
    """Whether the text has API keys in it. Then it is written only to a file, and only if asked for."""

    needs_tracker: ClassVar[bool] = False
    """Whether the calls name the tracker, so that a local store cannot be their destination."""

    def __init__(self, about: About) -> None:
        self._about = about
        self._encoder = QueryEncoder()

    def head(self) -> Iterator[str]:
        """Yield the lines before the first call."""
        yield from ()

    @abstractmethod
    def row(self, plan: RowPlan) -> Iterator[str]:
        """Yield the lines of a row that has calls."""

    def tail(self) -> Iterator[str]:
        """Yield the lines after the last call."""
        yield from ()

    def notes(self) -> Iterator[str]:
        """Yield sentences for the person who runs the command, at the end."""
        yield UNKNOWN_TO_LEDGER


_ESCAPES = str.maketrans({code: f"\\u{code:04x}" for code in INVISIBLE if 0x7F <= code <= 0xFFFF})


def json_text(value: object) -> str:
    """Return JSON in which other alphabets stand as they are, and control and invisible characters do not.

    A line of it cannot control a terminal, and text that looks alike differs where it is different.
    """
    return json.dumps(value, ensure_ascii=False).translate(_ESCAPES)


def sent_calls(plan: RowPlan) -> Iterator[Sent]:
    """Yield the calls of a row that are sent, in their order."""
    rows = plan.rows or (plan.row,) * len(plan.planned)
    for row, call, planned in zip(rows, plan.calls, plan.planned, strict=True):
        yield Sent(row, call, NO_SECOND if planned.is_alias else planned.taken)
