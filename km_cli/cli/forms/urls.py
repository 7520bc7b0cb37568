"""`--as urls`: the log of request paths that `km_send` of the km and kmts gems replays (W8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from km_cli.cli.forms.base import About, Form, sent_calls
from km_cli.destinations.base import LONGEST_GET
from km_cli.model import RowPlan


class UrlsForm(Form):
    """One request path with its key on each line. Nothing else may stand in this log, not even a comment."""

    word: ClassVar[str] = "urls"
    holds_keys: ClassVar[bool] = True

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._keys = about.keys()
        self._long = 0

    def row(self, plan: RowPlan) -> Iterator[str]:
        """Yield a path for each call."""
        for _, call, second in sent_calls(plan):
            path, _, query = self._encoder.encode(call, second).decode("ascii").partition("?")
            line = f"{path}?_k={self._keys[call.site]}&{query}"
            self._long += len(line) > LONGEST_GET
            yield line

    def notes(self) -> Iterator[str]:
        """Yield what the gems do with this log that its reader should know."""
        yield from super().notes()
        yield "km_send does not look at answers: compare what arrived, for example with km-cli verify."
        if self._long:
            yield (
                f"{self._long:,} lines are longer than {LONGEST_GET:,} characters. km_send sends them by "
                "GET; km-cli would post a form, because a proxy may refuse such long lines."
            )
