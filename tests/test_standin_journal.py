"""The journal of a store: reading by id, person, event, site and text; older files; sites; deletion."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from km_cli.standin import Fact, Journal, KeptCall, Store
from tests.support.standin import ARRIVAL, Request, T, alias, call


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "local.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(Store(path, now=lambda: ARRIVAL + 0.9)) as opened:
        yield opened


@pytest.fixture
def journal(store: Store, path: Path) -> Iterator[Journal]:
    """A journal of the store's file, which is there once the store is open."""
    assert store.kept().received == 0
    with Journal(path) as opened:
        yield opened


def ids(calls: list[KeptCall]) -> list[int]:
    return [one.id for one in calls]


def test_a_call_is_kept_as_it_was_sent(store: Store, journal: Journal) -> None:
    store.receive([call(_p="a:b", **{"Plan, new": "ü+&\"'\n", "plan, new": 2})])
    (found,) = journal.calls()
    assert found[:7] == (1, ARRIVAL, "K", "event", "a b", "Signed Up", T)
    assert found.properties == (("Plan, new", "ü+&\"'\n"), ("plan, new", "2"))


def test_a_call_without_a_time_has_that_of_its_arrival(store: Store, journal: Journal) -> None:
    store.receive([call(_d=None), call("s", _t=None, _d=None, Plan="pro")])
    assert [one.second for one in journal.calls()] == [ARRIVAL, ARRIVAL]


def test_an_ignored_call_is_kept_with_all_its_parameters_but_the_key(store: Store, journal: Journal) -> None:
    secret = "f" * 40
    store.receive([call(_k=secret, _p=None, Plan="pro"), call(_k=None), ("/x?_p=ada", b"")])
    store.receive([("/e?_p=ada&_t=x&_d=1", b"_n=Billed&_k=K")])
    first, no_key, no_call, posted = journal.calls()
    assert (first.kind, first.identity, first.second) == ("ignored", "", None)
    assert first.properties == (("_n", "Signed Up"), ("_t", str(T)), ("_d", "1"), ("Plan", "pro"))
    assert [fact[1:5] for fact in first.facts] == [("W2", "dropped", True, "no person")]
    assert (no_key.site, no_call.facts[0].detail) == ("", "no such call")
    assert dict(posted.properties) == {"_p": "ada", "_t": "x", "_d": "1", "_n": "Billed"}


def test_calls_are_read_by_id_in_both_directions(store: Store, journal: Journal) -> None:
    store.receive([call(_t=T + n) for n in range(10)])
    assert ids(journal.calls(limit=3)) == [1, 2, 3]
    assert ids(journal.calls(since=3, limit=3)) == [4, 5, 6]
    assert ids(journal.calls(limit=3, newest=True)) == [8, 9, 10]
    assert ids(journal.calls(before=8, limit=3, newest=True)) == [5, 6, 7]
    assert ids(journal.calls(since=8, newest=True)) == [9, 10]
    assert journal.call(11) is None
    assert sorted(journal.calls_by_id({3, 7, 99})) == [3, 7]
    assert journal.last_id() == 10


def test_calls_are_found_by_any_identity_of_a_person(store: Store, journal: Journal) -> None:
    store.receive([call(_p="anon"), call(_p="bob"), call("s", _p="ada", Plan="pro"), alias("anon", "ada")])
    store.receive([call(_p="ada", _k="other"), call(_p="anon", _n="Billed", _t=T + 1)])
    assert ids(journal.calls(person="ada")) == [1, 3, 4, 5, 6]
    assert ids(journal.calls(person="anon")) == [1, 3, 4, 6]
    assert ids(journal.calls(person="ada", site="K", newest=True, limit=2)) == [4, 6]
    assert ids(journal.calls(person="anon", event="billed")) == [6]
    assert ids(journal.calls(person="eve")) == []


def test_calls_are_found_by_any_spelling_of_an_event(store: Store, journal: Journal) -> None:
    store.receive([call(_n="Signed:Up"), call(_n="Billed"), call(_n="signed up", _p="b"), call("s", P=1)])
    assert ids(journal.calls(event="SIGNED,UP")) == [1, 3]
    assert ids(journal.calls(event="signed up", newest=True, limit=1)) == [3]
    assert ids(journal.calls(event="plan")) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ADA", [1, 3]),
        ("50%", [2]),
        ("_b", [4]),
        ('q"\\', [4]),
        ("signed", [1]),
        ("nobody", []),
        ("", [1, 2, 3, 4]),
    ],
)
def test_calls_are_found_by_text(store: Store, journal: Journal, text: str, found: list[int]) -> None:
    store.receive([call(), call("s", _p="bob", Plan="50% off"), alias("anon", "ada")])
    store.receive([call("s", _p="eve", a_b='q"\\')])
    assert ids(journal.calls(text=text)) == found


