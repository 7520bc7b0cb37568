"""Events, conditions and columns that flags or km.toml name, and that no row has."""

from __future__ import annotations

from collections.abc import Iterator

from km_cli.config.settings import Settings
from km_cli.mapping import ColumnsSeen, ConditionsSeen, EventsSeen, Selection
from km_cli.model import Finding
from km_cli.run.tally import Tally


def seen_under(settings: Settings) -> EventsSeen:
    """Return what takes note of the events, conditions and columns that rows under these settings have."""
    conditions = ConditionsSeen(settings.column_options.where, settings.named_at)
    columns = ColumnsSeen(settings.named_at)
    if settings.column_options.profiles:  # they have no events: names of events are about other logs
        return EventsSeen(Selection(), conditions=conditions, columns=columns)
    return EventsSeen(
        settings.selection,
        settings.personas,
        settings.skipped,
        conditions,
        settings.named_events,
        columns,
    )


def note_unseen(seen: EventsSeen, tally: Tally) -> None:
    """Note a finding for each kind of name that no row has. All rows were seen."""
    for finding in unseen_findings(seen):
        tally.note(finding)


def unseen_findings(seen: EventsSeen) -> Iterator[Finding]:
    """Yield a finding for each kind of name that no row has. All rows were seen."""
    found = {
        "no-such-event": seen.unseen(),
        "unmet-condition": seen.conditions.unmet(),
        "unseen-column": seen.columns.unseen(),
    }
    for code, names in found.items():
        if message := "; ".join(names):
            yield Finding(code, message, "", 0)
