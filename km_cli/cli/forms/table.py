"""`--as table`: one line for each call, in columns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import ClassVar

from km_cli.cli.forms.base import Form, Sent, sent_calls
from km_cli.cli.terminal.show import escaped
from km_cli.model import Alias, Record, RowPlan

_WIDTHS = (19, 12, 24, 6)
"""Characters of the time, the persona, the identity and the kind of call; longer values are not cut."""

_WIDTHS_WITH_SITES = (19, 20, 24, 6)


class TableForm(Form):
    """The calls for reading: time in UTC, persona, identity, kind of call, event, properties."""

    word: ClassVar[str] = "table"

    def head(self) -> Iterator[str]:
        """Yield the names of the columns."""
        several = len(self._about.sites) > 1
        yield _line("time (UTC)", "persona", "identity", "call", "event and properties", wider=several)

    def row(self, plan: RowPlan) -> Iterator[str]:
        """Yield a line for each call."""
        several = len(self._about.sites) > 1
        for sent in sent_calls(plan):
            site = f" ({sent.call.site})" if several else ""
            yield _line(*_cells(sent, f"{sent.call.persona}{site}"), wider=several)


def _cells(sent: Sent, persona: str) -> tuple[str, str, str, str, str]:
    call = sent.call
    if isinstance(call, Alias):
        return "", persona, call.identity, "alias", call.other
    when = datetime.fromtimestamp(sent.second, UTC).strftime("%Y-%m-%d %H:%M:%S")
    properties = ", ".join(f"{name}: {value}" for name, value in call.properties)
    if isinstance(call, Record):
        return when, persona, call.identity, "record", "  ".join(filter(None, (call.event, properties)))
    return when, persona, call.identity, "set", properties


def _line(*cells: str, wider: bool) -> str:
    """Return a line; `wider` leaves room for the site behind the persona."""
    *first, last = (escaped(cell).replace("\n", "\\n") for cell in cells)
    widths = _WIDTHS_WITH_SITES if wider else _WIDTHS
    padded = (f"{cell:<{width}}" for cell, width in zip(first, widths, strict=True))
    return "  ".join((*padded, last)).rstrip()
