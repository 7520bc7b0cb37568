"""The straight path decides as the rest of planning does, and only rows that raise no question take it."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.model import NANOSECONDS, Record, Row, RowPlan, Sequence
from km_cli.planning import Planner
from km_cli.planning.plain_slots import PlainSlots
from tests.support.drawing import examples
from tests.test_planner import SECOND, Readings

IDENTITIES = ["ada", "bo", "a,b", "a b"]


class Line(NamedTuple):
    """A row of up to three people, each with its persona, who do an event in a second after the start."""

    who: list[tuple[str, str]]
    event: str
    second: int
    plan: str
    id: str


lines = st.builds(
    Line,
    st.lists(
        st.tuples(st.sampled_from(["user", "account"]), st.sampled_from(IDENTITIES)), min_size=1, max_size=3
    ),
    st.sampled_from(["Paid", "paid", "Left"]),
    st.integers(0, 9),
    st.sampled_from(["", "pro", "free"]),
    st.sampled_from(["", "", "", "1", "2"]),
)


def planner_over(slots: PlainSlots) -> Planner:
    return Planner(slots, "t", 1, Readings(), encode=lambda call, second: f"{call} {second}".encode())


def sequence_of(line: Line, number: int) -> Sequence:
    properties = (("plan", line.plan), ("Plan", line.plan)) if line.plan else ()
    moment = (SECOND + line.second) * NANOSECONDS
    records = tuple(
        Record("main", persona, identity, line.who[0][1], line.event, moment, properties, line.id)
        for persona, identity in line.who
    )
    return Sequence(Row("log.csv", number, b"", None), records, (("line", str(number)), *properties))


@settings(max_examples=examples(120))
@given(st.lists(lines, max_size=20))
def test_it_decides_as_the_rest_of_planning(log: list[Line]) -> None:
    """Row by row: the same plans, and the same slots, owners and rows behind them."""
    straight, close = PlainSlots(), PlainSlots()
    planner, closely = planner_over(straight), planner_over(close)
    closely._straight.plan = lambda *_: None  # type: ignore[method-assign]
    for number, line in enumerate(log, 2):
        sequence = sequence_of(line, number)
        assert planner.plan(sequence) == closely.plan(sequence)
        assert vars(straight) == vars(close)


def planned_straight(slots: PlainSlots, line: Line, number: int = 2) -> RowPlan | None:
    """The plan of a row by the straight path, of a planner that knows the people by heart."""
    planner = planner_over(slots)
    sequence = sequence_of(line, number)
    fingerprint = planner._fingerprints.fingerprint_row(sequence.cells)
    return planner._straight.plan(sequence, fingerprint, 1)


def test_the_usual_row_takes_it() -> None:
    usual = Line([("user", "ada"), ("account", "Acme")], "Paid", 0, "pro", "")
    slots = PlainSlots()
    assert planned_straight(slots, usual) is not None
    assert planned_straight(slots, usual._replace(second=1), 3) is not None  # the people are known by now


def test_a_row_that_raises_a_question_changes_nothing_there() -> None:
    usual = Line([("user", "ada"), ("account", "Acme")], "Paid", 0, "pro", "")
    for line in (
        usual._replace(second=1, who=[("user", "ada"), ("user", "ada")]),
        usual,  # its seconds are taken
        usual._replace(second=1, id="1"),
        usual._replace(second=1, who=[("user", "bo"), ("account", "ada")]),  # ada was the user
        usual._replace(second=1, who=[("user", "x,y"), ("account", "x y")]),  # one person, for Kissmetrics
    ):
        slots, untouched = PlainSlots(), PlainSlots()
        assert planned_straight(slots, usual)
        assert planned_straight(untouched, usual)
        assert planned_straight(slots, line, 3) is None
        assert vars(slots) == vars(untouched)
