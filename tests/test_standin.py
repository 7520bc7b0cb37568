"""The stand-in keeps what Kissmetrics would keep, rule by rule, in a real SQLite file."""

import ast
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import km_cli.standin
from km_cli.standin import Person, Property, Store
from tests.support.drawing import examples
from tests.support.room import room_for
from tests.support.standin import ARRIVAL, Request, T, after, alias, call, fresh


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "local.db", now=lambda: ARRIVAL + 0.9)) as opened:
        yield opened


# D1, D2, D4


def test_d1_same_person_event_and_second_count_once(store: Store) -> None:
    kept = after(store, call(Plan="pro"), call(_n="SIGNED up", Seats=3))
    assert (kept.events, kept.properties, kept.merged["D1"], kept.merged["repeat"]) == (1, 2, 1, 0)


@pytest.mark.parametrize("other", [{"_t": T + 1}, {"_n": "Signed  Up"}, {"_p": "Ada"}, {"_k": "k"}])
def test_d1_near_misses_are_events_of_their_own(store: Store, other: dict[str, object]) -> None:
    kept = after(store, call(), call(**other))
    assert (kept.events, kept.merged["D1"], kept.merged["repeat"]) == (2, 0, 0)


def test_a_resend_is_a_repeat_also_in_another_call_of_receive(store: Store) -> None:
    after(store, call(Plan="pro"), call(Plan="pro"))
    kept = after(store, call(Plan="pro"))
    assert (kept.received, kept.events, kept.merged["D1"], kept.merged["repeat"]) == (3, 1, 0, 2)


def test_d2_the_later_value_replaces_the_earlier(store: Store) -> None:
    store.receive([call(Plan="pro")])
    kept = after(store, call("s", plan="free"), call("s", PLAN="free"))
    assert (kept.properties, kept.merged["D2"]) == (1, 1)
    assert list(store.properties()) == [Property("K", "ada", "Plan", T, "free")]


def test_d2_within_one_call(store: Store) -> None:
    kept = after(store, call(Plan="pro", plan="free"))
    assert (kept.properties, kept.merged["D2"], kept.merged["D1"]) == (1, 1, 0)


@pytest.mark.parametrize("other", [{"_t": T + 1}, {"_p": "bob"}])
def test_d2_near_misses_keep_both_values(store: Store, other: dict[str, object]) -> None:
    kept = after(store, call("s", Plan="pro"), call("s", **({"Plan": "free"} | other)))
    assert (kept.properties, kept.merged["D2"]) == (2, 0)


def test_d4_commas_and_colons_become_spaces_and_the_first_spelling_is_shown(store: Store) -> None:
    kept = after(store, call(_n="Signed:Up", **{"a,b": 1, "c:d": 2}), call(_n="signed up", _t=T + 1))
    assert kept.merged["D4"] == 1
    assert {event.event for event in store.events()} == {"Signed Up"}
    assert {p.name for p in store.properties()} == {"a b", "c d"}


def test_d4_identities_are_folded_but_keep_their_case(store: Store) -> None:
    kept = after(store, call(_p="a:b"), call(_p="a,b"), call(_p="a b"), call(_p="A b"))
    assert (kept.people, kept.events, kept.merged["D4"]) == (2, 2, 0)


def test_an_event_and_a_property_may_share_a_name(store: Store) -> None:
    store.receive([call(_n="plan", Plan="pro")])
    assert [e.event for e in store.events()] == ["plan"]
    assert [p.name for p in store.properties()] == ["Plan"]


def test_d9_a_set_makes_a_person_and_an_empty_one_none(store: Store) -> None:
    assert after(store, call("s")).people == 0
    kept = after(store, call("s", Plan="pro"))
    assert (kept.people, kept.events, kept.properties) == (1, 0, 1)


# I2: aliases


