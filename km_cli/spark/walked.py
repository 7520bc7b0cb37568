"""The rows of the table WALKED, of calls, rejects and findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from km_cli.model import Alias, Finding, Gain, PlannedCall, Record, Reject, Row, Wired
from km_cli.spark.state import Place
from km_cli.spark.tables import CALL

Walked = dict[str, Any]
"""A row of the table WALKED; columns that it lacks are null."""


def place_of(row: Mapping[str, Any]) -> Place:
    """Return the place of a call."""
    return Place(row["reading"], row["row"], row["part"])


def _base(row: Mapping[str, Any]) -> Walked:
    return {name: row[name] for name in ("reading", "row", "part")}


def columns_of_row(of: Row, place: Place, row: Mapping[str, Any]) -> Walked:
    """Return the columns of a planned call that name its row."""
    return {
        "kind": CALL,
        **place._asdict(),
        "decided": row["row"],
        "source": of.source,
        "line": of.line,
        "raw": of.raw,
        "spelling": row["spelling"],
    }


def columns_of_call(planned: PlannedCall, call: Wired, gain: Gain) -> Walked:
    """Return the columns of a planned call: what is sent, and what it adds to Kissmetrics."""
    return {
        "site": planned.site,
        "persona": planned.persona,
        "payload": planned.payload,
        "person": planned.person,
        "second": planned.second,
        "taken": planned.taken,
        "deed": planned.deed,
        "total": planned.total,
        "identity": call.identity,
        "event": call.event if isinstance(call, Record) else "",
        "names": [name for name, _ in call.properties] if not isinstance(call, Alias) else [],
        "gain_people": gain.people,
        "gain_event": gain.event,
        "gain_names": gain.names,
    }


def reject_columns(reject: Reject, row: Mapping[str, Any], place: int) -> Walked:
    """Return the row of WALKED for a reject. `place` is that of its first call in its row."""
    of = reject.row
    return {
        "kind": "reject",
        "reading": row["reading"],
        "row": of.line,
        "part": place,
        "decided": row["row"],
        "source": of.source,
        "line": of.line,
        "raw": of.raw,
        "code": reject.code,
        "text": reject.reason,
        "owed": list(reject.owed),
    }


def finding_columns(finding: Finding, row: Mapping[str, Any]) -> Walked:
    """Return the row of WALKED for a finding."""
    code, message, source, line, who = finding
    return {
        **_base(row),
        "kind": "finding",
        "source": source,
        "line": line,
        "code": code,
        "text": message,
        "who": who,
    }
