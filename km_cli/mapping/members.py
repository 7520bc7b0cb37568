"""Who belongs to which account, and when, for logs that do not say it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Membership(NamedTuple):
    """An actor's identities as other personas, from `since` on, before `until` (nanoseconds since 1970)."""

    identities: tuple[str, ...]
    since: int | None = None
    until: int | None = None

    def holds(self, moment: int) -> bool:
        """Tell whether it was so at that moment."""
        return (self.since is None or self.since <= moment) and (self.until is None or moment < self.until)

    def overlaps(self, other: Membership) -> bool:
        """Tell whether there is a moment at which both hold."""
        return _before(self.since, other.until) and _before(other.since, self.until)


def _before(since: int | None, until: int | None) -> bool:
    return since is None or until is None or since < until


class Members:
    """All memberships. `personas` have their identities from it, one of `width`; `digest` is of them all."""

    def __init__(self, personas: tuple[str, ...], width: int) -> None:
        self.personas = frozenset(personas)
        self.digest = ""
        self._nobody = ("",) * width
        self._known: dict[str, tuple[Membership, ...]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def add(self, actor: str, membership: Membership) -> Membership | None:
        """Add what is known of an actor; return another that contradicts it, and then don't."""
        known = self._known.get(actor, ())
        for other in known:
            if other.identities != membership.identities and other.overlaps(membership):
                return other
        if membership not in known:
            self._known[actor] = (*known, membership)
        return None

    def identities_at(self, actor: str, moment: int) -> Iterable[str]:
        """Return the identities that an actor had at a moment, one a persona; "" for none."""
        for membership in self._known.get(actor, ()):
            if membership.holds(moment):
                return membership.identities
        return self._nobody
