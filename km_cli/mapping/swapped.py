"""Tells whether the columns of user and account look swapped, by the pairs that rows have of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable

_FEWEST_ACCOUNTS = 5
_MOSTLY = 0.9


def are_swapped(pairs: Iterable[tuple[Hashable, Hashable]]) -> bool:
    """Tell whether users and accounts look swapped in pairs of a user and an account; pairs may recur.

    In nearly every log an account has several users and a user has one account. Swapped, there are fewer
    users than accounts, most users have several, and nearly every account belongs to one user.
    """
    accounts_of: defaultdict[Hashable, set[Hashable]] = defaultdict(set)
    users_of: defaultdict[Hashable, set[Hashable]] = defaultdict(set)
    for user, account in pairs:
        accounts_of[user].add(account)
        users_of[account].add(user)
    if len(users_of) < _FEWEST_ACCOUNTS or not 1 < len(accounts_of) < len(users_of):
        return False
    have_several = sum(len(accounts) > 1 for accounts in accounts_of.values())
    have_one = sum(len(users) == 1 for users in users_of.values())
    return have_several * 2 > len(accounts_of) and have_one >= _MOSTLY * len(users_of)
