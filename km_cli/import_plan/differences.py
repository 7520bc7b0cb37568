"""The differences between an import plan and what would be sent now, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from km_cli.import_plan.content import ImportPlan, Input

Listed = tuple[str, int, int, int, int, str, str]
"""A block, as `Proof` has it."""

_LABELS = {"name": "input", "code": "code", "site": "site"}
_ABSENT = object()


def differences(planned: ImportPlan, found: ImportPlan) -> Iterator[str]:
    """Yield the differences in what is sent, first the lines where they begin.

    Time, version and costs do not matter, nor does the ledger, which is compared before a rehearsal.
    """
    yield first_change(planned.proof.blocks, found.proof.blocks)
    before, now = msgspec.to_builtins(planned), msgspec.to_builtins(found)
    for part in (before, now):
        part["total"].pop("left_by_earlier_runs", None)
    for name in ("total", "calls", "days", "rejects", "findings", "inputs", "forecast"):
        yield from changes(before.get(name, {}), now.get(name, {}), name)
    if planned.proof.chain != found.proof.chain:
        yield "proof.chain, the digest of all calls"


def differences_of_files(planned: Sequence[Input], found: Sequence[Input]) -> Iterator[str]:
    """Yield the differences between the inputs on disk and those of the plan."""
    names, now = [one.name for one in planned], [one.name for one in found]
    if names != now:
        for name in now:
            if name not in names:
                yield f"{name} is not an input of the plan"
        for name in names:
            if name not in now:
                yield f"{name} is an input of the plan, and is not given"
        if sorted(names) == sorted(now):
            yield f"the inputs are in another order: the plan has {', '.join(names)}"
        return
    for one, other in zip(planned, found, strict=True):
        if one.sha256 != other.sha256:
            size = f"{other.bytes:,} bytes in place of {one.bytes:,}"
            yield f"{one.name} has other content{'' if one.bytes == other.bytes else f': {size}'}"


def first_change(planned: Sequence[Listed], found: Sequence[Listed]) -> str:
    """Return the first lines whose calls or bytes differ, in words; "" if all blocks are alike."""
    for one, other in zip(planned, found, strict=False):
        if one != other:
            source, first, last = one[:3]
            last = max(last, other[2]) if other[0] == source else last
            kind = "calls" if one[5] != other[5] else "lines"
            return f"the first {kind} that differ are of {source}, lines {first:,} to {last:,}"
    longer, what = (planned, "missing now") if len(planned) > len(found) else (found, "not in the plan")
    for source, first, last, *_ in longer[min(len(planned), len(found)) :]:
        return f"the calls of {source}, lines {first:,} to {last:,}, are {what}"
    return ""


def first_change_of_rest(planned: Sequence[Listed], found: Sequence[Listed], done: int) -> str:
    """Return the first lines whose calls differ, as `first_change` does, for an import that goes on.

    `done` rows of the whole blocks before were sent. The first block that is `found` may have been sent in
    part, so that of all blocks only the digests of calls can be compared.
    """
    rest = list(planned)
    while rest and done >= rest[0][3]:
        done -= rest.pop(0)[3]
    for one, other in zip(rest, found, strict=False):
        if one[5] != other[5]:
            return f"the first calls that differ are of {one[0]}, lines {one[1]:,} to {one[2]:,}"
    return first_change(rest[len(found) :], found[len(rest) :])


def changes(before: Any, now: Any, place: str) -> Iterator[str]:
    """Yield each value that differs, with its place: `settings.spread: 60 → 30`."""
    if place.startswith("settings."):  # Options of a table that is not there are not used.
        before = {} if before is _ABSENT and isinstance(now, dict) else before
        now = {} if now is _ABSENT and isinstance(before, dict) else now
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *(key for key in now if key not in before)]:
            yield from changes(before.get(key, _ABSENT), now.get(key, _ABSENT), f"{place}.{key}")
    elif _is_table_list(before) and _is_table_list(now):
        ones, others = _by_label(before), _by_label(now)
        yield from changes(ones, others, place)
    elif before != now:
        yield f"{place}: {_shown(before)} → {_shown(now)}"


def _is_table_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _by_label(tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return tables by what tells them apart, so that one that is new does not make all others differ."""
    return {_label(table): table for table in tables}


def _label(table: Mapping[str, Any]) -> str:
    if "persona" in table:
        return f"{table['site']} {table['persona']}"
    return str(next((table[key] for key in _LABELS if key in table), ""))


def _shown(value: object) -> str:
    if value is _ABSENT:
        return "none"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_shown(one)}' for key, one in value.items())}}}"[:200]
    return f"{value:,}" if type(value) is int else repr(value)[:200]
