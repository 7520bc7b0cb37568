"""Finds absent calls under other people: same second, same event, same properties, another identity.

Pure, for the calls and records of one second and event. A record stands for one call at most. Which of two
calls that are alike a record stands for cannot be known, and then the first one gets it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from km_cli.model import split_pairs
from km_cli.verify.export.comparing import names_in

_MOST_TRIED = 100
"""Records with the same names of properties that are tried for a call, if no record has its very values."""


class Wanted(NamedTuple):
    """An absent call: the person that it was sent for, and the digests of its properties."""

    person: bytes
    pairs: bytes


class Offered(NamedTuple):
    """A record that the ledger does not know. `loose` is as in a HeldRecord."""

    person: bytes
    pairs: bytes
    loose: bytes = b""


Aliases = Callable[[bytes], Collection[bytes]]
"""Returns the people whom aliases make one person with this one, without this one."""


class Pair(NamedTuple):
    """The places of a call and of its record. `by_alias` if an alias makes one person of the two."""

    call: int
    record: int
    by_alias: bool


_Candidates = Iterator[tuple[int, Iterable[int]]]
"""Places of calls, each with the places of the records that may stand for it, the best first."""


def pair(wanted: Sequence[Wanted], offered: Sequence[Offered], aliases: Aliases) -> list[Pair]:
    """Return which records stand for which calls: first those of aliases, then those alike in properties."""
    made: dict[int, Pair] = {}
    taken: set[int] = set()
    rounds = (
        (_by_alias(wanted, offered, aliases), True),
        (_by_values(wanted, offered), False),
        (_by_names(wanted, offered), False),
    )
    for candidates, by_alias in rounds:
        for call, records in candidates:
            record = None if call in made else next((one for one in records if one not in taken), None)
            if record is not None:
                taken.add(record)
                made[call] = Pair(call, record, by_alias)
    return [made[call] for call in sorted(made)]


def _by_alias(wanted: Sequence[Wanted], offered: Sequence[Offered], aliases: Aliases) -> _Candidates:
    """Yield the records of people who are one person with that of the call, alike ones first."""
    by_person = _grouped(record.person for record in offered)
    for at, call in enumerate(wanted):
        linked = [record for person in sorted(aliases(call.person)) for record in by_person.get(person, ())]
        yield at, sorted(linked, key=lambda record: not _is_compatible(call, offered[record]))


def _by_values(wanted: Sequence[Wanted], offered: Sequence[Offered]) -> _Candidates:
    """Yield the records of other people with the very properties of the call."""
    by_values = _grouped(_values(record.pairs) for record in offered)
    untaken = {values: iter(records) for values, records in by_values.items()}
    for at, call in enumerate(wanted):
        yield at, untaken.get(_values(call.pairs), ())


def _by_names(wanted: Sequence[Wanted], offered: Sequence[Offered]) -> _Candidates:
    """Yield the records of other people whose properties may be those of the call, written otherwise."""
    loose = [at for at, record in enumerate(offered) if record.loose]
    if not loose:
        return
    by_names = _grouped(_names(offered[at].pairs) for at in loose)
    for at, call in enumerate(wanted):
        near = islice(by_names.get(_names(call.pairs), ()), _MOST_TRIED)
        yield at, [loose[one] for one in near if _is_compatible(call, offered[loose[one]])]


def _grouped(keys: Iterable[Any]) -> dict[Any, list[int]]:
    """Return the places of each key."""
    found: defaultdict[Any, list[int]] = defaultdict(list)
    for at, key in enumerate(keys):
        found[key].append(at)
    return found


def _values(pairs: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(sorted(set(split_pairs(pairs))))


def _names(pairs: bytes) -> tuple[bytes, ...]:
    return tuple(sorted({name for name, _ in split_pairs(pairs)}))


def _is_compatible(call: Wanted, record: Offered) -> bool:
    """Tell whether a record may have the properties of a call, perhaps written in another form."""
    if _names(call.pairs) != _names(record.pairs):
        return False
    loose, held = set(names_in(record.loose)), set(split_pairs(record.pairs))
    return all(one in held or one[0] in loose for one in split_pairs(call.pairs))
