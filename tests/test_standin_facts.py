"""Each merge, change and drop is a fact: as a model says that shares no code with the store."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl

from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.standin import Journal, KeptCall, Store, Summary
from tests.support.drawing import examples
from tests.support.standin import ARRIVAL, Request, T, alias, call

FactRow = tuple[str, str, bool, str, int, int | None]

CHANGED_VALUES = {"007": True, "$5": True, '{"a": 1}': True, "x" * 513: False}
"""Values that D5 changes; True if all pages agree."""


class Sent(NamedTuple):
    """A call as the model reads it."""

    id: int
    kind: str
    who: str
    name: str
    second: int
    properties: list[tuple[str, str]]


class Model:
    """What should be known after some calls of one site. It looks at all earlier calls each time."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.facts: list[FactRow] = []
        self.groups: dict[str, set[str]] = {}
        self.values: dict[tuple[str, int, str], str] = {}
        self.minutes: Counter[str] = Counter()
        self.busy: dict[str, set[int]] = {}
        self.leaders: dict[str, str] = {}
        self.spelled: dict[tuple[str, str], dict[str, int]] = {}

    def take(self, request: Request) -> None:
        kind, _, query = request[0].partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        words = dict(pairs)
        id_ = len(self.sent) + 1
        properties = [(name, value) for name, value in pairs if name[0] != "_"]
        who = plain(words.get("_p", ""))
        one = Sent(id_, kind[1], who, words.get("_n", ""), int(words["_t"]), properties)
        if not who or one.second < T:
            self.sent.append(one._replace(kind="-"))
            rule, reason = ("D6", "time before 2009") if who else ("W2", "no person")
            self.facts.append((rule, "dropped", True, reason, id_, None))
            return
        self.sent.append(one)
        self.groups.setdefault(who, {who})
        for identity in (words["_p"], words["_n"]) if kind == "/a" else (words["_p"],):
            if plain(identity) != identity:
                self.facts.append(("D4", "changed", False, identity, id_, None))
        if kind == "/a":
            self.join(one)
        else:
            self.record(one)

    def record(self, one: Sent) -> None:
        if one.kind == "s" and not one.properties:
            return
        self.busy.setdefault(self.leader(one.who), set()).add(one.second // 60)
        if one.kind == "e":
            self.spell("event", one.name, one.id)
        gain = False
        for name, value in one.properties:
            gain = self.give(one, name, value) or gain
        earlier = self.events_of(self.groups[one.who], one.second, one.name, one.id)
        if one.kind == "e" and earlier:
            same = [other for other in earlier if folded(other) == folded(one)]
            other = (same or earlier)[0]
            self.facts.append(("D1" if gain else "repeat", "merged", bool(same), one.name, one.id, other.id))

    def give(self, one: Sent, name: str, value: str) -> bool:
        self.spell("property", name, one.id)
        if value in CHANGED_VALUES:
            self.facts.append(("D5", "changed", CHANGED_VALUES[value], name, one.id, None))
        key = (self.leader(one.who), one.second, low(name))
        before = self.values.get(key)
        self.values[key] = value
        if before not in (None, value):
            other = self.giver(self.groups[one.who], one.second, name, str(before))
            self.facts.append(("D2", "merged", True, name, one.id, other))
        return before != value

    def spell(self, kind: str, name: str, id_: int) -> None:
        known = self.spelled.setdefault((kind, low(name)), {})
        if known and name not in known:
            self.facts.append(("D4", "merged", True, name, id_, min(known.values())))
        known.setdefault(name, id_)
        if plain(name) != name:
            self.facts.append(("D4", "changed", True, name, id_, None))

    def join(self, one: Sent) -> None:
        other = plain(one.name)
        self.groups.setdefault(other, {other})
        left, right = self.groups[one.who], self.groups[other]
        if left is right:
            return
        self.facts.append(("I2", "merged", True, other, one.id, None))
        seen = {(e.second, low(e.name)) for e in self.sent if e.kind == "e" and e.who in left}
        for second, name in sorted(seen):
            mine = self.events_of(left, second, name, one.id)
            theirs = self.events_of(right, second, name, one.id)
            if mine and theirs:
                pair = sorted((mine[0], theirs[0]))
                alike = folded(pair[0]) == folded(pair[1])
                self.facts.append(("D1", "merged", alike, self.shown("event", name), pair[1].id, pair[0].id))
        self.join_values(one, other)
        together = left | right
        for who in together:
            self.groups[who] = together

    def join_values(self, one: Sent, other: str) -> None:
        """The values of the one with more minutes stay; of two that have as many, the second's."""
        mine, theirs = self.leader(one.who), self.leader(other)
        more = len(self.busy.get(mine, ())) > len(self.busy.get(theirs, ()))
        stays, goes = (mine, theirs) if more else (theirs, mine)
        moved = {key: self.values.pop(key) for key in list(self.values) if key[0] == goes}
        for (_, second, name), lost in moved.items():
            kept = self.values.setdefault((stays, second, name), lost)
            if kept != lost:
                givers = [
                    self.giver(self.groups[who], second, name, value)
                    for who, value in ((stays, kept), (goes, lost))
                ]
                first, last = sorted(givers)
                self.facts.append(("D2", "merged", True, self.shown("property", name), last, first))
        self.busy[stays] = self.busy.pop(goes, set()) | self.busy.get(stays, set())
        for who in self.groups[goes] | self.groups[stays]:
            self.leaders[who] = stays

    def leader(self, who: str) -> str:
        return self.leaders.get(who, who)

    def shown(self, kind: str, name: str) -> str:
        return plain(next(iter(self.spelled[kind, name])))

    def events_of(self, group: set[str], second: int, name: str, before: int) -> list[Sent]:
        return [
            one
            for one in self.sent
            if (one.kind, one.second, low(one.name)) == ("e", second, low(name))
            and one.who in group
            and one.id < before
        ]

    def giver(self, group: set[str], second: int, name: str, value: str) -> int:
        """The last call that gave a property a value."""
        return max(
            one.id
            for one in self.sent
            if one.kind in "es" and one.who in group and one.second == second
            if (low(name), value) in [(low(known), given) for known, given in one.properties]
        )


def plain(text: str) -> str:
    return text.translate({ord(","): " ", ord(":"): " "})


def low(text: str) -> str:
    return plain(text).lower()


def folded(one: Sent) -> dict[str, str]:
    return {low(name): value for name, value in one.properties}


values = st.sampled_from([None, "pro", "free", *CHANGED_VALUES])
one_call = st.builds(
    call,
    st.sampled_from("eees"),
    _p=st.sampled_from(["ada", "bob", "eve", "b:b", "b,b", None]),
    _n=st.sampled_from(["Billed", "billed", "Logged:In", "logged in", "Logged,In"]),
    _t=st.sampled_from([T, T, T + 1, T + 60, 5]),
    Plan=values,
    plan=values,
    **{"a:b": st.sampled_from([None, None, "1"])},
)
one_alias = st.builds(alias, st.sampled_from(["ada", "bob", "b:b"]), st.sampled_from(["bob", "eve", "ada"]))
requests_of_a_site = st.lists(one_call | one_call | one_call | one_alias, max_size=24)


def journal_after(requests: list[Request], size: int) -> Iterator[tuple[Journal, Store]]:
    """A journal of requests that came in transactions of this size."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Store(Path(folder) / "s.db", lambda: ARRIVAL)) as store,
    ):
        for start in range(0, len(requests), size):
            store.receive(requests[start : start + size])
        with Journal(Path(folder) / "s.db") as journal:
            yield journal, store


def rows_of(journal: Journal) -> list[FactRow]:
    found = [fact[1:] for fact in journal.facts(limit=1000)]
    return sorted(found, key=repr)


@settings(deadline=None, max_examples=examples(100))
@given(requests_of_a_site, st.integers(1, 24))
def test_facts_are_those_of_the_model_however_the_calls_are_cut(requests: list[Request], size: int) -> None:
    model = Model()
    for request in requests:
        model.take(request)
    for journal, store in journal_after(requests, size):
        assert rows_of(journal) == sorted(model.facts, key=repr)
        check_calls(journal.calls(limit=1000), model)
        check_counts(journal.summary(), store, model)


def check_calls(calls: list[KeptCall], model: Model) -> None:
    """Every call is there as it was sent, in order of arrival, with its own facts."""
    assert [one.id for one in calls] == [one.id for one in model.sent]
    kinds = {"e": "event", "s": "set", "a": "alias", "-": "ignored"}
    for found, sent in zip(calls, model.sent, strict=True):
        assert found.kind == kinds[sent.kind]
        assert sorted(fact[1:] for fact in found.facts) == sorted(
            fact for fact in model.facts if fact[4] == sent.id
        )
        if sent.kind in "es":
            assert (found.identity, found.second) == (sent.who, sent.second)
            assert list(found.properties) == sent.properties
        if sent.kind == "e":
            assert found.name == sent.name


def check_counts(summary: Summary, store: Store, model: Model) -> None:
    """The counts are those of the facts, and of the counts that the store had before it had facts."""
    want = Counter((what, rule) for rule, what, *_ in model.facts)
    found = {
        (what, rule): n
        for what in ("merged", "changed", "dropped")
        for rule, n in getattr(summary, what).items()
    }
    assert found == want
    kept = store.kept()
    for rule in ("D1", "D2", "repeat"):
        assert kept.merged[rule] == want["merged", rule]
    events = kept.events + sum(one.kind in "sa" for one in model.sent)
    assert (summary.received, summary.kept) == (len(model.sent), events)