def test_text_that_is_no_word_is_escaped(store: Store, journal: Journal) -> None:
    store.receive([call(_p="x1y"), call(_p="x%y"), call(_p="x_y"), call(_p="x\\y")])
    assert [ids(journal.calls(text=text)) for text in ("x%y", "x_y", "x\\y")] == [[2], [3], [4]]


def test_facts_are_read_by_rule_and_id(store: Store, journal: Journal) -> None:
    store.receive([call(Plan="a"), call(Plan="b"), call(Plan="b"), call(Plan="c")])
    assert [fact.rule for fact in journal.facts()] == ["D2", "D1", "repeat", "D2", "D1"]
    assert journal.facts("D1")[0] == Fact(2, "D1", "merged", False, "Signed Up", 2, 1)
    assert [fact.id for fact in journal.facts("D1", newest=True, limit=1)] == [5]
    assert [fact.id for fact in journal.facts(since=1, before=5, limit=2)] == [2, 3]


def test_d7_is_a_fact_when_the_limit_is_passed(store: Store, journal: Journal) -> None:
    many = [call(_n="In", _t=T + 2000 - n, Plan=n) for n in range(1003)]
    store.receive(many[:999])
    store.receive([call("s", _t=T - 1, Plan="first")])
    store.receive(many[999:])
    rows = [fact[1:] for fact in journal.facts()]
    assert rows == [
        ("D7-property", "dropped", True, "Plan", 1001, 1000),
        ("D7", "dropped", True, "In", 1002, 1002),
    ]
    assert journal.summary().dropped == {"D7": 3, "D7-property": 4}
    assert journal.summary().kept == 1001


def test_d7_by_an_alias(store: Store, journal: Journal) -> None:
    store.receive([call(_n="In", _t=T + n) for n in range(600)])
    store.receive([call(_p="anon", _n="In", _t=T - 600 + n) for n in range(600)])
    store.receive([alias("anon", "ada"), call(_n="In", _t=T + 999)])
    assert [fact[1:] for fact in journal.facts("D7")] == [("D7", "dropped", True, "In", 1201, 601)]
    assert journal.summary().dropped == {"D7": 201}


def test_dropped_properties_name_the_property_and_the_reason(store: Store, journal: Journal) -> None:
    store.receive([call("s", Long="x" * 9000, Plan="pro", **{"n" * 256: 1})])
    facts = {(fact.rule, fact.what): fact.detail for fact in journal.calls()[0].facts}
    assert facts["D5", "dropped"] == "Long: value over 8192 bytes"
    assert facts["D4", "dropped"].endswith("property name over 255 characters")


@pytest.mark.parametrize(
    "value", ["12", "1.50", "-3", "0", "0.5", "pro", "2024-01-01", "a [b]", "$", "{x", "x" * 512]
)
def test_d5_near_misses_are_not_changed(store: Store, journal: Journal, value: str) -> None:
    store.receive([call("s", Plan=value)])
    assert journal.facts() == []


@pytest.mark.parametrize(
    "value", ["+5", "-007", "[1, 2]", "US$ 5", "5,00 €", "£1,234.50", '{"a": "' + "x" * 50 + '"}']
)
def test_d5_changes_are_certain(store: Store, journal: Journal, value: str) -> None:
    store.receive([call("s", Plan=value)])
    assert [fact[1:5] for fact in journal.facts()] == [("D5", "changed", True, "Plan")]


def test_i1_a_placeholder_is_a_fact_once_for_each_site(store: Store, journal: Journal) -> None:
    store.receive([call(_p="Anonymous"), call(_p="Anonymous", _t=T + 1), call(_p="anonymous person")])
    store.receive([call(_p="Anonymous", _k="other"), alias("ada", "null")])
    found = [(fact.rule, fact.detail, fact.call) for fact in journal.facts()]
    assert found == [("I1", "Anonymous", 1), ("I1", "Anonymous", 4), ("I1", "null", 5), ("I2", "null", 5)]


