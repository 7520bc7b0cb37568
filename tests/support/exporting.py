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


class _Damaging:
    """An export while it is damaged: its lines by what they say, and those that are added."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.kept: dict[Fact, list[Line]] = {}
        self.added = [line for line in lines if "_p2" in line]
        self.lost: set[Fact] = set()
        self.moved: dict[Fact, tuple[str, bool]] = {}
        self.alien: set[Fact] = set()
        for line in lines:
            if "_p2" not in line:
                self.kept.setdefault(fact_of(line), []).append(line)

    @property
    def done(self) -> int:
        return len(self.lost) + len(self.moved) + len(self.alien)

    def lose(self, fact: Fact) -> None:
        self.lost.add(fact)
        del self.kept[fact]

    def move(self, fact: Fact, other: str, *, by_alias: bool) -> None:
        """Give the records to another person, unless that one has the event too."""
        if fact._replace(person=other) in self.kept:
            return
        self.moved[fact] = (other, by_alias)
        self.added += [line | {"_p": other} for line in self.kept.pop(fact)]
        if by_alias:
            self.added.append({"_p": fact.person, "_p2": other, "_t": fact.second})

    def add(self, line: Line) -> None:
        """Add a record of another source, unless it is there."""
        if fact_of(line) not in self.kept and fact_of(line) not in self.alien:
            self.alien.add(fact_of(line))
            self.added.append(line)


def damage(lines: Sequence[Line], number: int, draw: random.Random) -> Damage:
    """Lose, move, merge or add so many calls. Each second of an event is touched once at most.

    Two calls of one row are alike but for the person: if one was lost and the other moved, nothing could tell
    which is which. Properties without an event are lost or moved if nothing else has them in that second.
    """
    work = _Damaging(lines)
    touched: set[tuple[int, str]] = set()
    everybody = sorted({fact.person for fact in work.kept})
    for at, fact in enumerate(draw.sample(sorted(work.kept), len(work.kept))):
        if work.done == number:
            break
        if fact[:2] in touched or (not fact.event and _stands_elsewhere(fact, work.kept)):
            continue
        touched.add(fact[:2])
        _damage_one(work, fact, at, draw.choice(everybody))
    damaged = [*(line for of_fact in work.kept.values() for line in of_fact), *work.added]
    draw.shuffle(damaged)
    return Damage(damaged, work.lost, work.moved, work.alien)


def _damage_one(work: _Damaging, fact: Fact, at: int, other: str) -> None:
    kind = at % 8
    if kind < 3:
        work.lose(fact)
    elif kind == 3:
        work.move(fact, f"stranger {at}", by_alias=False)
    elif kind == 4:
        work.move(fact, other, by_alias=False)
    elif kind == 5:
        work.move(fact, f"twin of {fact.person}", by_alias=True)
    elif kind == 6:
        work.add({"_p": f"alien {at}", "_t": fact.second, "_n": f"Alien {at % 5}"})
    else:
        work.add({"_p": fact.person, "_t": fact.second, "_n": "Paid elsewhere", "price": str(at)})


def _stands_elsewhere(fact: Fact, kept: dict[Fact, list[Line]]) -> bool:
    """Tell whether another record of the person has properties of this second's."""
    own = {name for line in kept[fact] for name in line if not name.startswith("_")}
    return any(
        own & set(line)
        for other, lines in kept.items()
        if other != fact and (other.second, other.person) == (fact.second, fact.person)
        for line in lines
    )
