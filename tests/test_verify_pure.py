"""The comparison with an export, without files: whatever both sides hold, each call gets its one outcome."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from km_cli.model import NO_EVENT
from km_cli.verify.export.comparing import compare, compare_second
from km_cli.verify.export.pairing import Offered, Wanted, pair
from km_cli.verify.export.seconds import ExpectedSecond, HeldRecord, HeldSecond, Standing

SECONDS = st.integers(1, 3)
PEOPLE = st.sampled_from([b"ada", b"bob", b"cy!"])
EVENTS = st.sampled_from([b"in--", b"out-"])
NAMES, VALUES = st.sampled_from([b"plan", b"size"]), st.sampled_from([b"v001", b"v002"])
PAIRS = st.lists(st.tuples(NAMES, VALUES).map(b"".join), max_size=2).map(b"".join)

Fact = tuple[int, bytes, bytes]
FACTS = st.lists(st.tuples(SECONDS, PEOPLE, EVENTS), max_size=12)


def expected(facts: Iterable[Fact]) -> list[ExpectedSecond]:
    by_key: defaultdict[tuple[int, bytes], list[Standing]] = defaultdict(list)
    for second, person, event in facts:
        by_key[second, person].append(Standing(event, b""))
    return [ExpectedSecond(*key, "user", tuple(calls)) for key, calls in sorted(by_key.items())]


def held(facts: Iterable[Fact]) -> list[HeldSecond]:
    by_key: defaultdict[tuple[int, bytes], list[HeldRecord]] = defaultdict(list)
    for at, (second, person, event) in enumerate(facts):
        by_key[second, person].append(HeldRecord(event, b"", b"", 0, at))
    return [HeldSecond(*key, tuple(records)) for key, records in sorted(by_key.items())]


@given(FACTS, FACTS)
def test_events_are_compared_as_sets_are(sent: list[Fact], kept: list[Fact]) -> None:
    """Duplicates of the export count once, and two calls that were sent as one event are both there."""
    found: list[Fact] = []
    absent: list[Fact] = []
    unknown: list[Fact] = []
    for one in compare(expected(sent), held(kept)):
        found += [(one.second, one.person, call.event) for call in one.found]
        absent += [(one.second, one.person, call.event) for call in one.absent]
        unknown += [(one.second, one.person, record.event) for record in one.unknown]
    assert Counter(found) == Counter(fact for fact in sent if fact in kept)
    assert Counter(absent) == Counter(fact for fact in sent if fact not in kept)
    assert sorted(unknown) == sorted(set(kept) - set(sent))


def second_of(calls: list[Standing], records: list[HeldRecord]) -> tuple[int, int, int]:
    """How many calls are found and absent, and how many records are unknown."""
    one = compare_second(
        ExpectedSecond(1, b"ada", "user", tuple(calls)), HeldSecond(1, b"ada", tuple(records))
    )
    return len(one.found), len(one.absent), len(one.unknown)


def change(pairs: bytes) -> Standing:
    return Standing(NO_EVENT, pairs)


def record(pairs: bytes, loose: bytes = b"", event: bytes = NO_EVENT) -> HeldRecord:
    return HeldRecord(event, pairs, loose, 0, 1)


def test_properties_are_there_if_any_record_of_the_second_has_them() -> None:
    both = [record(b"planv001", event=b"in--"), record(b"sizev002")]
    assert second_of([change(b"planv001sizev002")], [*both]) == (1, 0, 1)
    assert second_of([change(b"planv001sizev002")], both[:1]) == (0, 1, 1)


def test_another_value_is_none_unless_both_were_sent_or_it_may_be_written_otherwise() -> None:
    """D2 keeps one of two values; a number may be written as another text (D5)."""
    assert second_of([change(b"planv001")], [record(b"planv002")]) == (0, 1, 0)
    assert second_of([change(b"planv001"), change(b"planv002")], [record(b"planv002")]) == (2, 0, 0)
    assert second_of([change(b"planv001")], [record(b"planv002", b"plan")]) == (1, 0, 0)


def test_what_a_merged_event_leaves_is_not_unknown() -> None:
    """The newer export has the properties of a merged event (D1), without the event."""
    calls = [Standing(b"in--", b"planv001"), Standing(b"in--", b"sizev001")]
    assert second_of(calls, [record(b"planv001", event=b"in--"), record(b"sizev001")]) == (2, 0, 0)
    assert second_of(calls[:1], [record(b"planv001", event=b"in--"), record(b"sizev001")]) == (1, 0, 1)


CALLS = st.lists(st.builds(Wanted, st.sampled_from([b"a", b"b", b"c"]), PAIRS), max_size=6)
RECORDS = st.lists(st.builds(Offered, st.sampled_from([b"x", b"y", b"z"]), PAIRS, st.just(b"")), max_size=6)


@given(CALLS, RECORDS, st.dictionaries(st.sampled_from([b"a", b"b"]), st.sampled_from([b"x", b"y"])))
def test_a_record_stands_for_one_call_at_most(
    wanted: list[Wanted], offered: list[Offered], aliases: dict[bytes, bytes]
) -> None:
    made = pair(wanted, offered, lambda person: {aliases[person]} if person in aliases else ())
    assert len({one.call for one in made}) == len({one.record for one in made}) == len(made)
    for one in made:
        call, found = wanted[one.call], offered[one.record]
        if one.by_alias:
            assert aliases[call.person] == found.person
        else:
            assert sorted(split(call.pairs)) == sorted(split(found.pairs))


@given(CALLS, RECORDS)
def test_without_aliases_all_that_can_be_paired_is(wanted: list[Wanted], offered: list[Offered]) -> None:
    calls = Counter(frozenset(split(call.pairs)) for call in wanted)
    records = Counter(frozenset(split(found.pairs)) for found in offered)
    assert len(pair(wanted, offered, lambda _: ())) == (calls & records).total()


def split(pairs: bytes) -> set[bytes]:
    return {pairs[at : at + 8] for at in range(0, len(pairs), 8)}


def test_a_number_that_is_written_otherwise_can_be_paired() -> None:
    """A record with the very value goes first."""
    wanted = [Wanted(b"a", b"sizev001"), Wanted(b"b", b"sizev002")]
    offered = [Offered(b"x", b"sizev002", b"size"), Offered(b"y", b"sizev003", b"size")]
    assert [(one.call, one.record) for one in pair(wanted, offered, lambda _: ())] == [(0, 1), (1, 0)]
    assert pair(wanted, [Offered(b"x", b"sizev003")], lambda _: ()) == []
