"""The driver of the rules: asks them about each event, and remembers the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from km_cli.memory import Remembered
from km_cli.model import Event, Finding
from km_cli.rules import registry
from km_cli.rules.base import IdentityRule, Name, NameRule, Rule, ValueRule

_MOST_NAMES = 100_000
_MOST_IDENTITIES = 40_000
_MOST_VALUES = 10_000
_LONGEST_VALUE = 100
"""Characters; a longer value hardly comes again, and would fill the memory."""

_FIRST_NAMES = 2
"""How many names of a group are remembered. No rule needs more."""


class _Judgement(NamedTuple):
    """The message of one rule. `place` is that of the rule in the registry, `who` is the subject."""

    place: int
    message: str
    who: str


_Judgements = tuple[_Judgement, ...]

_in_order = attrgetter("place")


class _Groups:
    """The first names of each group of one rule.

    They are never forgotten, because unlike judgements they cannot be made again. If a log has too many
    groups, the names of later groups are judged without earlier names.
    """

    def __init__(self, group: Callable[[Name], str]) -> None:
        self._group = group
        self._names: dict[tuple[str, str], tuple[str, ...]] = {}

    def earlier(self, name: Name) -> tuple[str, ...]:
        """Return the names of the same group that came before this one, and add this one to them."""
        key = (name.kind, self._group(name))
        if not key[1]:
            return ()
        names = self._names.get(key, ())
        if name.text in names:
            return names[: names.index(name.text)]
        if len(names) < _FIRST_NAMES and (names or len(self._names) < _MOST_NAMES):
            self._names[key] = (*names, name.text)
        return names


class Rules:
    """All rules, for one run; those of the registry unless others are given.

    A name is reported once, as it is the same mistake in every row. A value or an identity is reported for
    each row that has it, since each of these rows is affected.
    """

    def __init__(self, rules: Sequence[Rule] | None = None) -> None:
        self._rules = registry.RULES if rules is None else tuple(rules)
        placed = list(enumerate(self._rules))
        self._name_rules = [(at, one, _Groups(one.group)) for at, one in placed if isinstance(one, NameRule)]
        self._value_rules = [(at, one) for at, one in placed if isinstance(one, ValueRule)]
        self._identity_rules = [(at, one) for at, one in placed if isinstance(one, IdentityRule)]
        self._events: Remembered[str, None] = Remembered(_MOST_NAMES)
        self._properties: Remembered[str, None] = Remembered(_MOST_NAMES)
        self._values: Remembered[tuple[str, str], _Judgements] = Remembered(_MOST_VALUES)
        self._harmless: set[tuple[str, str]] = set()
        """The pairs of name and value without judgements, as many at most."""
        self._identities: Remembered[str, _Judgements] = Remembered(_MOST_IDENTITIES)

    def look(self, event: Event) -> list[Finding]:
        """Return the findings in an event that will be sent, in the order of the registry."""
        found: list[_Judgement] = []
        if event.name not in self._events:
            self._events.remember(event.name, None)
            found += self._judge_name(Name("event", event.name))
        harmless = self._harmless
        if not harmless.issuperset(event.properties):  # They mostly are.
            for pair in [pair for pair in event.properties if pair not in harmless]:
                found += self._judge_pair(pair)
        known_identities = self._identities
        for part in event.parts:
            if part.identity and known_identities.get(part.identity) != ():
                found += self._judge_identity(part.identity)
        return [
            Finding(self._rules[place].about.code, message, event.row.source, event.row.line, who)
            for place, message, who in (sorted(found, key=_in_order) if found else ())  # it is mostly empty
        ]

    def look_at_name(self, name: Name) -> list[tuple[str, str]]:
        """Return code and message of each finding about a name that is new; names come in their order."""
        return [(self._rules[place].about.code, message) for place, message, _ in self._judge_name(name)]

    def _judge_pair(self, pair: tuple[str, str]) -> Iterator[_Judgement]:
        """Yield the judgements on a property: on its name if that is new, and on its value."""
        name, value = pair
        if name not in self._properties:
            self._properties.remember(name, None)
            yield from self._judge_name(Name("property", name))
        judged = self._values.get(pair)
        if judged is None:
            judged = tuple(
                _Judgement(place, message, f"property {name!r}")
                for place, rule in self._value_rules
                if (message := rule.judge(name, value))
            )
            if len(value) <= _LONGEST_VALUE:
                self._remember(pair, judged)
        yield from judged

    def _remember(self, pair: tuple[str, str], judged: _Judgements) -> None:
        if judged:
            self._values.remember(pair, judged)
            return
        if len(self._harmless) >= _MOST_VALUES:
            self._harmless.clear()
        self._harmless.add(pair)

    def _judge_identity(self, identity: str) -> _Judgements:
        judged = self._identities.get(identity)
        if judged is None:
            judged = ()
            for place, rule in self._identity_rules:
                if message := rule.judge(identity):
                    judged = (*judged, _Judgement(place, message, repr(identity)))
            self._identities.remember(identity, judged)
        return judged

    def _judge_name(self, name: Name) -> Iterator[_Judgement]:
        for place, rule, groups in self._name_rules:
            if message := rule.judge(name, groups.earlier(name)):
                yield _Judgement(place, message, name.text)
