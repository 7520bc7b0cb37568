"""The second of a call: found from where the last search ended, it is always that of a simple search."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from km_cli.ledger import Ledger
from km_cli.ledger.slots import SlotTable
from km_cli.model import (
    NANOSECONDS,
    KnownCall,
    PlannedCall,
    Record,
    Row,
    Sequence,
    split_pairs,
)
from km_cli.planning import Planner
from km_cli.planning.plain_slots import PlainSlots
from tests.test_planner import SECOND, Log, Readings


class Done(NamedTuple):
    """One thing that an account does: `second` after the start, and the plan and seats that it has then."""

    second: int
    event: str
    plan: str
    seats: str
    is_refused: bool


done = st.builds(
    Done,
    st.integers(0, 2),
    st.sampled_from(["Paid", "Paid", "Left"]),
    st.sampled_from(["", "free", "pro"]),
    st.sampled_from(["", "1", "2"]),
    st.sampled_from([False, False, False, True]),
)


def rule_in(slots: SlotTable, call: KnownCall, second: int) -> str:
    """The rule by which Kissmetrics would merge the call with another one of this second."""
    standing = list(slots.slot(call.person, second).standing(second))
    if any(event == call.event for event, _ in standing):
        return "D1"
    own = dict(split_pairs(call.pairs))
    values = [pair for _, pairs in standing for pair in split_pairs(pairs)]
    return "D2" if any(own.get(name, value) != value for name, value in values) else ""


def simple_search(slots: SlotTable, call: KnownCall, spread: int) -> tuple[int | None, str]:
    """The first second that is free, else the first without the event; and the rule that moves the call."""
    rules = {second: rule_in(slots, call, second) for second in range(call.second, call.second + spread + 1)}
    free = next((second for second, rule in rules.items() if not rule), None)
    next_best = next((second for second, rule in rules.items() if rule == "D2"), None)
    if free is not None:
        return free, rules[call.second] if free != call.second else ""
    return next_best, "D2-lost" if next_best is not None else f"{rules[call.second]}-full"


@given(st.lists(done, max_size=40), st.sampled_from([0, 3, 8, 60]))
def test_it_is_the_second_of_a_simple_search(all_done: list[Done], spread: int) -> None:
    """Whatever else the account did in any order, and whichever of its calls were refused meanwhile."""
    with TemporaryDirectory() as folder:
        ledger = Ledger.open(Path(folder, "ledger.db"))
        planner = Planner(ledger.slots, "t", 1, Readings(), spread=spread)
        for line, one in enumerate(all_done, 2):
            sequence = sequence_of(one, line)
            expected = simple_search(ledger.slots, known_call_of(sequence), spread)
            plan = planner.plan(sequence)
            (code,) = {finding.code for finding in plan.findings} - {"D1-alike"} or {""}
            taken = next((planned.taken for planned in plan.planned), None)
            assert (taken, code) == expected
            if one.is_refused and plan.planned:
                ledger.slots.forget(plan.planned[0])
        ledger.close()


def sequence_of(one: Done, line: int) -> Sequence:
    properties = tuple((name, text) for name, text in (("plan", one.plan), ("seats", one.seats)) if text)
    moment = (SECOND + one.second) * NANOSECONDS
    record = Record("main", "account", "Acme", f"u{line}", one.event, moment, properties, "")
    return Sequence(Row("log.csv", line, b"", None), (record,), (("user", f"u{line}"),))


def known_call_of(sequence: Sequence) -> KnownCall:
    """The call of a sequence as it would be known if no other call stood in its slot."""
    slots = PlainSlots()
    (one,) = Planner(slots, "t", 1, Readings()).plan(sequence).planned
    (known_call,) = slots.slot(one.person, one.second).known
    return known_call


class Counting(Log):
    """A log that counts how many slots are looked at."""

    looks = 0

    def __init__(self, **options: int) -> None:
        super().__init__(**options)
        look = self.slots.slot

        def counted(person: bytes, second: int) -> object:
            self.looks += 1
            return look(person, second)

        self.slots.slot = counted  # type: ignore[assignment, method-assign]


def test_each_event_of_a_day_costs_the_same() -> None:
    """A log of dates: all events of an account are in one second, and each takes the next one."""
    log = Counting(spread=86_399)
    looks = []
    planned: list[PlannedCall] = []
    for number in range(500):
        planned += log.send(0, plan=f"p{number % 7}", note=str(number)).planned
        looks.append(log.looks)
    assert [one.taken - SECOND for one in planned] == list(range(500))
    assert max(after - before for before, after in pairwise(looks)) < 10
