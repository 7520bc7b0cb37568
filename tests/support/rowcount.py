"""Counts the rows of logs by all of their columns, and so the calls that they must become.

It shares no code with km-cli, nor with `oracle.py`: it reads files with Python's csv and json, and decides
only which rows are one event (promise 5 of the design). It chooses no seconds: `accounting.py` compares its
count with the calls that arrived.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

Cells = frozenset[tuple[str, str]]
"""Column and value of every cell that is not blank."""

Rejected = Mapping[tuple[str, int], Mapping[str, str]]
"""By file and line, the personas of a rejected row that are still owed ("": all), each with the code."""


class Level(NamedTuple):
    """A persona: its column, the events that it may do, its properties and its site."""

    name: str
    column: str
    site: str = "main"
    events: Mapping[str, str] | None = None
    """The log's name of each event it may do, and its own name for it ("": as `rename` says). None: all."""
    rename: str = "{event}"
    properties: tuple[str, ...] | None = None
    """None: every column that the form leaves over."""
    prefix: str = ""
    link: tuple[tuple[str, str], ...] = ()
    """A property, and the persona whose identity it holds."""

    def called(self, event: str) -> str | None:
        """Return this persona's name for an event; None if it may not do it."""
        if self.events is not None and event not in self.events:
            return None
        return (self.events or {}).get(event) or self.rename.replace("{event}", event)


class Form(NamedTuple):
    """How logs are read: the personas, the columns, and what is neither sent nor compared."""

    levels: tuple[Level, ...]
    event: str = "event"
    timestamp: str = "timestamp"
    id: str = ""
    ignored: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    properties: tuple[str, ...] | None = None
    zone: str = "UTC"
    spread: int = 60

    def carried(self, level: Level, columns: Iterable[str]) -> set[str]:
        """Return the columns that a persona's records carry."""
        named = {one.column for one in self.levels} | {self.event, self.timestamp, self.id}
        asked = level.properties if level.properties is not None else self.properties
        found = set(columns) - named if asked is None else set(asked)
        return found - {*self.excluded, *self.ignored}


class Line(NamedTuple):
    """A row, where it begins (from 1), and its moment in seconds since 1970."""

    number: int
    values: dict[str, str]
    moment: Fraction


class Log(NamedTuple):
    """A file as it was read. `has_dates_only`: a time in it has no time of day.

    `columns` is None for JSON lines: they have every column, absent or not.
    """

    name: str
    columns: frozenset[str] | None
    lines: tuple[Line, ...]
    has_dates_only: bool

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last second."""
        seconds = [line.moment.__floor__() for line in self.lines]
        return min(seconds), max(seconds)


class Selection(NamedTuple):
    """One persona's part of a row, before a second is chosen."""

    log: int
    line: int
    level: str
    site: str
    identity: str
    event: str
    deed: tuple[object, ...]
    second: int
    cells: Cells
    """What is compared: every column but the ignored ones and the id."""
    id: str
    shown: Cells
    """What is sent."""


@dataclass
class Happening:
    """One event of one persona: the parts of rows, in one file or several, that tell of it."""

    parts: list[Selection]
    is_sure: bool = True
    """Whether a call for it must have arrived."""
    forms: frozenset[Cells] = frozenset()
    """What its call may carry: the first row's properties, as a rule."""


@dataclass
class Count:
    """What the files say: the events, and what is wrong about the rejects."""

    happenings: list[Happening] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    conflicts: set[tuple[str, int]] = field(default_factory=set)
    """File and line of the rows of which a part is a conflict, or may be taken for one."""


# Reading


def read(path: Path, form: Form) -> Log:
    """Read a CSV file with a header, or JSON lines if the name says so."""
    text = path.read_text(encoding="utf-8")
    columns, rows = _json(text) if ".jsonl" in path.name else _csv(text)
    lines = tuple(Line(number, row, moment(row[form.timestamp], form.zone)) for number, row in rows)
    dated = any(_is_date(line.values[form.timestamp]) for line in lines)
    return Log(str(path), columns, lines, dated)


def _csv(text: str) -> tuple[frozenset[str], list[tuple[int, dict[str, str]]]]:
    reader = csv.reader(text.splitlines(keepends=True))
    header = next(reader, [])
    rows, begin = [], reader.line_num + 1
    for cells in reader:
        if cells:
            rows.append((begin, {name: cell for name, cell in zip(header, cells, strict=True) if cell}))
        begin = reader.line_num + 1
    return frozenset(header), rows


def _json(text: str) -> tuple[None, list[tuple[int, dict[str, str]]]]:
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        found = json.loads(line, parse_int=str, parse_float=str)
        rows.append((number, {name: str(cell) for name, cell in found.items() if cell not in (None, "")}))
    return None, rows


def moment(text: str, zone: str = "UTC") -> Fraction:
    """Return seconds since 1970, with all the digits there are."""
    if text.replace(".", "", 1).isdigit():
        number = Fraction(text)
        return number if number < 10**11 else number / 1000
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(zone))
    return Fraction(int(found.replace(microsecond=0).timestamp())) + Fraction(found.microsecond, 10**6)


