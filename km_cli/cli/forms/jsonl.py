"""`--as jsonl`: one JSON object for each call."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

from km_cli.cli.forms.base import Form, Sent, json_text, sent_calls
from km_cli.model import Alias, Record, RowPlan


class JsonlForm(Form):
    """The calls as data. Properties are text, as they are on the wire."""

    word: ClassVar[str] = "jsonl"

    def row(self, plan: RowPlan) -> Iterator[str]:
        """Yield an object for each call."""
        for sent in sent_calls(plan):
            yield json_text(_as_object(sent))


def _as_object(sent: Sent) -> dict[str, Any]:
    row, call, second = sent
    found: dict[str, Any] = {
        "source": row.source,
        "line": row.line,
        "site": call.site,
        "persona": call.persona,
        "call": "alias" if isinstance(call, Alias) else "record" if isinstance(call, Record) else "set",
        "identity": call.identity,
    }
    if isinstance(call, Alias):
        return found | {"other": call.other}
    if isinstance(call, Record):
        found["event"] = call.event
    return found | {
        "second": second,
        "time": datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "properties": dict(call.properties),
    }