def test_d8_passing_each_limit_of_names_is_a_fact(
    store: Store, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("km_cli.standin.keeping.MOST_NAMES", {3: False, 5: True})
    store.receive([call(_n="n0"), call(_n="N0", _t=T + 1), call("s", **{f"p{n}": 1 for n in range(3)})])
    store.receive([call(_n="x", _k="other")])
    for n in range(1, 7):
        store.receive([call(_n=f"n{n}")])
    found = [fact[1:5] for fact in journal.facts("D8")]
    assert found == [("D8", "dropped", False, "n3"), ("D8", "dropped", True, "n5")]


# People and events


def test_a_person_is_shown_with_everything(store: Store, journal: Journal) -> None:
    store.receive([call(_p="anon", Plan="free"), call(_t=T + 90, Plan="pro"), alias("anon", "ada")])
    store.receive([call(_t=T + 5, _n="Billed"), call(_k="other")])
    one, other = journal.person("anon") + journal.person("ada", "other")
    assert (one.site, one.identities, other.site) == ("K", ("ada", "anon"), "other")
    assert [(e.name, e.times, e.first, e.last) for e in one.events] == [
        ("Billed", 1, T + 5, T + 5),
        ("Signed Up", 2, T, T + 90),
    ]
    assert one.properties == (("Plan", "pro", T + 90, 2),)
    assert ids(list(one.aliases)) == [3]
    assert [moment.second for moment in one.timeline] == [T, T + 5, T + 90]
    assert [fact.rule for fact in one.facts] == ["I2"]
    assert journal.person("eve") == []


def test_people_are_listed(store: Store, journal: Journal) -> None:
    store.receive(
        [call(_p="ada"), call(_p="bob", _t=T + 61), call(_p="anon", _t=T + 1), alias("anon", "ada")]
    )
    store.receive([call("s", _p="ada", _k="other", _t=T + 3, Plan="pro"), alias("x", "y")])
    rows = [(row.site, row.identities, row.events, row.last - T) for row in journal.people()]
    assert sorted(rows) == [("K", ("ada", "anon"), 2, 1), ("K", ("bob",), 1, 61), ("other", ("ada",), 0, 3)]
    assert [row.identities for row in journal.people("NON")] == [("ada", "anon")]
    assert [row.site for row in journal.people("ada", site="other")] == ["other"]
    assert len(journal.people(limit=2)) == 2


def test_events_are_listed_with_their_people(store: Store, journal: Journal) -> None:
    store.receive([call(), call(_t=T + 1, _n="signed up"), call(_p="bob"), call(_k="other"), call("s", P=1)])
    found = [(one.site, one.name, one.times, len(one.people)) for one in journal.events()]
    assert found == [("K", "Signed Up", 3, 2), ("other", "Signed Up", 1, 1)]


# The file


def test_a_journal_sees_what_comes_later_and_never_a_half(path: Path, store: Store, journal: Journal) -> None:
    store.receive([call()])
    assert journal.last_id() == 1
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TRIGGER t BEFORE INSERT ON kept_facts BEGIN SELECT raise(ABORT, 'full'); END")
    with pytest.raises(sqlite3.IntegrityError):
        store.receive([call(_t=T + 1), call(Plan="pro")])
    assert (journal.last_id(), journal.summary().received) == (1, 1)
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TRIGGER t")
    store.receive([call(Plan="pro")])
    assert [(one.id, len(one.facts)) for one in journal.calls()] == [(1, 0), (2, 1)]


def test_closing_waits_until_no_thread_reads(journal: Journal) -> None:
    """A statement that loses its connection in the middle may end the process."""
    closing_it = Thread(target=journal.close)
    with journal._lock:
        closing_it.start()
        closing_it.join(0.1)
        assert closing_it.is_alive()
    closing_it.join()
    with pytest.raises(sqlite3.ProgrammingError):
        journal.last_id()
    journal.close()


def test_a_file_that_is_no_store_is_an_error(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "empty.db")):
        pass
    with pytest.raises(sqlite3.Error):
        Journal(tmp_path / "empty.db")


JOURNAL = ("calls", "spellings", "facts", "fact_counts", "sites", "journal")


def made_old(path: Path, requests: list[Request]) -> None:
    """Make a file as the version before made it: without a journal."""
    with closing(Store(path, now=lambda: ARRIVAL)) as store:
        store.receive(requests)
    with closing(sqlite3.connect(path)) as db:
        for table in JOURNAL:
            db.execute(f"DROP TABLE kept_{table}")
        db.execute("DROP INDEX kept_instances_many")


