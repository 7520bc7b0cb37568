"""Choosing a column for each role: by its name, else by its values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from km_cli.inference.findings import Guess
from km_cli.inference.profiles import Profile, Profiles
from km_cli.inference.shapes import DAY, EMAIL, LIKE_EVENT, LIKE_TEXT, NUMBER, TIME_OF_DAY, UUID
from km_cli.inference.times import TimeForms
from km_cli.inference.words import (
    INNER,
    LEVELS,
    OWN_IDS,
    TOP_KINDS,
    WEAK,
    WORDS,
    depth,
    folder,
    is_id,
    may_be_id,
    own_id_of,
    plain,
    rank_of_event,
    rank_of_time,
    unlike_event,
    with_first,
    word_of,
)
from km_cli.mapping import USUAL

_MOST_EVENTS = 200
_LONGEST_EVENT = 80
_MOSTLY = 0.9
_FEWEST_ROWS = 3


class Roles(NamedTuple):
    """The column of each role. `levels` are further kinds of identity, by their words.

    `ids` are columns that look like identities of a kind without a usual word.
    """

    event: Guess
    timestamp: Guess
    id: Guess
    user: Guess
    account: Guess
    levels: tuple[tuple[str, Guess], ...]
    ids: tuple[str, ...]


def choose_roles(profiles: Profiles, now: float) -> Roles:
    """Return the column of each role."""
    return _RoleChoice(profiles, now).roles()


class _RoleChoice:
    """Chooses the columns of the roles one after the other, so that no column has two roles."""

    def __init__(self, profiles: Profiles, now: float) -> None:
        self._profiles = profiles
        self._columns = {
            name: column for name, column in profiles.columns.items() if name.strip() and column.given
        }
        self._place = {name: at for at, name in enumerate(self._columns)}
        self._taken: dict[str, None] = {}
        self._times = {name: self._fraction_of_times(column, now) for name, column in self._columns.items()}

    def roles(self) -> Roles:
        """Return the column of each role: by names first, then by values, the clearest roles first."""
        named = {
            "timestamp": self._by_name("timestamp"),
            "event": self._take(
                self._by_kind(whole=True) or self._by_top_words() or self._by_kind(whole=False)
            ),
            "user": self._by_name("user"),
            "account": self._by_name("account"),
        }
        timestamp = named["timestamp"] or self._take(self._by_times()) or self._take(self._by_name_alone())
        timestamp = timestamp and self._by_day(timestamp)
        user = named["user"] or self._take(self._by_emails())
        event = named["event"] or self._take(self._by_words())
        event_id = self._take(self._unique_id())
        levels = tuple(self._levels(named["account"]))
        account = named["account"]
        user = user or self._take(self._recurring("user", ""))
        account = account or self._take(self._recurring("account", user.column if user else ""))
        return Roles(
            event or Guess(),
            timestamp or Guess(),
            event_id or Guess(),
            user or Guess(),
            account or Guess(),
            levels,
            tuple(self._other_ids()),
        )

    def _take(self, guess: Guess | None) -> Guess | None:
        if guess is not None:
            self._taken[guess.column] = None
        return guess

    def _free(self) -> Iterator[tuple[str, Profile]]:
        return ((name, column) for name, column in self._columns.items() if name not in self._taken)

    def _fraction_of_times(self, column: Profile, now: float) -> float:
        return column.fraction(TimeForms(now).see)

    # By name

    def _by_name(self, role: str) -> Guess | None:
        """Return the column with the first usual name, else one with a word for the role in its name."""
        fits = self._holds_times if role == "timestamp" else self._holds_names
        ranked = sorted(
            (self._rank(role, name), name)
            for name, _ in self._free()
            if fits(name) and self._speaks(role, name)
        )
        # A constant with a weak name, such as the application in `client_id`, tells nothing apart.
        ranked = [(rank, name) for rank, name in ranked if not (rank[0] and rank[1])]
        if not ranked:
            return None
        chosen = ranked[0][1]
        if plain(chosen) in USUAL[role]:
            return self._take(Guess(chosen, "a usual name"))
        word = word_of(chosen)[0]
        others = tuple(
            name for _, name in ranked[1:] if word_of(name)[0] == word and self._is_as_good(name, chosen)
        )
        return self._take(Guess(chosen, "its name" if role == "timestamp" else f"its name: {word}", others))

    def _speaks(self, role: str, name: str) -> bool:
        """Tell whether a column's name speaks for a role."""
        return plain(name) in USUAL[role] or word_of(name)[0] in WORDS[role]

    def _rank(self, role: str, name: str) -> tuple[int, ...]:
        """Return how well a column fits a role by name, coverage, values and depth: the smaller, the better.

        A constant says nothing about a row, and most rows would lack a column that most rows do not have. So
        even a usual name comes after another one that has neither fault.
        """
        usual, (word, suffix) = plain(name), word_of(name)
        is_usual = usual in USUAL[role]
        return (
            self._is_constant(name),
            not is_usual and word in WEAK,
            self._is_sparse(name),
            USUAL[role].index(usual) if is_usual else len(USUAL[role]),
            self._is_apart(name),
            max(0, depth(name) - 2),
            WORDS[role].index(word) if word in WORDS[role] else 0,
            depth(name),
            suffix,
            self._place[name],
        )

    def _is_constant(self, name: str) -> bool:
        """Tell whether a column has one value only. In a few rows that says nothing."""
        return self._columns[name].distinct == 1 and self._profiles.rows >= _FEWEST_ROWS

    def _is_sparse(self, name: str) -> bool:
        """Tell whether most rows lack a column."""
        return self._columns[name].given * 2 < self._profiles.rows

    def _is_as_good(self, name: str, chosen: str) -> bool:
        return (self._is_constant(name), self._is_sparse(name)) <= (
            self._is_constant(chosen),
            self._is_sparse(chosen),
        )

    def _by_kind(self, *, whole: bool) -> Guess | None:
        """Return the column whose name says that it names the event.

        If `whole`, that is a column of the row itself, or one that is called an event in an inner object.
        """
        ranked = []
        for name, column in self._free():
            rank = rank_of_event(name)
            if rank is None or whole != (rank < INNER) or not self._holds_names(name):
                continue
            if plain(name) in USUAL["event"] or column.distinct <= _MOST_EVENTS:
                place = self._place[name]
                faults = self._is_constant(name), self._is_sparse(name)
                ranked.append((*faults, rank, depth(name), place, name))
        if not ranked:
            return None
        chosen = min(ranked)[-1]
        return Guess(chosen, "a usual name" if plain(chosen) in USUAL["event"] else "its name")

    def _holds_times(self, name: str) -> bool:
        return self._times[name] > 0.5

    def _holds_names(self, name: str) -> bool:
        """Tell whether a column does not hold times or yes and no: `event_date` is not an event."""
        if len(self._columns[name].counts) == 2 and {"true", "false"}.issuperset(self._columns[name].counts):
            return False
        return self._times[name] < _MOSTLY or bool(NUMBER.fullmatch(next(self._columns[name].sample)))

    def _is_apart(self, name: str) -> bool:
        """Tell whether no taken column has the same prefix, as `org:group` and `org:resource` have."""
        return not any(folder(name) == folder(taken) for taken in self._taken)

    def _levels(self, account: Guess | None) -> Iterator[tuple[str, Guess]]:
        """Yield further kinds of identity: columns with a word for one whose values recur."""
        known = {word_of(account.column)[0] if account else "", "account"}
        by_word = sorted(self._free(), key=lambda pair: word_of(pair[0])[1])
        found = {}
        for name, column in by_word:
            word = word_of(name)[0]
            if word not in LEVELS or word in known or self._is_constant(name):
                continue
            if column.distinct < column.given:
                known.add(word)
                found[name] = Guess(name, "its name, and its values recur")
                self._take(found[name])
        yield from ((word_of(name)[0], found[name]) for name in self._columns if name in found)

    def _other_ids(self) -> list[str]:
        return [name for name, column in self._free() if is_id(name) and column.recurs]

    def _unique_id(self) -> Guess | None:
        unique = [
            name
            for name, column in self._free()
            if may_be_id(name) and column.is_unique and column.given == self._profiles.rows
        ]
        found = with_first(OWN_IDS, [name for name in unique if not self._is_counter(name)], own_id_of)
        if not found:
            uuids = [
                name
                for name, column in self._free()
                if column.is_unique
                and column.given == self._profiles.rows
                and column.fraction(UUID.fullmatch) == 1
            ]
            uuids.sort(key=depth)
            return Guess(uuids[0], "UUIDs, and no value stands in two rows") if uuids else None
        why = "a usual name, and no value stands in two rows"
        if self._columns[found[0]].fraction(UUID.fullmatch) >= _MOSTLY:
            return Guess(found[0], f"{why}: UUIDs")
        return Guess(found[0], f"{why}: the event's id, if every export has the same ones", sure=False)

    def _is_counter(self, name: str) -> bool:
        """Tell whether a column counts from 0 or 1. Such a counter begins again in the next export."""
        sample = list(self._columns[name].sample)
        return all(text.isdecimal() for text in sample) and min(map(int, sample)) <= 1

    # By content

    def _by_times(self) -> Guess | None:
        found = [name for name, _ in self._free() if self._times[name] >= _MOSTLY]
        found.sort(
            key=lambda name: (
                self._is_constant(name),
                self._is_sparse(name),
                rank_of_time(name),
                depth(name),
            )
        )
        if not found:
            return None
        others = tuple(name for name in found[1:] if self._is_as_good(name, found[0]))
        return Guess(found[0], "a guess: its values are times", others)

    def _by_name_alone(self) -> Guess | None:
        """Return the column with a usual name for times, whatever its values are."""
        found = with_first(USUAL["timestamp"], [name for name, _ in self._free()], plain)
        return Guess(found[0], "a usual name") if found else None

    def _by_day(self, guess: Guess) -> Guess:
        """Return the guess; as a question if the column has only the day, and another has the time of day."""
        if self._columns[guess.column].fraction(DAY.fullmatch) < _MOSTLY:
            return guess
        clocks = [name for name, column in self._free() if column.fraction(TIME_OF_DAY.fullmatch) >= _MOSTLY]
        if not clocks:
            return guess
        clocks.sort(key=rank_of_time)
        return Guess(guess.column, "it has only the day", sure=False, clock=clocks[0])

    def _by_emails(self) -> Guess | None:
        found = [name for name, column in self._free() if column.fraction(EMAIL.fullmatch) >= _MOSTLY]
        found.sort(key=lambda name: (self._is_constant(name), self._is_sparse(name), depth(name)))
        if not found:
            return None
        return Guess(found[0], "a guess: its values are email addresses", tuple(found[1:]))

    def _by_top_words(self) -> Guess | None:
        """Return a column of the row itself with few distinct words and a name like an event's."""
        found = [
            name
            for name, column in self._free()
            if depth(name) == 1 and LIKE_EVENT.search(plain(name)) and self._are_words(name, column)
        ]
        if not found:
            return None
        found.sort(
            key=lambda name: (
                self._is_sparse(name),
                plain(name) not in TOP_KINDS,
                bool(LIKE_TEXT.search(plain(name))),
                -self._columns[name].distinct,
            )
        )
        chosen, *others = found
        why = f"a guess: it has {self._columns[chosen].distinct:,} distinct values, which recur"
        return Guess(chosen, why, tuple(others))

    def _by_words(self) -> Guess | None:
        """Return a column with few distinct words; as a question, unless its name is like an event's."""
        found = [name for name, column in self._free() if self._are_words(name, column)]
        found.sort(key=lambda name: (unlike_event(name), -self._columns[name].distinct))
        if not found:
            return None
        chosen, *others = found
        why = f"a guess: it has {self._columns[chosen].distinct:,} distinct values, which recur"
        # In a log that numbers its events (`action_flag`), the words belong to something else.
        is_coded = any(LIKE_EVENT.search(plain(name)) for name, _ in self._free() if name not in found)
        is_open = is_coded or (others and (unlike_event(chosen) > 1 or self._is_sparse(chosen)))
        return Guess(chosen, why, tuple(others), not (unlike_event(chosen) and is_open))

    def _are_words(self, name: str, column: Profile) -> bool:
        return (
            column.recurs
            and 2 <= column.distinct <= _MOST_EVENTS
            and self._is_text(name, column)
            and column.fraction(lambda text: len(text) <= _LONGEST_EVENT) == 1
            and not is_id(name)
        )

    def _is_text(self, name: str, column: Profile) -> bool:
        is_number = column.fraction(NUMBER.fullmatch) > 0.5
        return self._times[name] < 0.5 and not is_number and not {"true", "false"}.issuperset(column.counts)

    def _recurring(self, role: str, user: str) -> Guess | None:
        """Return a column that may hold identities, since its texts recur. It is always a question."""
        below = self._columns[user].distinct if user else self._profiles.rows
        found = [
            name
            for name, column in self._free()
            if column.recurs and 2 <= column.distinct < below and self._is_text(name, column)
        ]
        found.sort(key=lambda name: -self._columns[name].distinct)
        if not found:
            return None
        chosen, *others = found
        fewer = ", fewer than there are users" if role == "account" and user else ""
        why = f"it has {self._columns[chosen].distinct:,} distinct values, which recur{fewer}"
        return Guess(chosen, why, tuple(others), sure=False)
