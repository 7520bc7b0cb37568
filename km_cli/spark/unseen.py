"""Events, conditions and columns that no row has: what the tasks saw of them, put together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from km_cli.config.settings import Settings
from km_cli.model import Finding
from km_cli.run.unseen import seen_under, unseen_findings
from km_cli.spark.tables import SEEN


def unseen_of(settings: Settings, told: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Return the findings about names that no row has, given what the tasks saw: rows of kind SEEN."""
    seen = seen_under(settings)
    rows = [row for row in told if row["kind"] == SEEN]
    for row in sorted(rows, key=lambda row: (row["reading"], row["row"])):
        seen.add(json.loads(row["text"]))
    return list(unseen_findings(seen))
