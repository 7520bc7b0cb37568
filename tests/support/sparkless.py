"""The stages of a Spark job without Spark: its tables are lists, and its tasks run one after the other."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from km_cli.config.settings import Settings
from km_cli.ledger import Reading
from km_cli.model import Finding, Reject, Row
from km_cli.run.first_rows import check_conflicts
from km_cli.run.overlaps import Span
from km_cli.spark.arrow import to_batches
from km_cli.spark.contests import Contests
from km_cli.spark.continuing import Continued, continued, with_rest
from km_cli.spark.following import HEAD, READ
from km_cli.spark.inputs import Inputs, check_settings
from km_cli.spark.mapping import Input, map_file
from km_cli.spark.merging import merged_rejects
from km_cli.spark.moved import found_moves
from km_cli.spark.spilling import MOST
from km_cli.spark.tables import EVENTS, MAPPED, ORDER, PLAN, WALK, WALKED, Table
from km_cli.spark.unseen import unseen_of
from km_cli.spark.walk import Walk, WalkTask

Rows = list[dict[str, Any]]

SECRET = b"a secret for tests, 32 bytes long"
NOW = 1_800_000_000.0


class Job(NamedTuple):
    """The result of planning a job: rows of the tables, the readings, and the outcomes of all rows.

    `told` are the rows of MAPPED about names, unusual forms, and events that personas lack.
    """

    plan: Rows
    rejects: Rows
    findings: Rows
    unseen: list[Finding]
    readings: tuple[Reading, ...]
    outcomes: Counter[str]
    told: Rows

    @property
    def payloads(self) -> Counter[tuple[str, bytes]]:
        """The calls that are to be sent, by site."""
        return Counter((row["site"], row["payload"]) for row in self.plan if row["kind"] == "call")


class Receipts:
    """The jobs of one receipts table."""

    def __init__(self) -> None:
        self.readings: tuple[Reading, ...] = ()
        self.received: Rows = []
        self.jobs = 0

    def take(self, job: Job, rejected: Iterable[bytes] = ()) -> None:
        """Keep the plan of a job: all its calls are acknowledged, but for those with `rejected` payloads."""
        refused = set(rejected)
        self.jobs += 1
        self.readings = tuple({one.number: one for one in (*self.readings, *job.readings)}.values())
        for row in job.plan:
            extra = {
                "job": f"{self.jobs:06}",
                "rejected": row["payload"] in refused if row["payload"] else False,
            }
            self.received.append({**row, **extra})


def plan(
    settings: Settings,
    files: Sequence[Path | str],
    receipts: Receipts | None = None,
    partitions: int = 3,
    seed: int = 0,
    most: int = MOST,
) -> Job:
    """Plan files as a Spark job does, over so many partitions, with so many calls of a person in memory."""
    receipts = receipts or Receipts()
    check_settings(settings)
    opening = Inputs(settings, receipts.readings, SECRET, NOW)
    inputs = [one for file in files if (one := opening.file(str(file)))]
    mapped = _through(MAPPED, (row for one in inputs for row in map_file(one)))
    told = [row for row in mapped if row["kind"] in (HEAD, READ)]
    found = continued(inputs, told, receipts.readings, settings)
    mapped = _passed_over(mapped, found)
    readings, spans = _spanned(found, mapped)
    spans = with_rest(spans, inputs, found)
    every = {one.number: one for one in (*receipts.readings, *readings)}
    behind = {one.reading.number: one.behind for one in found.values()}
    task = WalkTask(settings, SECRET, tuple(every.values()), spans, behind, most)
    parts = [row for row in mapped if row["kind"] == "part"]
    received = _with_joined(receipts.received)
    forced_rows = _forced(task, parts, [row for row in mapped if row["kind"] == "alias"], received)
    walk = _walk_rows(parts, received, forced_rows)
    events: Rows = []
    if _needs_events(settings):
        events = _through(EVENTS, _by_person(task, walk, partitions, seed, "events"))
    walked = _through(WALKED, _by_person(task, _with_events(walk, events), partitions, seed, "rows"))
    walked = [*walked, *forced_rows]
    if settings.members is not None:
        walked += found_moves(_members(mapped, walked), settings.members.personas)
    rejects = [_full(row, WALKED.names) for row in (*walked, *mapped) if row["kind"] == "reject"]
    rejects.sort(key=lambda row: (row["reading"], row["row"], row["part"]))
    begun = [one for one in inputs if found[one.reading.number].reading.number == one.reading.number]
    looks = [
        {"source": one.source, "line": one.line, "code": one.code, "text": one.message, "who": one.who}
        for one_input in begun
        for one in one_input.look.findings
    ]
    if receipts.received:
        _judge_conflicts(begun, walked)
    sees_all = all(_is_new(number, one) for number, one in found.items()) and not opening.is_full
    kinds = ("call", "known", "value", "owner")
    return Job(
        [_full(row, PLAN.names) for row in walked if row["kind"] in kinds],
        list(merged_rejects(rejects)),
        [*looks, *(row for row in (*mapped, *walked) if row["kind"] == "finding")],
        unseen_of(settings, mapped) if sees_all else [],
        _with_calls(readings, walked, settings.target.tracker),
        Counter(row["code"] for row in mapped if row["kind"] == "row"),
        [row for row in mapped if row["kind"] in ("name", "count", "lacked")],
    )


def _is_new(number: int, one: Continued) -> bool:
    return one.reading.number == number and not one.reading.rows


def _members(mapped: Rows, walked: Rows) -> Rows:
    """Return the rows that do an event, with the personas of their planned calls, and what they owe."""
    found = {
        (row["reading"], row["row"]): {**row, "done": row["owed"], "sent": [], "owed": []}
        for row in mapped
        if row["kind"] == "member"
    }
    for row in walked:
        place = (row["reading"], row.get("decided"))
        if row["kind"] == "call" and row["event"]:
            found[place]["sent"].append(row["persona"])
        elif row["kind"] == "reject":
            found[place]["owed"] += row["owed"]
    return list(found.values())


def _judge_conflicts(begun: Iterable[Input], walked: Rows) -> None:
    for one in begun:
        number, judged = one.reading.number, one.look.judged
        found = [
            row
            for row in walked
            if (row["kind"], row.get("code"), row["reading"]) == ("reject", "conflict", number)
            and judged
            and row["row"] <= judged[-1]
        ]
        if found:
            first = min(found, key=lambda row: (row["row"], row["part"]))
            place = Row(first["source"], first["line"], first["raw"], None)
            reject = Reject(place, first["code"], first["text"])
            check_conflicts(reject, len({row["row"] for row in found}), len(judged), one.reading.source)


def _with_calls(readings: Sequence[Reading], walked: Rows, tracker: str) -> tuple[Reading, ...]:
    planned = Counter(
        (row["reading"], row["site"], row["persona"]) for row in walked if row["kind"] == "call"
    )
    found = []
    for reading in readings:
        calls = Counter(dict(reading.calls))
        for (number, site, persona), count in planned.items():
            if number == reading.number:
                calls[f"{tracker} {site} {persona}"] += count
        found.append(reading._replace(calls=tuple(calls.items())))
    return tuple(found)


def _through(table: Table, rows: Iterable[dict[str, Any]]) -> Rows:
    """Return rows as they are behind Arrow, if it is here: their values must be of the table's types."""
    if find_spec("pyarrow") is None:
        return [_full(row, table.names) for row in rows]
    return [row for batch in to_batches(rows, table) for row in batch.to_pylist()]


