"""Sites: what Kissmetrics shows of each, against what the ledger expects. Pure."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from km_cli.kissmetrics import fold_name
from km_cli.verify.judging import Judgement, Shown, Verdict, judge, judge_since, shown_of
from km_cli.verify.own import OwnProperties, digest_of_name
from km_cli.verify.values import Listing, NameTotal, OwnEvent, Product, SiteState


class EventResult(NamedTuple):
    """One event of the ledger. `spellings` are names in Kissmetrics that differ from it only in spelling."""

    name: str
    judgement: Judgement
    shown: Shown
    spellings: tuple[tuple[str, int], ...] = ()


class PropertyResult(NamedTuple):
    """The properties of a site: how many the ledger has, and which of them Kissmetrics does not list.

    `unnamed` are absent ones of whose names the ledger has only digests. `why` is for UNCHECKED.
    """

    verdict: Verdict
    known: int
    absent: tuple[str, ...] = ()
    unnamed: int = 0
    why: str = ""


class SiteResult(NamedTuple):
    """One site. `others` are events that the ledger never sent there, with their totals (or gains)."""

    site: str
    product: Product
    events: tuple[EventResult, ...]
    properties: PropertyResult
    others: tuple[tuple[str, int], ...]
    pending: int

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts on all events, and that on the properties."""
        return (*(one.judgement.verdict for one in self.events), self.properties.verdict)


def compare_site(state: SiteState, before: SiteState | None, properties: OwnProperties) -> SiteResult:
    """Compare one site with what it should hold; with a state `before`, what it gained since then."""
    own = {fold_name(one.name): one for one in state.own}
    listed, listed_before = _by_name(state.events), _by_name(before.events) if before else {}
    own_before = {fold_name(one.name): one for one in before.own} if before else {}
    others = _others(listed, listed_before, own)
    alike = _alike(others)
    events = [
        EventResult(
            event.name,
            _judged(event, folded, state, before, own_before.get(folded), listed, listed_before),
            shown_of(listed.get(folded, ())),
            _spellings(event, listed.get(folded, ()), alike),
        )
        for folded, event in own.items()
    ]
    gained = ((name, total) for name, total in others if total)
    return SiteResult(
        state.site,
        state.product,
        tuple(events),
        _properties(state.properties, properties),
        tuple(sorted(gained, key=lambda one: (-one[1], one[0]))),
        state.pending,
    )


_Names = Mapping[str, tuple[NameTotal, ...]]


def _judged(
    event: OwnEvent,
    folded: str,
    state: SiteState,
    before: SiteState | None,
    own_before: OwnEvent | None,
    listed: _Names,
    listed_before: _Names,
) -> Judgement:
    shown, is_listed, is_whole = shown_of(listed.get(folded, ())), folded in listed, state.events.is_whole
    if before is None:
        return judge(event, shown, is_listed=is_listed, is_whole=is_whole)
    shown_before = shown_of(listed_before.get(folded, ()))
    return judge_since(event, shown, own_before, shown_before, is_listed=is_listed, is_whole=is_whole)


def _by_name(listing: Listing) -> dict[str, tuple[NameTotal, ...]]:
    """Return the names by the one that Kissmetrics should fold them to (D4): usually one each."""
    found: defaultdict[str, list[NameTotal]] = defaultdict(list)
    for one in listing.names:
        found[fold_name(one.name)].append(one)
    return {folded: tuple(names) for folded, names in found.items()}


def _others(listed: _Names, before: _Names, own: Mapping[str, OwnEvent]) -> list[tuple[str, int]]:
    """Return the events that the ledger never sent, with what they gained."""
    return [
        (names[0].name, shown_of(names).total - shown_of(before.get(folded, ())).total)
        for folded, names in listed.items()
        if folded not in own
    ]


def _alike(others: Iterable[tuple[str, int]]) -> dict[str, list[tuple[str, int]]]:
    found: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for name, total in others:
        found[_loose(name)].append((name, total))
    return found


def _loose(name: str) -> str:
    """Return a name without the differences of spelling that people overlook: case, form, punctuation."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in plain if letter.isalnum()) or plain


def _spellings(
    event: OwnEvent, names: tuple[NameTotal, ...], alike: Mapping[str, list[tuple[str, int]]]
) -> tuple[tuple[str, int], ...]:
    """Return all names of an event in Kissmetrics, if there are others than the one that was sent."""
    same = [(one.name, one.total) for one in names]
    near = alike.get(_loose(event.name), [])
    return tuple(same + near) if len(same) > 1 or near else ()


def _properties(listing: Listing, own: OwnProperties) -> PropertyResult:
    absent = own.digests - {digest_of_name(one.name) for one in listing.names}
    known = len(own.digests)
    if not absent:
        return PropertyResult(Verdict.HELD, known)
    if not listing.is_whole:
        why = "the list of properties could not be read as a whole"
        return PropertyResult(Verdict.UNCHECKED, known, why=why)
    by_digest = {digest_of_name(name): name for name in sorted(own.candidates)}
    names = tuple(sorted(by_digest[one] for one in absent if one in by_digest))
    verdict = Verdict.ABSENT
    if own.doubt:
        verdict = Verdict.NOT_SHOWN_YET if own.is_recent else Verdict.EXPLAINED
    return PropertyResult(verdict, known, names, len(absent) - len(names), own.doubt)
