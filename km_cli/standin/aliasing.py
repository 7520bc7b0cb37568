"""An alias: it moves the data of one person (the loser) to the other (the leader), for good (I2).

Where both have the same event or property in a second, the leader's stays (D1, D2).
"""

import sqlite3
from collections import Counter
from typing import Final, NamedTuple

from km_cli.standin.reading import MOST_INSTANCES
from km_cli.standin.recording import Recorder

# A person's rows of a table, found by their minutes.
_ROWS: Final = """FROM kept_minutes m CROSS JOIN {0} r
ON r.second BETWEEN m.minute * 60 AND m.minute * 60 + 59 AND r.person = m.person"""
_EVENTS, _VALUES = _ROWS.format("kept_events"), _ROWS.format("kept_properties")

_BOTH: Final = """{0} JOIN {1} k ON k.second = r.second AND k.person = :leader AND k.name = r.name
JOIN kept_names n ON n.id = r.name WHERE m.person = :loser ORDER BY r.second, n.folded"""
_BOTH_EVENTS: Final = f"SELECT r.second, r.name, n.shown {_BOTH.format(_EVENTS, 'kept_events')}"
_BOTH_VALUES: Final = f"""SELECT r.second, r.name, n.shown, n.folded, r.value, k.value
{_BOTH.format(_VALUES, "kept_properties")}"""
_COPY_EVENTS: Final = f"""INSERT OR IGNORE INTO kept_events
SELECT r.second, :leader, r.name {_EVENTS} WHERE m.person = :loser"""
_DROP_EVENTS: Final = f"""DELETE FROM kept_events WHERE (second, person, name) IN
(SELECT r.second, r.person, r.name {_EVENTS} WHERE m.person = :loser)"""
_MOVE_THE_REST: Final = (
    f"""INSERT OR IGNORE INTO kept_properties
    SELECT r.second, :leader, r.name, r.value {_VALUES} WHERE m.person = :loser""",
    f"""DELETE FROM kept_properties WHERE (second, person, name) IN
    (SELECT r.second, r.person, r.name {_VALUES} WHERE m.person = :loser)""",
    """INSERT INTO kept_instances SELECT :leader, name, n FROM kept_instances WHERE person = :loser
    ON CONFLICT DO UPDATE SET n = n + excluded.n""",
    "DELETE FROM kept_instances WHERE person = :loser",
    "INSERT OR IGNORE INTO kept_minutes SELECT :leader, minute FROM kept_minutes WHERE person = :loser",
    "DELETE FROM kept_minutes WHERE person = :loser",
    "UPDATE kept_people SET leader = :leader WHERE leader = :loser OR id = :loser",
)
_FEWER: Final = "UPDATE kept_instances SET n = n - ? WHERE person = ? AND name = ?"
_TOO_MANY: Final = f"""SELECT i.name, n.kind, n.shown, n.folded FROM kept_instances i
JOIN kept_names n ON n.id = i.name WHERE i.n > {MOST_INSTANCES} AND i.person IN (:leader, :loser)"""


class _Value(NamedTuple):
    """A property that both have in a second, with the value that is lost and the one that stays."""

    second: int
    name: int
    shown: str
    folded: str
    lost: str
    stays: str


class Joined(NamedTuple):
    """How many events and values an alias made one."""

    events: int
    values: int


def join(db: sqlite3.Connection, recorder: Recorder, one: int, other: int, call: int) -> Joined:
    """Make two people one, and record as facts of the alias's call what merges by it.

    All that arrived before is written already.
    """
    count = "SELECT count(*) FROM kept_minutes WHERE person = ?"
    # The one with less data is moved.
    sizes = {person: db.execute(count, (person,)).fetchone()[0] for person in (one, other)}
    loser, leader = sorted((one, other), key=lambda person: sizes[person])
    who = {"loser": loser, "leader": leader}
    events: list[tuple[int, int, str]] = db.execute(_BOTH_EVENTS, who).fetchall()
    values = [_Value(*row) for row in db.execute(_BOTH_VALUES, who).fetchall()]
    for event in events:
        _record_event(recorder, leader, loser, event, call)
    lost = [value for value in values if value.lost != value.stays]
    for value in lost:
        _record_value(recorder, leader, loser, value, call)
    full = set(db.execute(_TOO_MANY, who).fetchall())
    _move(db, who, Counter([name for _, name, _ in events] + [value.name for value in values]))
    for name, kind, shown, folded in sorted(set(db.execute(_TOO_MANY, who).fetchall()) - full):
        oldest = recorder.oldest(leader, name, folded, kind, call)
        recorder.passed_the_limit(kind, shown, call, oldest)
    return Joined(len(events), len(lost))


def _move(db: sqlite3.Connection, who: dict[str, int], both: Counter[int]) -> None:
    """Move the loser's data; `both` counts the instances by name that the two have in one second."""
    db.execute(_COPY_EVENTS, who)
    db.execute(_DROP_EVENTS, who)
    for statement in _MOVE_THE_REST:
        db.execute(statement, who)
    db.executemany(_FEWER, [(n, who["leader"], name) for name, n in both.items()])


def _record_event(
    recorder: Recorder, leader: int, loser: int, event: tuple[int, int, str], call: int
) -> None:
    second, name, shown = event
    pair = recorder.pair_of_event(leader, loser, second, name)
    later, earlier, is_alike = pair or (call, None, False)
    recorder.fact("D1", "merged", is_alike, shown, later, earlier)


def _record_value(recorder: Recorder, leader: int, loser: int, value: _Value, call: int) -> None:
    ids = [
        recorder.value_before(leader, value.second, value.folded, value.stays, call),
        recorder.value_before(loser, value.second, value.folded, value.lost, call),
    ]
    known = sorted(id_ for id_ in ids if id_)
    later, earlier = (known[1], known[0]) if len(known) == 2 else (call, known[0] if known else None)
    recorder.fact("D2", "merged", True, value.shown, later, earlier)
