"""Makes data exports of Kissmetrics from the requests that a tracker got, and damages them on purpose.

It shares nothing with km-cli: a record of the export is what stands in a request. So it is the oracle of
`km-cli verify` as well: the damage says which calls must be named, and no others.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.tracker import Hit

Line = dict[str, Any]


class Fact(NamedTuple):
    """Who did what in which second; the event is "" for properties alone."""

    second: int
    event: str
    person: str


def records_of(hits: Iterable[Hit]) -> list[Line]:
    """Return the lines of an export, in order of arrival, duplicates too (the older page of W7)."""
    return [_record(hit) for hit in hits]


def _record(hit: Hit) -> Line:
    params = hit.params
    line: Line = {name: value for name, value in params.items() if not name.startswith("_")}
    line |= {"_p": params["_p"], "_t": int(params.get("_t", 1_700_000_000))}
    if hit.path == "/e":
        line["_n"] = params["_n"]
    elif hit.path == "/a":
        line["_p2"] = params["_n"]
    return line


def write_export(
    folder: Path, lines: Sequence[Line], a_revision: int = 1_000, *, packed: bool = False, tables: bool = True
) -> Path:
    """Write an export: so many lines in each revision."""
    revisions = folder / "revisions"
    revisions.mkdir(parents=True)
    parts = [lines[at : at + a_revision] for at in range(0, len(lines), a_revision)]
    for number, part in enumerate(parts, 1):
        text = "".join(f"{json.dumps(line)}\n" for line in part).encode()
        name = f"{number}.json.gz" if packed else f"{number}.json"
        (revisions / name).write_bytes(gzip.compress(text) if packed else text)
    if tables:
        status = f"Total Revisions,Exported Revisions\n{len(parts)},{len(parts)}\n"
        (folder / "status.csv").write_text(status)
    return folder


def fact_of(line: Line) -> Fact:
    return Fact(line["_t"], line.get("_n", ""), line["_p"])


class Damage(NamedTuple):
    """An export that was damaged, and what must be said of it.

    `moved` has the new person of each call that was moved, with whether an alias moved it.
    """

    lines: list[Line]
    lost: set[Fact]
    moved: dict[Fact, tuple[str, bool]]
    alien: set[Fact]


def damage(lines: Sequence[Line], number: int, draw: random.Random) -> Damage:
    """Lose, move, merge or add so many calls. Each second of an event is touched once at most.

    Two calls of one row are alike but for the person: if one was lost and the other moved, nothing could tell
    which is which. Properties without an event are lost or moved if nothing else has them in that second.
    """
    kept: dict[Fact, list[Line]] = {}
    aliases = [line for line in lines if "_p2" in line]
    for line in lines:
        if "_p2" not in line:
            kept.setdefault(fact_of(line), []).append(line)
    touched: set[tuple[int, str]] = set()
    lost, moved, alien = set(), {}, set()
    added: list[Line] = []
    for at, fact in enumerate(draw.sample(sorted(kept), len(kept))):
        if len(lost) + len(moved) + len(alien) == number:
            break
        if fact[:2] in touched or (not fact.event and _stands_elsewhere(fact, kept)):
            continue
        touched.add(fact[:2])
        kind = at % 8
        if kind < 3:
            lost.add(fact)
            del kept[fact]
        elif kind < 6:
            by_alias = kind == 5
            other = f"stranger {at}" if kind == 3 else f"twin of {fact.person}"
            other = other if by_alias or kind == 3 else draw.choice(sorted(kept)).person
            if fact._replace(person=other) in kept or (not by_alias and f"twin of {fact.person}" == other):
                continue
            moved[fact] = (other, by_alias)
            same = [line | {"_p": other} for line in kept.pop(fact)]
            added += same
            if by_alias:
                added.append({"_p": fact.person, "_p2": other, "_t": fact.second})
        else:
            line = {"_p": f"alien {at}", "_t": fact.second, "_n": f"Alien {at % 5}"}
            if kind == 7:
                line = {"_p": fact.person, "_t": fact.second, "_n": "Paid elsewhere", "price": str(at)}
            if fact_of(line) in kept:
                continue
            alien.add(fact_of(line))
            added.append(line)
    rest = [line for of_fact in kept.values() for line in of_fact]
    damaged = [*rest, *added, *aliases]
    draw.shuffle(damaged)
    return Damage(damaged, lost, moved, alien)


def _stands_elsewhere(fact: Fact, kept: dict[Fact, list[Line]]) -> bool:
    """Tell whether another record of the person has properties of this second's."""
    own = {name for line in kept[fact] for name in line if not name.startswith("_")}
    return any(
        own & set(line)
        for other, lines in kept.items()
        if other != fact and (other.second, other.person) == (fact.second, fact.person)
        for line in lines
    )