def test_an_alias_makes_two_people_one_for_ever(store: Store) -> None:
    kept = after(store, call(Plan="pro"), call(_p="anon", plan="free"), call(_p="anon", _t=T + 90))
    assert (kept.people, kept.events, kept.properties) == (2, 3, 2)
    kept = after(store, alias("anon", "ada"))
    assert (kept.people, kept.events, kept.properties) == (1, 2, 1)
    assert (kept.merged["D1"], kept.merged["D2"]) == (1, 1)
    kept = after(store, call(_p="anon", _t=T + 200), call(_p="ada", _t=T + 200))
    assert (kept.people, kept.events, kept.merged["repeat"]) == (1, 3, 1)
    assert list(store.people()) == [Person("K", ("ada", "anon"))]
    assert {event.person for event in store.events()} == {"ada"}


def test_an_alias_of_two_that_agree_loses_no_value(store: Store) -> None:
    kept = after(store, call("s", Plan="pro"), call("s", _p="anon", plan="pro"), alias("ada", "anon"))
    assert (kept.properties, kept.merged["D2"]) == (1, 0)


def test_repeated_and_reversed_aliases_are_harmless(store: Store) -> None:
    aliases = [alias("a", "b"), alias("b", "a"), alias("a", "b"), alias("a", "a")]
    kept = after(store, call(_p="a"), call(_p="b", _t=T + 1), *aliases, *aliases)
    assert (kept.people, kept.events, kept.merged["D1"]) == (1, 2, 0)


def test_an_alias_shows_only_with_data_of_its_own(store: Store) -> None:
    assert after(store, alias("a", "b")).people == 0  # I3
    assert after(store, call(_p="b")).people == 1


def test_an_alias_stays_within_its_product(store: Store) -> None:
    kept = after(store, call(_p="a"), call(_p="b"), call("a", _k="other", _p="a", _n="b"))
    assert kept.people == 2


def test_an_alias_made_by_another_process_is_heeded(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "s.db")) as one, closing(Store(tmp_path / "s.db")) as other:
        one.receive([call(_p="a"), call(_p="b", _t=T + 1)])
        other.receive([alias("a", "b")])
        kept = after(one, call(_p="a", _t=T + 1), call(_p="b"))
        assert (kept.people, kept.events, kept.merged["repeat"]) == (1, 2, 2)


# The file


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    requests = [call(Plan="pro"), call(_p="anon", _t=T + 1), alias("anon", "ada"), call(_k=None)]
    with closing(Store(tmp_path / "s.db")) as store:
        before = after(store, *requests)
    with closing(Store(str(tmp_path / "s.db"))) as store:
        assert store.kept() == before
        kept = after(store, call(Plan="pro"), call(_p="anon"))
        assert (kept.people, kept.events, kept.merged["repeat"]) == (1, 2, 2)


def test_the_file_can_hold_somebody_elses_tables(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "s.db")) as db:
        db.execute("CREATE TABLE slots (x)")
    with closing(Store(tmp_path / "s.db")) as store:
        store.receive([call()])
    with closing(sqlite3.connect(tmp_path / "s.db")) as db:
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {name for name in names if not name.startswith("kept_")} == {"slots"}


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        Store(tmp_path / "s.db")


@pytest.mark.parametrize("more", [[], [alias("bob", "ada")]])
def test_a_failure_undoes_the_whole_batch_and_the_next_is_right(
    store: Store, tmp_path: Path, more: list[Request]
) -> None:
    store.receive([call(Plan="pro")])
    before = store.kept()
    with closing(sqlite3.connect(tmp_path / "local.db")) as db:
        db.execute("CREATE TRIGGER t BEFORE INSERT ON kept_counts BEGIN SELECT raise(ABORT, 'full'); END")
    with pytest.raises(sqlite3.IntegrityError, match="full"):
        store.receive([call(_p="bob", Seats=1), *more])
    with closing(sqlite3.connect(tmp_path / "local.db")) as db:
        db.execute("DROP TRIGGER t")
    assert store.kept() == before
    kept = after(store, call(_p="bob", Seats=1))
    assert (kept.received, kept.people, kept.events, kept.properties) == (2, 2, 2, 2)
    assert {person.identities for person in store.people()} == {("ada",), ("bob",)}
    assert {p.name for p in store.properties()} == {"Plan", "Seats"}


