"""The stand-in keeps the last 1,000 instances of each event and each property of a person (D7)."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from random import Random
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.standin import Store
from tests.support.drawing import examples
from tests.support.standin import Request, T, after, alias, call, fresh

LAST = 1000


def seconds(store: Store, event: str = "In") -> list[int]:
    """How many seconds after T events of this name stand, in order."""
    return [one.second - T for one in store.events() if one.event == event]


@pytest.mark.parametrize("order", ["oldest first", "newest first", "shuffled"])
@pytest.mark.parametrize("size", [7, 1010])
def test_the_last_thousand_are_kept_whatever_the_order(order: str, size: int) -> None:
    """Each event and each property by itself, and each person."""
    requests = [call(_n="In", _t=T + n, Plan=n) for n in range(1010)]
    if order == "newest first":
        requests.reverse()
    elif order == "shuffled":
        Random(7).shuffle(requests)
    with fresh() as store:
        for start in range(0, len(requests), size):
            store.receive(requests[start : start + size])
        kept = after(store, call(_n="Out"), call(_p="bob", _n="In"), call("s", Seats=3))
        assert (kept.people, kept.events, kept.properties) == (2, LAST + 2, LAST + 1)
        assert kept.dropped == {"D7": 10, "D7-property": 10}
        assert seconds(store) == [0, *range(10, 1010)]  # the first is bob's
        values = [one.value for one in store.properties() if one.name == "Plan"]
        assert values == [str(n) for n in range(10, 1010)]


def test_a_repeat_of_what_was_dropped_changes_nothing() -> None:
    requests = [call(_n="In", _t=T + n, Plan=n) for n in range(1005)]
    with fresh() as store:
        first = after(store, *requests)
        again = after(store, *requests)
        assert again.merged == first.merged | {"repeat": 1005}
        assert again._replace(received=first.received, merged=first.merged) == first
        late = after(store, call(_n="In", _t=T - 1))
        assert late.dropped == {"D7": 6, "D7-property": 5}
        assert seconds(store) == list(range(5, 1005))


def test_an_alias_brings_two_histories_together() -> None:
    """Neither has too many, both together do; what both have counts once (D1)."""
    ada = [call(_n="In", _t=T + 2 * n, Plan=n) for n in range(700)]
    anon = [call(_p="anon", _n="In", _t=T + 3 * n, Plan=n) for n in range(700)]
    with fresh() as store:
        before = after(store, *ada, *anon)
        assert (before.events, before.dropped["D7"]) == (1400, 0)
        kept = after(store, alias("ada", "anon"))
        both = sorted({2 * n for n in range(700)} | {3 * n for n in range(700)})
        assert seconds(store) == both[-LAST:]
        assert kept.dropped == {"D7": len(both) - LAST, "D7-property": len(both) - LAST}
        assert (kept.events, kept.properties) == (LAST, LAST)


def test_a_file_of_an_earlier_version_is_counted(tmp_path: Path) -> None:
    """It had no counts, and showed all that it had."""
    requests = [call(_n="In", _t=T + n, Plan=n) for n in range(1003)]
    with closing(Store(tmp_path / "s.db")) as store:
        kept = after(store, *requests)
    with closing(sqlite3.connect(tmp_path / "s.db")) as database:
        database.execute("DROP TABLE kept_instances")
    with closing(Store(tmp_path / "s.db")) as store:
        assert store.kept() == kept
        assert kept.dropped == {"D7": 3, "D7-property": 3}
        assert after(store, *requests[:5]).dropped == kept.dropped
    with closing(Store(tmp_path / "s.db")) as store:
        assert store.kept().dropped == kept.dropped


def naive(requests: Iterable[Request]) -> dict[tuple[str, str], dict[int, set[str]]]:
    """What is kept: by person and name the last seconds, with the values that may stand there."""
    leaders: dict[str, str] = {}
    said = [(path, parse_qs(path.partition("?")[2])) for path, _ in requests]
    for path, words in said:
        if path.startswith("/a"):
            one, other = (leaders.get(words[key][0], words[key][0]) for key in ("_p", "_n"))
            leaders = {who: one if leader == other else leader for who, leader in leaders.items()}
            leaders |= {other: one}
    found: dict[tuple[str, str], dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for path, words in said:
        person = leaders.get(words["_p"][0], words["_p"][0])
        if path.startswith("/e"):
            found[person, words["_n"][0]][int(words["_t"][0])].add("")
        if not path.startswith("/a"):
            for name in words.keys() & {"Plan"}:
                found[person, name][int(words["_t"][0])].add(words[name][0])
    return {key: dict(sorted(times.items())[-LAST:]) for key, times in found.items()}


@settings(deadline=None, max_examples=examples(12))
@given(
    st.integers(995, 1015),
    st.integers(1, 1100),
    st.lists(st.tuples(st.sampled_from(["ada", "bob"]), st.integers(0, 1100)), max_size=30),
    st.sampled_from([[], [alias("ada", "bob")], [alias("eve", "bob"), alias("ada", "eve")]]),
    st.integers(0, 2**32),
)
def test_it_is_what_a_naive_count_keeps(
    busy: int, size: int, others: list[tuple[str, int]], aliases: list[Request], seed: int
) -> None:
    random = Random(seed)
    requests = [call(_n="In", _t=T + random.randrange(1100), Plan=n % 3) for n in range(busy)]
    requests += [call(_n="In", _t=T + n, Plan=n) for n in range(busy)]
    requests += [call(_p=who, _n="In", _t=T + at, Plan="x") for who, at in others]
    requests += aliases
    random.shuffle(requests)
    want = naive(requests)
    with fresh() as store:
        for start in range(0, len(requests), size):
            store.receive(requests[start : start + size])
        found: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
        names = {identity: one.identities for one in store.people() for identity in one.identities}
        for event in store.events():
            found[event.person, event.event][event.second] = ""
        for one in store.properties():
            found[one.person, one.name][one.second] = one.value
        kept = store.kept()
    assert kept.events == sum(len(times) for (_, name), times in want.items() if name == "In")
    assert kept.properties == sum(len(times) for (_, name), times in want.items() if name == "Plan")
    by_leader = {(min(names[person]), name): times for (person, name), times in want.items()}
    assert found.keys() == by_leader.keys()
    for key, times in by_leader.items():
        assert found[key].keys() == times.keys()
        assert all(found[key][second] in values for second, values in times.items())
