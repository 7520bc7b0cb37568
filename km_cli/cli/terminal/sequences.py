"""A sequence in the form that people read: identify …, record …, identify …"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from km_cli.cli.terminal.show import short
from km_cli.model import Alias, Identify, PlannedCall, Properties, Record, RowPlan, Sequence, Set, Wired

_MOST = 8


def sequence_lines(sequence: Sequence, plan: RowPlan) -> Iterator[str]:
    """Yield the calls of a row, a line each. Of the calls that are not sent, only a Record has a line."""
    yield ""
    yield f"{sequence.row.source}, line {sequence.row.line}"
    planned = {_key(call): (call, one) for call, one in zip(plan.calls, plan.planned, strict=True)}
    several = len({call.site for call in sequence.calls}) > 1
    site_of = {call.persona: f", site {call.site}" if several else "" for call in sequence.calls}
    identified = ""
    for call in sequence.calls:
        text = list(_call_lines(call, planned))
        if text and call.persona != identified:
            identified = call.persona
            yield f"  identify  {short(call.identity, 60)}  ({call.persona}{site_of[call.persona]})"
        yield from text
    *_, last = sequence.shown
    if isinstance(last, Identify) and identified != last.persona:
        yield f"  identify  {short(last.identity, 60)}  ({last.persona}{site_of[last.persona]})"


def _call_lines(call: Wired, planned: dict[tuple[type, str], tuple[Wired, PlannedCall]]) -> Iterator[str]:
    if found := planned.get(_key(call)):
        yield from _sent_lines(*found)
    elif isinstance(call, Record):
        yield f"    record  {short(call.event, 60)}: not sent (sent before, or rejected)"


def _key(call: Wired) -> tuple[type, str]:
    """Return the key of a call among those of its row. Its properties are no part of it: a Set may be cut."""
    return type(call), call.persona


def _sent_lines(call: Wired, planned: PlannedCall) -> Iterator[str]:
    if isinstance(call, Alias):
        yield f"     alias  {short(call.other, 60)}"
        return
    when = datetime.fromtimestamp(planned.taken, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    moved = f" (moved by {planned.taken - planned.second} s)" if planned.taken != planned.second else ""
    if isinstance(call, Set):
        yield f"       set  {when}{moved}"
    else:
        yield f"    record  {short(call.event, 60)}  {when}{moved}"
    yield from _properties(call.properties)


def _properties(properties: Properties) -> Iterator[str]:
    for name, value in properties[:_MOST]:
        yield f"            {short(name, 30)}: {short(value, 60)}"
    if len(properties) > _MOST:
        yield f"            … {len(properties) - _MOST} more properties"
