"""Instances (D7) are counted exactly as soon as a person could have too many, and never before."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st

from km_cli.ledger import Ledger, Reading, counts, people
from km_cli.model import NANOSECONDS, Held, PlannedCall, Record, Row, RowPlan, Sequence, instance_keys
from km_cli.planning import Planner
from tests.test_planner import SECOND, Readings

MOST = 6


class Step(NamedTuple):
    """A row of two people, in a second after the start, and what is done behind it."""

    user: str
    second: int
    event: str
    plan: str
    then: str


steps = st.builds(
    Step,
    st.sampled_from(["ada", "ada", "bo"]),
    st.integers(0, 30),
    st.sampled_from(["Paid", "Paid", "Paid", "Left"]),
    st.sampled_from(["", "pro"]),
    st.sampled_from(["", "", "", "commit", "end the file", "reopen", "refuse", "abandon"]),
)


class Naive:
    """Counts every instance of everybody."""

    def __init__(self) -> None:
        self.counts: Counter[bytes] = Counter()
        self.events = self.properties = 0

    def add(self, plan: RowPlan, at: int) -> list[tuple[bytes, int]]:
        """Count a call; return the instances that are too many."""
        keys = instance_keys(plan.planned[at].person, plan.gains[at])
        self.counts.update(keys)
        self._hold([key for key in keys if self.counts[key] <= MOST], 1)
        return [(key, self.counts[key]) for key in keys if self.counts[key] > MOST]

    def take_back(self, keys: list[bytes]) -> None:
        """Take a call back that was refused."""
        self._hold([key for key in keys if self.counts[key] <= MOST], -1)
        self.counts.subtract(keys)

    def _hold(self, keys: list[bytes], by: int) -> None:
        self.events += by * sum(b"event" in key for key in keys)
        self.properties += by * sum(b"event" not in key for key in keys)


ABANDONED = [Step("ada", second, "Paid", "", "abandon") for second in range(20)]


@example(ABANDONED, 4, False, 1000)
@given(
    st.lists(steps, min_size=20, max_size=60),
    st.integers(0, 4),
    st.booleans(),
    st.sampled_from([0, 2, 1000]),
)
def test_they_are_those_of_a_count_of_everything(
    all_steps: list[Step], busy_from: int, is_dry: bool, most_people: int
) -> None:
    """Whenever batches, files and runs end, whatever is refused, in a dry run over a ledger too."""
    limits = patch.multiple(counts, MOST_INSTANCES=MOST, BUSY_FROM=busy_from)
    fewer = patch.object(people, "_MOST_PEOPLE", most_people)
    with limits, fewer, TemporaryDirectory() as folder:
        path = Path(folder, "ledger.db")
        half = len(all_steps) // 2
        naive = Naive()
        run(Ledger.open(path), path, all_steps[:half], naive, first=2)
        ledger = Ledger.overlay(path) if is_dry else Ledger.open(path)
        run(ledger, path, all_steps[half:], naive, first=2 + half)


def run(ledger: Ledger, path: Path, all_steps: list[Step], naive: Naive, first: int) -> None:
    """Plan rows, and compare each one's counts and the totals with the naive ones."""
    is_dry = ledger.slots._database.execute("PRAGMA database_list").fetchone()[2] == ""
    reading = ledger.readings.begin(Reading(0, "", "asked", "", f"{first}.csv", (), ","))
    planner = Planner(ledger.slots, "t", reading.number, Readings())
    sent: list[PlannedCall] = []
    batch: list[RowPlan] = []
    for line, step in enumerate(all_steps, first):
        plan = planner.plan(sequence_of(step, line))
        sent += plan.planned
        batch.append(plan)
        if not step.then and line % 5 and step is not all_steps[-1]:
            continue
        found = ledger.counts.count_gains("t", batch)
        for row, one in enumerate(batch):
            for at in range(len(one.planned)):
                assert list(found.get((row, at), ())) == naive.add(one, at)
        batch = []
        if step.then in ("commit", "end the file") or (step.then == "reopen" and is_dry):
            ledger.commit("t", reading, [], at_end=step.then == "end the file")
        elif step.then == "reopen":
            ledger.commit("t", reading, [])
            ledger.close()
            ledger = Ledger.open(path)
            planner = Planner(ledger.slots, "t", reading.number, Readings())
        elif step.then == "abandon":
            ledger.commit("t", reading, [])
            planner.plan(sequence_of(step._replace(second=step.second + 1000), line))
            ledger.abandon()
            planner = Planner(ledger.slots, "t", reading.number, Readings())
        elif step.then == "refuse" and sent:
            refuse(ledger, sent.pop(len(sent) // 2), naive)
        held = ledger.counts.total("t main").get("user", Held())
        assert (held.events, held.properties) == (naive.events, naive.properties)
    ledger.commit("t", reading, [])
    ledger.close()


def sequence_of(step: Step, line: int) -> Sequence:
    moment = (SECOND + step.second) * NANOSECONDS
    properties = (("plan", step.plan),) if step.plan else ()
    records = tuple(
        Record("main", "user", who, step.user, step.event, moment, properties, "")
        for who in (step.user, "Acme")
    )
    return Sequence(Row("log.csv", line, b"", None), records, (("line", str(line)),))


def refuse(ledger: Ledger, planned: PlannedCall, naive: Naive) -> None:
    """Forget a call as if its destination had refused it."""
    if freed := ledger.slots.forget(planned):
        naive.take_back(instance_keys(planned.person, freed))
        ledger.counts.take_back("t main", "user", planned.person, freed)
