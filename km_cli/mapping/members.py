"""Memberships: the account of a user at a time, for logs without an account column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Membership(NamedTuple):
    """An actor's identities as other personas, from `since` on and before `until` (ns since 1970)."""

    identities: tuple[str, ...]
    since: int | None = None
    until: int | None = None

    def holds(self, moment: int) -> bool:
        """Tell whether the membership was in force at that moment."""
        return (self.since is None or self.since <= moment) and (self.until is None or moment < self.until)

    def overlaps(self, other: Membership) -> bool:
        """Tell whether both are in force at some moment."""
        return _before(self.since, other.until) and _before(other.since, self.until)


def _before(since: int | None, until: int | None) -> bool:
    return since is None or until is None or since < until


class Members:
    """All memberships. `personas` take their identities from here; `width` is the number of all personas.

    `digest` is that of all memberships. If it changes, the rows of a log may become other calls.
    """

    def __init__(self, personas: tuple[str, ...], width: int) -> None:
        self.personas = frozenset(personas)
        self.digest = ""
        self._none = ("",) * width
        self._known: dict[str, tuple[Membership, ...]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def add(self, actor: str, membership: Membership) -> Membership | None:
        """Add a membership. If an earlier one contradicts it, add nothing and return that one."""
        known = self._known.get(actor, ())
        for other in known:
            if other.identities != membership.identities and other.overlaps(membership):
                return other
        if membership not in known:
            self._known[actor] = (*known, membership)
        return None

    def identities_at(self, actor: str, moment: int) -> Iterable[str]:
        """Return an actor's identities at a moment, one for each persona; "" for none."""
        for membership in self._known.get(actor, ()):
            if membership.holds(moment):
                return membership.identities
        return self._none
