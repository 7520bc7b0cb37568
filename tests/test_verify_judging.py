"""The pure comparison of `verify`: it accuses exactly when no course of events explains the total."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import product
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km_cli.errors import UsageError
from km_cli.verify.comparing import compare_site
from km_cli.verify.judging import Reason, Shown, Verdict, judge, judge_since
from km_cli.verify.own import OwnProperties, digest_of_name
from km_cli.verify.products import products_of_sites
from km_cli.verify.values import Listing, NameTotal, OwnEvent, Product, SiteState

FINDINGS = (Verdict.ABSENT, Verdict.TOO_LOW, Verdict.TOO_HIGH)

# What may become of one call: whether a snapshot counts it, and whether the total counts it now.
FATES = {
    "old": [(1, 1)],
    "late": [(0, 1), (1, 1)],  # acknowledged shortly before the snapshot (Q4)
    "slow": [(0, 0), (0, 1), (1, 1)],  # that, and the comparison comes soon too
    "unsure": [(0, 1), (1, 1)],  # pending at the snapshot, acknowledged since
    "waiting": [(0, 0), (0, 1), (1, 1)],  # pending at both times
    "new": [(0, 1)],
    "fresh": [(0, 0), (0, 1)],  # acknowledged a short time ago
    "pending": [(0, 0), (0, 1)],
    "merged": [(0, 0), (0, 1)],  # D1, since the snapshot
    "dropped": [(0, 0), (0, 1)],  # D7, since the snapshot
    "merged before": [(0, 0), (1, 1)],
}


class World(NamedTuple):
    """How many calls of each kind there are, in the order of FATES."""

    calls: tuple[int, ...]

    def count(self, *kinds: str) -> int:
        return sum(number for kind, number in zip(FATES, self.calls, strict=True) if kind in kinds)

    def courses(self) -> Iterator[tuple[int, int]]:
        """Yield the totals of our calls at both times, for each course that events may take."""
        each = [
            fates for fates, number in zip(FATES.values(), self.calls, strict=True) for _ in range(number)
        ]
        for course in product(*each):
            yield sum(before for before, _ in course), sum(now for _, now in course)

    @property
    def before(self) -> OwnEvent:
        return OwnEvent(
            "In",
            self.count("old", "late", "slow", "merged before"),
            self.count("old", "late", "slow", "merged before", "unsure", "waiting"),
            recent=self.count("late", "slow"),
            merged=self.count("merged before"),
        )

    @property
    def now(self) -> OwnEvent:
        pending = self.count("waiting", "pending")
        acknowledged = sum(self.calls) - pending
        return OwnEvent(
            "In",
            acknowledged,
            acknowledged + pending,
            recent=self.count("slow", "fresh"),
            merged=self.count("merged", "merged before"),
            dropped=self.count("dropped"),
        )


worlds = st.lists(st.integers(0, 2), min_size=len(FATES), max_size=len(FATES)).map(
    lambda calls: World(tuple(calls) if sum(calls) < 9 else tuple(min(one, 1) for one in calls))
)


@given(worlds, st.integers(-4, 12), st.booleans())
def test_since_a_snapshot_it_accuses_exactly_when_nothing_explains_the_gain(
    world: World, gain: int, is_listed: bool
) -> None:
    courses = set(world.courses())
    gains = {now - before for before, now in courses}
    most_before = max(before for before, _ in courses)
    found = judge_since(
        world.now,
        Shown(most_before + gain),
        world.before,
        Shown(most_before),
        is_listed=is_listed,
        is_whole=True,
    )
    accuses = found.verdict in FINDINGS
    if gain in gains:
        assert not accuses, found
    elif not world.count("slow", "waiting"):  # the ledger cannot tell them from late, fresh or unsure calls
        assert accuses, found
        assert found.wrong == min(abs(gain - one) for one in gains)
        assert found.verdict is not Verdict.TOO_HIGH or gain > max(gains)


@given(worlds, st.integers(0, 14))
def test_without_a_snapshot_it_accuses_exactly_when_too_little_is_shown(world: World, total: int) -> None:
    totals = {now for _, now in world.courses()}
    found = judge(world.now, Shown(total), is_listed=True, is_whole=True)
    assert (found.verdict is Verdict.TOO_LOW) == (total < min(totals)), found
    if found.verdict is Verdict.TOO_LOW:
        assert found.wrong == min(totals) - total
    assert (found.verdict is Verdict.OTHERS) == (total > max(totals)), found


@given(worlds, st.integers(1, 5), st.integers(0, 5))
def test_other_sources_of_an_event_are_an_explanation_if_the_snapshot_shows_them(
    world: World, others: int, gained: int
) -> None:
    for before, now in {*world.courses()}:
        found = judge_since(
            world.now,
            Shown(now + world.before.most + others + gained),
            world.before,
            Shown(before + world.before.most + others),
            is_listed=True,
            is_whole=True,
        )
        assert found.verdict not in FINDINGS


def test_every_difference_is_explained_in_turn() -> None:
    own = OwnEvent("In", 10, 12, recent=2, merged=1, dropped=3)
    for total, verdict, wrong in (
        (12, Verdict.HELD, 0),
        (9, Verdict.EXPLAINED, 0),
        (6, Verdict.EXPLAINED, 0),
        (5, Verdict.NOT_SHOWN_YET, 0),
        (4, Verdict.NOT_SHOWN_YET, 0),
        (3, Verdict.TOO_LOW, 1),
        (13, Verdict.OTHERS, 1),
    ):
        found = judge(own, Shown(total), is_listed=True, is_whole=True)
        assert (found.verdict, found.wrong) == (verdict, wrong), total
    assert judge(own, Shown(), is_listed=False, is_whole=True).verdict is Verdict.ABSENT
    assert judge(own, Shown(), is_listed=False, is_whole=False).verdict is Verdict.UNCHECKED
    assert found.reasons == ()


def test_a_ledger_with_fewer_calls_than_the_snapshot_cannot_be_checked() -> None:
    found = judge_since(
        OwnEvent("In", 3, 3), Shown(9), OwnEvent("In", 5, 5), Shown(9), is_listed=True, is_whole=True
    )
    assert found.verdict is Verdict.UNCHECKED
    assert "2 calls fewer" in found.why


def test_a_call_before_a_snapshot_that_is_shown_late_is_no_surplus() -> None:
    before = OwnEvent("In", 5, 5, recent=2)
    found = judge_since(OwnEvent("In", 6, 6), Shown(6), before, Shown(3), is_listed=True, is_whole=True)
    assert (found.verdict, found.reasons) == (Verdict.EXPLAINED, ((Reason.LATE, 2),))


# Days


def at(day: int, hour: int = 12) -> datetime:
    return datetime(2024, 1, day, hour, tzinfo=UTC)


EPOCH_DAY = (datetime(2024, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days - 1


@pytest.mark.parametrize(
    ("first", "last", "why"),
    [
        (1, 20, ""),
        (6, 20, ""),  # a product may have another time zone
        (7, 20, "calls were sent from 2024-01-05 on, and the first one shown is of 2024-01-07"),
        (5, 9, ""),
        (5, 8, "calls were sent up to 2024-01-10, and the last one shown is of 2024-01-08"),
    ],
)
def test_the_days_of_the_first_and_the_last_call_are_compared(first: int, last: int, why: str) -> None:
    own = OwnEvent("In", 4, 4, first_day=EPOCH_DAY + 5, last_day=EPOCH_DAY + 10)
    state = site(own, NameTotal("In", 9, at(first), at(last)))
    (event,) = compare_site(state, None, NO_PROPERTIES).events
    assert (event.judgement.verdict, event.judgement.why) == (Verdict.DATES if why else Verdict.OTHERS, why)


# Sites

PRODUCT = Product("7", "Acme")
NO_PROPERTIES = OwnProperties(frozenset(), frozenset())


def site(own: OwnEvent, *shown: NameTotal, properties: Iterable[str] = ()) -> SiteState:
    names = tuple(NameTotal(name, 1) for name in properties)
    return SiteState("main", PRODUCT, Listing(shown), Listing(names), (own,))


def test_spellings_that_kissmetrics_should_fold_are_one_event_and_are_named() -> None:
    state = site(
        OwnEvent("Signed Up", 5, 5),
        NameTotal("signed up", 3),
        NameTotal("Signed:Up", 2),
        NameTotal("Signed-Up", 9),
    )
    (event,) = (found := compare_site(state, None, NO_PROPERTIES)).events
    assert event.judgement.verdict is Verdict.HELD
    assert event.spellings == (("signed up", 3), ("Signed:Up", 2), ("Signed-Up", 9))
    assert found.others == (("Signed-Up", 9),)


def test_events_of_others_are_listed_with_their_gains() -> None:
    own = OwnEvent("In", 1, 1)
    before = site(OwnEvent("In", 0, 0), NameTotal("Seen", 5), NameTotal("Left", 2))
    now = site(own, NameTotal("In", 1), NameTotal("Seen", 8), NameTotal("Left", 2), NameTotal("New", 4))
    found = compare_site(now, before, NO_PROPERTIES)
    assert found.others == (("New", 4), ("Seen", 3))
    assert compare_site(now, None, NO_PROPERTIES).others == (("Seen", 8), ("New", 4), ("Left", 2))


def own_properties(*names: str, **more: object) -> OwnProperties:
    return OwnProperties(frozenset(map(digest_of_name, names)), frozenset({"plan", "seats"}))._replace(**more)


def test_absent_properties_are_named_if_a_column_has_their_name() -> None:
    state = site(OwnEvent("In", 0, 0), properties=["Colour"])
    own = own_properties("colour", "plan", "made up")
    found = compare_site(state, None, own).properties
    assert found == (Verdict.ABSENT, 3, ("plan",), 1, "")
    doubtful = compare_site(state, None, own._replace(doubt="pending")).properties
    assert (doubtful.verdict, doubtful.why) == (Verdict.EXPLAINED, "pending")
    recent = compare_site(state, None, own._replace(doubt="recent", is_recent=True)).properties
    assert recent.verdict is Verdict.NOT_SHOWN_YET


# Products

PRODUCTS = (Product("1", "Acme"), Product("2", "Beta"), Product("3", "acme"))


@pytest.mark.parametrize(
    ("sites", "given_", "expected"),
    [
        (["main"], {"main": "2"}, ["2"]),
        (["main"], {"main": "Beta"}, ["2"]),
        (["main"], {"main": "beta"}, ["2"]),
        (["main", "b"], {"main": "acme", "b": "Acme"}, ["3", "1"]),
        (["beta"], {}, ["2"]),
    ],
)
def test_a_site_is_the_product_that_is_named(
    sites: list[str], given_: dict[str, str], expected: list[str]
) -> None:
    found = products_of_sites(sites, given_, PRODUCTS)
    assert [found[site].id for site in sites] == expected
    assert products_of_sites(["main"], {}, PRODUCTS[1:2])["main"].id == "2"


@pytest.mark.parametrize(
    ("sites", "given_", "problem", "hint"),
    [
        (["main"], {}, "it is not clear which product the site 'main' is", "1 (Acme), 2 (Beta), 3 (acme)"),
        (["main"], {"main": "Bata"}, "there is no product 'Bata'", "did you mean 'Beta'?"),
        (["main"], {"main": "ACME"}, "2 products have the name 'ACME'", "1 (Acme), 3 (acme)"),
        (
            ["main", "b"],
            {"main": "2", "b": "2"},
            "the sites 'main' and 'b' have the same product",
            "--product b=",
        ),
    ],
)
def test_a_site_without_a_clear_product_is_an_error_with_the_products(
    sites: list[str], given_: dict[str, str], problem: str, hint: str
) -> None:
    with pytest.raises(UsageError) as error:
        products_of_sites(sites, given_, PRODUCTS)
    assert problem in str(error.value)
    assert hint in error.value.hint