def test_a_file_of_the_version_before_gets_a_journal(path: Path) -> None:
    old = [call(Plan="pro"), call(Plan="free"), call(_p=None), call(_n="a:b", _t=T + 1), alias("x", "y")]
    made_old(path, [*old, call("s", Long="x" * 9000)])
    with Journal(path) as journal:
        assert (journal.calls(), journal.facts(), journal.last_id(), journal.missing()) == ([], [], 0, 6)
        assert journal.summary().received == 6
        assert journal.person("ada")[0].aliases == ()
        assert journal.people()[0].identities == ("ada",)
        with closing(Store(path, now=lambda: ARRIVAL)) as store:
            assert (journal.missing(), journal.last_id(), journal.calls()) == (6, 6, [])
            before = journal.summary()
            assert before == (
                6, 4, {"D1": 1, "D2": 1, "I2": 1}, {"D4": 1}, {"D5": 1, "W2": 1},
            )  # fmt: skip
            store.receive([call(Plan="free"), call(Plan="team"), call(_n="SIGNED UP", _t=T + 9)])
            assert ids(journal.calls()) == [7, 8, 9]
            assert [fact[1:] for fact in journal.facts()] == [
                ("repeat", "merged", True, "Signed Up", 7, None),
                ("D2", "merged", True, "Plan", 8, 7),
                ("D1", "merged", False, "Signed Up", 8, 7),
                ("D4", "merged", True, "SIGNED UP", 9, None),
            ]
            assert store.kept().merged["D1"] == journal.summary().merged["D1"] == 2


def test_two_processes_may_make_the_tables_at_once(path: Path) -> None:
    made_old(path, [call()])
    with closing(Store(path)) as one, closing(Store(path)) as other, Journal(path) as journal:
        one.receive([call(_t=T + 1)])
        other.receive([call(_t=T + 2)])
        one.receive([call(_t=T + 3)])
        assert (ids(journal.calls()), journal.missing()) == ([2, 3, 4], 1)


def test_everything_can_be_deleted_and_ids_go_on(path: Path, store: Store, journal: Journal) -> None:
    with closing(Store(path)) as other:
        other.receive([call(Plan="pro"), call(_p="anon"), alias("anon", "ada")])
        site = store.site_of("secret")
        store.delete_all()
        assert (journal.last_id(), journal.summary().received, store.kept().events) == (3, 0, 0)
        assert (journal.calls(), journal.people(), journal.sites()) == ([], [], [site])
        other.receive([call(Plan="pro"), call(_p="anon")])
        assert (ids(journal.calls()), store.kept().people, journal.missing()) == ([4, 5], 2, 0)
        assert store.site_of("secret") == site


def test_the_key_of_a_site_is_stored_nowhere(path: Path, store: Store) -> None:
    keys = ["a" * 40, "b" * 40, "c" * 40]
    store.receive([call(_k="site-1")])
    store.name_site("main", keys[1])
    assert [store.site_of(key) for key in [*keys, keys[0]]] == ["site-2", "main", "site-3", "site-2"]
    with closing(Store(path)) as other:
        assert other.site_of(keys[2]) == "site-3"
        other.name_site("main", keys[1])
        for name, key in (("main", keys[0]), ("main", "d" * 40), ("new", keys[1])):
            with pytest.raises(ValueError, match="key"):
                other.name_site(name, key)
    files = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert not any(key.encode() in files for key in keys)


# Indexes


def plans(journal: Journal, read: Callable[[], object]) -> str:
    """How SQLite finds the rows of all queries on calls and facts that a reading makes."""
    queries: list[str] = []
    journal._db.set_trace_callback(queries.append)
    read()
    journal._db.set_trace_callback(None)
    rows = [
        row[3]
        for query in queries
        if "kept_calls" in query or "kept_facts" in query
        for row in journal._db.execute(f"EXPLAIN QUERY PLAN {query}")
    ]
    return "\n".join(rows)


def test_readings_use_an_index(store: Store, journal: Journal) -> None:
    store.receive(
        [call(_p=f"p{n}", _t=T + n, Plan=n) for n in range(50)] + [alias("p1", "p2"), call(_p="p1")]
    )
    readings: dict[str, Callable[[], object]] = {
        "kept_calls_person": lambda: journal.calls(person="p1"),
        "kept_calls_event": lambda: journal.calls(event="signed up", newest=True),
        "kept_calls_alias": lambda: journal.person("p1"),
        "kept_facts_call": lambda: journal.calls(since=10, limit=10),
        "kept_facts_rule": lambda: journal.facts("D1"),
        "INTEGER PRIMARY KEY (rowid>? AND rowid<?)": lambda: journal.calls(since=10, newest=True),
        "kept_facts USING INTEGER PRIMARY KEY": lambda: journal.facts(since=1),
    }
    for index, read in readings.items():
        plan = plans(journal, read)
        assert index in plan, plan
        assert "SCAN c" not in plan, plan
        assert "SCAN kept_" not in plan, plan
        assert "SCAN f" not in plan, plan