def _is_date(text: str) -> bool:
    return len(text) == len("2024-01-01") and text.count("-") == 2


def parts_of(number: int, log: Log, form: Form) -> list[Selection]:
    """Return the part of every persona of every row of the log with this number."""
    columns = {name for line in log.lines for name in line.values} if log.columns is None else log.columns
    carried = {level.name: form.carried(level, columns) for level in form.levels}
    return [part for line in log.lines for part in _parts(number, line, form, carried)]


def _parts(log: int, line: Line, form: Form, carried: Mapping[str, set[str]]) -> list[Selection]:
    row = line.values
    named = {level.name: level.prefix + row[level.column] for level in form.levels if level.column in row}
    actor = next(iter(named.values()), "")
    cells = frozenset(pair for pair in row.items() if pair[0] not in (*form.ignored, form.id))
    found = []
    for level in form.levels:
        event = level.called(row[form.event])
        if event is None or level.name not in named:
            continue
        shown = {name: row[name] for name in carried[level.name] if name in row}
        shown |= {name: named[other] for name, other in level.link if other in named}
        deed = (level.name, level.site, named[level.name], actor, row[form.event], line.moment)
        place = (log, line.number, level.name, level.site, named[level.name], event)
        second, id_ = line.moment.__floor__(), row.get(form.id, "")
        found.append(Selection(*place, deed, second, cells, id_, frozenset(shown.items())))
    return found


# Which rows are one


def count(logs: Sequence[Log], form: Form, overlap: str = "ask", rejected: Rejected | None = None) -> Count:
    """Count the events of files that were imported in this order.

    `overlap` says what became of conflicts: "ask" (rejected), "separate" or "repeats". `rejected` holds what
    is in the rejects files.
    """
    counted = Count()
    deeds: dict[object, dict[int, list[Selection]]] = defaultdict(lambda: defaultdict(list))
    for number, log in enumerate(logs):
        for part in parts_of(number, log, form):
            deeds[part.deed][number].append(part)
    judge = _Judge(logs, overlap, rejected or {}, counted)
    for by_log in deeds.values():
        judge.one_deed(by_log)
    judge.close()
    return counted


