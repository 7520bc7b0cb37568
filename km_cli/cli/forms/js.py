"""`--as js`: the calls as Kissmetrics' JavaScript queue, `_kmq` (W9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from km_cli.cli.forms.base import UNKNOWN_TO_LEDGER, Form, json_text, sent_calls
from km_cli.model import Alias, Identify, Properties, Record, RowPlan, Sequence, Wired

_HEAD = f"""\
// What km-cli would send, as calls of Kissmetrics' JavaScript library. This is for reading and for tests, not
// for a web page: there, the library would give these identities to the visitor of the page.
// `_t` is the second of a call in UTC; with `_d`, Kissmetrics uses it. Properties are text, as on the wire.
// {UNKNOWN_TO_LEDGER}
var _kmq = _kmq || [];"""


class JsForm(Form):
    """A `push` for each identify, record, set and alias.

    With several sites there is one queue for each: `_kmqs["accounts"]`. `_kmq` is that of the first site.
    """

    word: ClassVar[str] = "js"

    def head(self) -> Iterator[str]:
        """Yield a comment, and the queues."""
        yield from _HEAD.split("\n")
        first, *others = (site.name for site in self._about.sites)
        if others:
            queues = "".join(f", {_text(name)}: []" for name in others)
            yield f"var _kmqs = {{{_text(first)}: _kmq{queues}}};"

    def row(self, plan: RowPlan) -> Iterator[str]:
        """Yield the calls of a row, with each identify, and back to the actor."""
        sent = list(sent_calls(plan))
        yield f"// {_text(plan.row.source)[1:-1]}, line {plan.row.line}"
        sequence = Sequence(plan.row, tuple(one.call for one in sent), actor=self._about.actor)
        seconds = iter([one.second for one in sent])
        for call in sequence.shown:
            if isinstance(call, Identify):
                yield self._push(_site_of(call, sequence), "identify", _text(call.identity))
            else:
                yield self._pushed(call, next(seconds))

    def _pushed(self, call: Wired, second: int) -> str:
        if isinstance(call, Alias):
            return self._push(call.site, "alias", _text(call.identity), _text(call.other))
        properties = _object(call.properties, second)
        if isinstance(call, Record):
            return self._push(call.site, "record", _text(call.event), properties)
        return self._push(call.site, "set", properties)

    def _push(self, site: str, word: str, *arguments: str) -> str:
        queue = f"_kmqs[{_text(site)}]" if len(self._about.sites) > 1 else "_kmq"
        return f"{queue}.push([{', '.join((_text(word), *arguments))}]);"


def _site_of(identify: Identify, sequence: Sequence) -> str:
    """Return the site in which a persona of the row has its calls."""
    return next(call.site for call in sequence.calls if call.persona == identify.persona)


def _object(properties: Properties, second: int) -> str:
    # No property can be `__proto__`, which would be lost: names that begin with _ are reserved.
    parts = [f"{_text(name)}: {_text(value)}" for name, value in properties]
    return "{" + ", ".join((*parts, f'"_t": {second}', '"_d": 1')) + "}"


def _text(text: str) -> str:
    """Return a JavaScript string, in which no page sees the end of its script."""
    return json_text(text).replace("<", "\\u003c")