def _full(row: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: row.get(name) for name in names}


def _passed_over(mapped: Rows, found: Mapping[int, Continued]) -> Rows:
    left = []
    for row in mapped:
        own, line, _ = found[row["reading"]]
        about = row["row"] or 0
        if row["kind"] == "finding" and row["number"] is not None:
            about = min(about, row["number"])
        is_known = own.number != row["reading"] and about <= line
        if not is_known:
            left.append({**row, "reading": own.number})
    return left


def _spanned(found: Mapping[int, Continued], mapped: Rows) -> tuple[tuple[Reading, ...], dict[int, Span]]:
    readings: dict[int, Reading] = {}
    spans: dict[int, Span] = {}
    for known, *_ in found.values():
        rows = [row for row in mapped if row["kind"] == "row" and row["reading"] == known.number]
        if rows and known.number not in readings:
            new = _span(row for row in rows if row["code"] in ("event", "undone"))
            seen = Span(known.first, known.last, known.dated).joined(new)
            spans[known.number] = _span(rows) if len(rows) >= 1000 else new
            known = known._replace(
                first=seen.first, last=seen.last, dated=seen.dated, rows=known.rows + len(rows)
            )
        readings.setdefault(known.number, known)
    return tuple(readings.values()), spans


def _span(rows: Iterable[dict[str, Any]]) -> Span:
    span = Span()
    for row in rows:
        if row["second"] is not None:
            span = span.joined(Span(row["second"], row["second"], row["dated"]))
    return span