def test_requests_that_cannot_be_read_to_the_end_leave_nothing(store: Store) -> None:
    def broken() -> Iterator[Request]:
        yield call()
        raise OSError("torn")

    with pytest.raises(OSError, match="torn"):
        store.receive(broken())
    assert store.kept().received == 0


def test_threads_share_a_store(store: Store) -> None:
    def send(first: int) -> None:
        for second in range(first, first + 50):
            store.receive([call(_t=T + second)])

    threads = [Thread(target=send, args=(25 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = store.kept()
    assert (kept.received, kept.events, kept.merged["repeat"]) == (200, 125, 75)


def test_caches_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("km_cli.standin.keeping._MOST_CACHED", 2)
    requests = [call(_p=f"p{n}", _n=f"n{n}", _t=T + 60 * n) for n in range(10)]
    for _ in range(2):
        for request in requests:
            store.receive([request])
    kept = store.kept()
    assert (kept.people, kept.events, kept.merged["repeat"]) == (10, 10, 10)


def test_it_imports_nothing_from_the_rest() -> None:
    for file in Path(km_cli.standin.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                own = name.startswith("km_cli.standin")
                assert own or name.partition(".")[0] in sys.stdlib_module_names


# What holds for all inputs

few = st.builds(
    call,
    st.sampled_from("ees"),
    _p=st.sampled_from(["ada", "bob", "eve"]),
    _n=st.sampled_from(["Billed", "billed", "Logged:In", "logged in"]),
    _t=st.integers(T, T + 2),
    Plan=st.none() | st.sampled_from(["pro", "free"]),
    plan=st.none() | st.sampled_from(["pro", "team"]),
)
aliases = st.builds(alias, st.sampled_from(["ada", "bob"]), st.sampled_from(["bob", "eve"]))
calls = st.lists(few | aliases, max_size=20)


def standing(store: Store) -> tuple[object, ...]:
    """What is kept but for which value survived (D2), which spelling came first, and the counts."""
    values = {(p.person, p.name.lower(), p.second) for p in store.properties()}
    return {e._replace(event=e.event.lower()) for e in store.events()}, values, sorted(store.people())


@settings(deadline=None, max_examples=examples(60))
@given(calls, st.randoms(use_true_random=False), st.integers(1, 20))
def test_neither_order_nor_batching_decides_what_is_kept(
    requests: list[Request], random: Random, size: int
) -> None:
    shuffled = list(requests)
    random.shuffle(shuffled)
    with fresh() as one, fresh() as other:
        one.receive(requests)
        for start in range(0, len(shuffled), size):
            other.receive(shuffled[start : start + size])
        assert standing(one) == standing(other)


@settings(deadline=None, max_examples=examples(60))
@given(calls)
def test_receiving_twice_keeps_the_same(requests: list[Request]) -> None:
    with fresh() as store:
        first = after(store, *requests)
        before = standing(store)
        again = after(store, *requests)
        assert standing(store) == before
        assert again[1:4] == first[1:4]
        events = sum(path.startswith("/e") for path, _ in requests)
        for times, kept in ((1, first), (2, again)):
            assert kept.events + kept.merged["D1"] + kept.merged["repeat"] == times * events


def test_a_full_disk_is_named_when_a_store_begins(tmp_path: Path) -> None:
    """SQLite has undone the transaction by then, and must not be asked to do so."""
    with room_for(60_000), pytest.raises(sqlite3.OperationalError, match="disk"):
        Store(tmp_path / "new.db")
    Store(tmp_path / "new.db").close()
