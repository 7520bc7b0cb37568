"""Puts the rejects of a row together, which several tasks have made: one for each person's calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any


def merged_rejects(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield one reject for each code of a row, given rejects sorted by reading, row and part.

    Parts with the same code share one reject, as in `planning.decision`. A reject without a code has parts
    that are owed together with the rest of the row.
    """
    for _, several in groupby(rows, lambda row: (row["reading"], row["row"])):
        yield from _merged([dict(row) for row in several])


def _merged(rejects: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    merged: dict[str, dict[str, Any]] = {}
    for reject in rejects:
        first = merged.get(reject["code"]) if reject["code"] else None
        if first is not None:
            is_same = reject["text"] in first["text"]
            first["text"] = first["text"] if is_same else f"{first['text']}; {reject['text']}"
            first["owed"] = [*first["owed"], *reject["owed"]]
        elif reject["code"]:
            merged[reject["code"]] = reject
    held = [part for reject in rejects if not reject["code"] for part in reject["owed"]]
    if held:
        first = next(iter(merged.values()))
        first["owed"] = [*first["owed"], *held]
    return merged.values()