class _Judge:
    """Takes the parts of one deed, file after file, and tells which are one event."""

    def __init__(self, logs: Sequence[Log], overlap: str, rejected: Rejected, counted: Count) -> None:
        self._logs = logs
        self._overlap = overlap
        self._rejected = rejected
        self._counted = counted
        self._unfounded: dict[tuple[str, int], str] = {}
        self._founded: set[tuple[str, int]] = set()

    def one_deed(self, by_log: Mapping[int, list[Selection]]) -> None:
        """Add the events of one deed to the count."""
        pool: list[Happening] = []
        for number in sorted(by_log):
            kinds: dict[object, list[Selection]] = defaultdict(list)
            for part in by_log[number]:
                kinds[part.id or part.cells].append(part)
            self._one_log(list(kinds.values()), pool)
        self._counted.happenings += pool

    def _one_log(self, kinds: list[list[Selection]], pool: list[Happening]) -> None:
        """Match the distinct rows of one file with the events of the files before it, one for one."""
        kept = [parts for parts in kinds if not all(map(self._is_rejected, parts))]
        refused = [parts for parts in kinds if all(map(self._is_rejected, parts))]
        choices = [self._alike(parts[0], pool) for parts in (*kept, *refused)]
        partners = {left: right for right, left in pair(choices[: len(kept)]).items()}
        size = len(partners)
        for at, parts in enumerate(refused):
            if self._code(parts[0]) != "conflict":
                continue
            beyond_doubt = [
                one
                for one in choices[len(kept) + at]
                if self._is_plain(parts[0], pool[one]) and not self._is_touched(parts[0], pool[one])
            ]
            known = len(pair([*choices[: len(kept)], beyond_doubt])) > size
            self._judge_reject(parts[0], pool, known)
        free = [one for at, one in enumerate(pool) if at not in partners.values()]
        fresh = []
        for left, parts in enumerate(kept):
            if left in partners:
                one = pool[partners[left]]
                if not self._is_plain(parts[0], one):
                    fresh.append(Happening(parts, False, frozenset([parts[0].shown])))
                one.parts += parts
            else:
                forms = _forms(left, choices, (*kept, *refused))
                fresh += self._unmatched(Happening(parts, forms=forms), pool, free)
        pool += fresh

    def _unmatched(self, one: Happening, pool: list[Happening], free: list[Happening]) -> list[Happening]:
        """Return the new event of a row that no file before it has, if it is one."""
        part = one.parts[0]
        rivals = self._rivals(part, pool)
        left = [rival for rival in rivals if rival in free]
        if not rivals or self._overlap == "separate":
            return [one]
        self._counted.conflicts.add(self._place(part))
        if not left:  # Each row of that deed that the other file has is here too: this one is one more.
            return [one]
        if self._overlap == "repeats":
            free.remove(left[0])
            left[0].parts += one.parts
            return []
        self._counted.wrong.append(f"{_said(self._logs, part)}: a conflict that is not rejected")
        one.is_sure = False
        return [one]

    def _judge_reject(self, part: Selection, pool: list[Happening], known: bool) -> None:
        place = self._place(part)
        self._counted.conflicts.add(place)
        if known:
            self._unfounded[place] = f"{_said(self._logs, part)}: rejected, but known"
        elif not self._rivals(part, pool):
            self._unfounded[place] = f"{_said(self._logs, part)}: rejected, but no other file has its deed"
        else:
            self._founded.add(place)

    def close(self) -> None:
        """Complain about rows that were rejected without a conflict in any of their parts."""
        for place, why in self._unfounded.items():
            if place not in self._founded:
                self._counted.wrong.append(why)
                self._counted.conflicts.discard(place)

    def _alike(self, part: Selection, pool: list[Happening]) -> list[int]:
        """Return the events that a row of another file tells of too, those alike in every column first."""
        found = [at for at, one in enumerate(pool) if any(self._is_alike(part, other) for other in one.parts)]
        return sorted(found, key=lambda at: all(part.cells != other.cells for other in pool[at].parts))

    def _is_alike(self, one: Selection, other: Selection) -> bool:
        """Tell whether two rows are alike in every column that both logs have, or by their ids.

        Files that are apart can't repeat each other: there it takes every column, as within one file.
        """
        if one.id or other.id:
            return one.id == other.id or not (one.id and other.id)
        log, before = self._logs[one.log], self._logs[other.log]
        different = {name for name, _ in one.cells ^ other.cells}
        if not are_apart(log, before):
            different = {name for name in different if _has(log, name) and _has(before, name)}
        return not different

    def _rivals(self, part: Selection, pool: list[Happening]) -> list[Happening]:
        """Return the events with the same deed in a file that may repeat this one."""
        return [
            one
            for one in pool
            if any(
                not (part.id and other.id) and not are_apart(self._logs[part.log], self._logs[other.log])
                for other in one.parts
            )
        ]

    def _is_plain(self, part: Selection, one: Happening) -> bool:
        """Tell whether it is beyond doubt that a row that is alike to one of this event's tells of it too.

        In doubt it is where that row lacks a column in which a row of a third file differs.
        """
        alike = [other for other in one.parts if self._is_alike(part, other)]
        others = [other for other in one.parts if other not in alike]
        return not any(self._is_alike(other, same) for other in others for same in alike)

    def _is_touched(self, part: Selection, one: Happening) -> bool:
        """Tell whether a file that has this event only touches the part's: then a reject is no mistake."""
        return any(are_apart(self._logs[part.log], self._logs[other.log]) for other in one.parts)

    def _is_rejected(self, part: Selection) -> bool:
        return self._code(part) != ""

    def _code(self, part: Selection) -> str:
        """Return why a part is in the rejects file; empty if it is not there."""
        owed = self._rejected.get(self._place(part), {})
        return owed.get("", "") or owed.get(part.level, "")

    def _place(self, part: Selection) -> tuple[str, int]:
        return self._logs[part.log].name, part.line


def are_apart(one: Log, other: Log) -> bool:
    """Tell whether two files meet in one second at most, and not both lie in it as a whole: rotation."""
    if one.has_dates_only or other.has_dates_only:
        return False
    (first, last), (begin, end) = one.span, other.span
    return (last <= begin or end <= first) and not first == last == begin == end


def pair(choices: Sequence[Sequence[int]]) -> dict[int, int]:
    """Pair each left one with a right one of its choices, as many as can be; return right → left.

    A left one that has a partner keeps one when later ones come.
    """
    taken: dict[int, int] = {}

    def reference(left: int, seen: set[int]) -> bool:
        free = next((right for right in choices[left] if right not in taken), None)
        for right in choices[left] if free is None else (free,):
            if right not in seen:
                seen.add(right)
                if right not in taken or reference(taken[right], seen):
                    taken[right] = left
                    return True
        return False

    for left in range(len(choices)):
        reference(left, set())
    return taken


def _has(log: Log, column: str) -> bool:
    return log.columns is None or column in log.columns


def _forms(left: int, choices: list[list[int]], kinds: Sequence[list[Selection]]) -> frozenset[Cells]:
    """Return what the call of an unmatched row may carry.

    Where several rows of a file are alike to one that lacks a column, each of them may be the known one.
    """
    own = set(choices[left])
    alike = [parts[0].shown for parts, others in zip(kinds, choices, strict=True) if own.intersection(others)]
    return frozenset([kinds[left][0].shown, *alike])


def _said(logs: Sequence[Log], part: Selection) -> str:
    return f"{Path(logs[part.log].name).name}, line {part.line}, {part.level} {part.identity!r}"