def _with_joined(plan: Rows) -> Rows:
    """Return rows of a plan with two rows in the place of each alias: one for each person."""
    found: Rows = []
    for row in plan:
        if row["kind"] in ("call", "known") and row["second"] == 0:
            person, other, spelling = row["person"], row["deed"], row["total"]
            found.append({**row, "kind": "joined", "leader": None})
            found.append({**row, "kind": "joined", "person": other, "spelling": spelling, "leader": person})
        else:
            found.append(row)
    return found


def _forced(task: WalkTask, parts: Rows, aliased: Rows, received: Rows) -> Rows:
    owners = defaultdict(set)
    of_ids = defaultdict(set)
    for row in (*parts, *received):
        owners[row["person"]].add((row["persona"], row["spelling"]))
        for one in row.get("ids") or ([row["id"].hex()] if row.get("id") else []):
            of_ids[one].add(row["person"])
    contested = {person for person, found in owners.items() if len(found) > 1}
    contested |= {row["person"] for row in aliased}
    contested |= {person for people in of_ids.values() if len(people) > 1 for person in people}
    known = [row for row in _walk_rows([], received, []) if row["person"] in contested]
    concerned = [row for row in _walk_rows(parts, [], []) if row["person"] in contested]
    concerned.sort(key=lambda row: (row["reading"], row["row"], row["part"]))
    return _through(WALKED, Contests(task).decide([*sorted(known, key=_order), *concerned]))


def _walk_rows(parts: Rows, received: Rows, forced_rows: Rows) -> Rows:
    forced: dict[tuple[int, int], list[str]] = defaultdict(list)
    for row in forced_rows:
        if row["kind"] == "forced":
            forced[row["reading"], row["row"]] += row["owed"]
    return [
        *({**_full(row, WALK.names), "side": 0} for row in received),
        *(
            {**_full(row, WALK.names), "side": 1, "forced": forced.get((row["reading"], row["row"]))}
            for row in parts
        ),
        *(
            {**_full(row, WALK.names), "side": 1, "job": "", "rejected": False}
            for row in _with_joined([one for one in forced_rows if one["kind"] == "call"])
        ),
    ]


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple("" if row[name] is None else row[name] for name in ORDER)


def _needs_events(settings: Settings) -> bool:
    recorded = [persona for persona in settings.personas if persona.is_recorded]
    return len(recorded) > 1 and any(persona.sets for persona in settings.personas)


def _by_person(task: WalkTask, rows: Rows, partitions: int, seed: int, what: str) -> Rows:
    """Walk over the rows as tasks do: each has some of the people, and sorts them."""
    rng = random.Random(seed)
    task_of: dict[bytes, int] = defaultdict(lambda: rng.randrange(partitions))
    tasks: dict[int, Rows] = defaultdict(list)
    for row in rows:
        tasks[task_of[row["person"]]].append(row)
    found: Rows = []
    for _, some in sorted(tasks.items()):
        rng.shuffle(some)
        found += getattr(Walk(task), what)(sorted(some, key=_order))
    return found


def _with_events(rows: Rows, events: Rows) -> Rows:
    summed: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in events:
        total = summed[row["reading"], row["row"]]
        total[0] += row["events"]
        total[1] += row["new"]
        total[2] |= row["is_contested"]
        total[3] |= row["is_changed"]
    return [{**row, "events": summed.get((row["reading"], row["row"]))} for row in rows]
