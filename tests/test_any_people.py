"""Whatever the personas: what is sent depends on nothing but the log, and is each persona's own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from km_cli.config.people import People
from km_cli.config.sites import Site
from km_cli.model import Alias, Persona, Record, Set
from tests.support.running import SentCall, run

few = settings(max_examples=25, deadline=None)
SITES = (Site("main", "KM_API_KEY"), Site("other", "KM_OTHER_KEY"))
EVENTS = ("In", "Out", "Bought")
COLUMNS = ["p0", "p1", "p2", "was0", "was1", "was2", "event", "timestamp", "row", "plan"]


class Line(NamedTuple):
    """A row of a log: identities and other identities of three personas, what was done, and a value."""

    who: tuple[str, ...]
    was: tuple[str, ...]
    event: str
    plan: str


def _ids(place: int) -> st.SearchStrategy[str]:
    """Each persona has ids of its own."""
    return st.sampled_from(["", f"a{place}", f"b{place}", f"c{place}"])


def _logs(*places: int) -> st.SearchStrategy[list[Line]]:
    """Logs in which the personas have the ids of these places."""
    who = st.tuples(*map(_ids, places))
    lines = st.builds(Line, who, who, st.sampled_from(EVENTS), st.sampled_from(["", "free", "pro"]))
    return st.lists(lines, min_size=1, max_size=9)


logs = _logs(0, 1, 2)
muddled = _logs(0, 0, 0) | _logs(0, 0, 1)
"""One id may be anybody's."""


@st.composite
def personas(draw: st.DrawFn) -> tuple[Persona, ...]:
    """Three of them, in one site or two."""
    names = st.sampled_from(EVENTS)
    renamed = st.tuples(names, st.sampled_from(["", "Else"]))
    made = tuple(
        Persona(
            f"p{place}",
            draw(st.sampled_from(["main", "other"])),
            draw(st.none() | st.lists(renamed, unique_by=lambda pair: pair[0], max_size=3).map(tuple)),
            draw(st.sampled_from(["{event}", "Their {event}"])),
            (("Beside", f"p{(place + 1) % 3}"),) if draw(st.booleans()) else (),
            draw(st.sampled_from(["", f"{place} "])),
            f"p{place}",
            f"was{place}" if draw(st.booleans()) else "",
            draw(st.sampled_from([None, ("row",), ("row", "plan"), ("row", "was0"), ()])),
            ("plan",) if draw(st.booleans()) else (),
        )
        for place in range(3)
    )
    assume(any(level.is_recorded for level in made))
    return made


@contextmanager
def written(log: Iterable[Line], form: str = "csv", *, in_order: bool = False) -> Iterator[Path]:
    """The log in a folder of its own. Every row has a moment of its own, in one second or the next."""
    rows = [
        [
            *line.who,
            *line.was,
            line.event,
            f"170406720{0 if in_order else at % 2}.0{at:02}",
            str(at),
            line.plan,
        ]
        for at, line in enumerate(log)
    ]
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"log.{form}"
        if form == "csv":
            path.write_text("".join(",".join(row) + "\n" for row in [COLUMNS, *rows]))
        else:
            objects = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
            path.write_text("".join(json.dumps(one) + "\n" for one in objects))
        yield path


def send(path: Path, levels: tuple[Persona, ...], ledger: str = "ledger.db", **more: int) -> list[SentCall]:
    """Import the log into this ledger; return what was sent."""
    sent, _ = run([path], path.with_name(ledger), people=People(levels, SITES), **more)
    return sent


def on_the_wire(sent: Iterable[SentCall]) -> Counter[tuple[str, bytes]]:
    """The site and the bytes of every call."""
    return Counter((one.planned.site, one.planned.payload) for one in sent)


def done(sent: Iterable[SentCall]) -> Counter[tuple[str, ...]]:
    """Who did what in which row, whatever the second and the properties."""
    return Counter(
        (one.call.persona, one.call.identity, str(one.row.line), type(one.call).__name__, _what(one))
        for one in sent
    )


def _what(one: SentCall) -> str:
    call = one.call
    return call.other if isinstance(call, Alias) else call.event


@few
@given(logs | muddled, personas(), st.integers(1, 4), st.integers(0, 9))
def test_in_any_pieces_it_is_the_same(
    log: list[Line], levels: tuple[Persona, ...], size: int, stop: int
) -> None:
    """Interrupted anywhere and resumed, in batches of any size: the same bytes, whoever acts."""
    with written(log) as path:
        whole = send(path, levels)
        pieces = send(path, levels, "pieces.db", batch_size=size, batches=stop)
        pieces += send(path, levels, "pieces.db", batch_size=1)
        assert on_the_wire(pieces) == on_the_wire(whole)
        assert send(path, levels, "pieces.db") == []


def by_hand(
    log: list[Line], levels: tuple[Persona, ...]
) -> Counter[tuple[str, str, str, str, frozenset[tuple[str, str]]]]:
    """The records that such a log must become: persona, site, identity, event and properties."""
    # What is somebody's `set` or alias is no property, unless asked for by name.
    taken = {name for level in levels for name in (level.alias, *level.sets)}
    found: Counter[tuple[str, str, str, str, frozenset[tuple[str, str]]]] = Counter()
    for at, line in enumerate(log):
        values = {"row": str(at), "plan": line.plan} | {
            f"was{place}": one for place, one in enumerate(line.was)
        }
        named = {
            level.name: level.prefix + who if who else "" for level, who in zip(levels, line.who, strict=True)
        }
        for level in levels:
            event = line.event if level.events is None else dict(level.events).get(line.event)
            if event is None or not named[level.name]:
                continue
            renamed = level.events is not None and event
            event = event if renamed else level.rename.replace("{event}", line.event)
            asked = set(values) - taken if level.properties is None else set(level.properties)
            carried = {(name, values[name]) for name in asked}
            carried |= {(name, named[other]) for name, other in level.link}
            found[
                level.name,
                level.site,
                named[level.name],
                event,
                frozenset(pair for pair in carried if pair[1]),
            ] += 1
    return found


@few
@given(logs, personas(), st.sampled_from(["csv", "jsonl"]))
def test_each_persona_does_its_own(log: list[Line], levels: tuple[Persona, ...], form: str) -> None:
    with written(log, form) as path:
        sent = send(path, levels)
    assert by_hand(log, levels) == Counter(
        (call.persona, call.site, call.identity, call.event, frozenset(call.properties))
        for call in (one.call for one in records(sent))
    )
    for one in sent:
        place = int(one.call.persona[1])
        line = log[one.row.line - (2 if form == "csv" else 1)]
        assert one.call.site == levels[place].site
        assert one.call.identity == levels[place].prefix + line.who[place], "nobody acts as another"
        assert not isinstance(one.call, Set) or one.call.properties == (("plan", line.plan),)
        assert not isinstance(one.call, Alias) or one.call.other == line.was[place]


def names_nobody(line: Line, levels: tuple[Persona, ...]) -> bool:
    """Whether only those may do the event of this row whom it does not name: then it is rejected."""
    able = [who for level, who in zip(levels, line.who, strict=True) if _may(level, line.event)]
    return able != [] and not any(able)


def _may(level: Persona, event: str) -> bool:
    return level.events is None or event in dict(level.events)


@few
@given(logs, personas())
def test_what_is_set_follows_the_rows_in_order_of_time(log: list[Line], levels: tuple[Persona, ...]) -> None:
    """Each value that a row changes is sent, for each persona that has it set."""
    last: dict[tuple[str, str], str] = {}
    changes: list[tuple[str, str, str]] = []
    for line in log:
        if names_nobody(line, levels):
            continue
        for level, who in zip(levels, line.who, strict=True):
            key = (level.name, level.prefix + who)
            if level.sets and who and line.plan and last.get(key) != line.plan:
                last[key] = line.plan
                changes.append((*key, line.plan))
    with written(log, in_order=True) as path:
        sets = [one.call for one in send(path, levels, batch_size=2) if isinstance(one.call, Set)]
    assert Counter((call.persona, call.identity, call.properties[0][1]) for call in sets) == Counter(changes)


@settings(max_examples=100, deadline=None)
@given(logs | muddled, personas(), st.integers(1, 9))
def test_no_alias_makes_one_of_several(log: list[Line], levels: tuple[Persona, ...], size: int) -> None:
    """Each identity is an alias of one at most, and then has none itself; none is of two personas (I2)."""
    with written(log) as path:
        calls = [one.call for one in send(path, levels, batch_size=size)]
    aliases = [call for call in calls if isinstance(call, Alias)]
    others = [(call.site, call.other) for call in aliases]
    assert len(set(others)) == len(others)
    assert not set(others) & {(call.site, call.identity) for call in aliases}
    whose = {(call.site, call.identity, call.persona) for call in calls}
    whose |= {(call.site, call.other, call.persona) for call in aliases}
    assert len({(site, identity) for site, identity, _ in whose}) == len(whose), "one person of two personas"


@few
@given(logs, personas(), st.sampled_from(["persona", "set", "alias"]))
def test_what_is_added_later_is_all_that_is_sent(
    log: list[Line], levels: tuple[Persona, ...], what: str
) -> None:
    """First without, then with it: together the same as if it had been there from the start."""
    *others, last = levels
    first = {
        "persona": tuple(level._replace(link=()) for level in others),
        "set": (*others, last._replace(sets=())),
        "alias": (*others, last._replace(alias="")),
    }[what]
    assume(any(level.is_recorded for level in first))
    with written(log) as path:
        whole = send(path, levels)
        before = send(path, first, "later.db")
        added = send(path, levels, "later.db")
    if what == "persona":  # A row that names nobody who may do its event is rejected; who may do it changed.
        whole, before, added = map(records, (whole, before, added))
    assert {one.call.persona for one in added} <= {last.name}
    assert what == "persona" or {type(one.call).__name__ for one in added} <= {what.title()}
    assert done(before) + done(added) == done(whole)


def records(sent: list[SentCall]) -> list[SentCall]:
    return [one for one in sent if isinstance(one.call, Record)]


# One id in two personas


def numbered(numbers: list[tuple[int, int]], *levels: Persona) -> tuple[list[tuple[str, str]], set[int]]:
    """Import a log of these users and accounts; return who did something, and the rows rejected."""
    log = [Line((str(user), str(account), ""), ("", "", ""), "In", "") for user, account in numbers]
    with written(log) as path:
        sent = send(path, levels)
    did = [(one.call.persona, one.call.identity) for one in sent]
    return sorted(did), set(range(len(log))) - {one.row.line - 2 for one in sent}


@few
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=8))
def test_integers_for_both(numbers: list[tuple[int, int]]) -> None:
    """In two sites, or with a prefix, they are apart; in one site the first to come has the id."""
    user = Persona("user", "main", column="p0")
    elsewhere, prefixed, beside = (
        Persona("account", "other", column="p1"),
        Persona("account", "main", column="p1", prefix="acct "),
        Persona("account", "main", column="p1"),
    )
    users = [("user", str(one)) for one, _ in numbers]
    assert numbered(numbers, user, elsewhere) == (
        sorted(users + [("account", str(one)) for _, one in numbers]),
        set(),
    )
    assert numbered(numbers, user, prefixed) == (
        sorted(users + [("account", f"acct {one}") for _, one in numbers]),
        set(),
    )
    owners: dict[int, str] = {}
    refused = set()
    for at, (one, other) in enumerate(numbers):
        if one == other or owners.get(one, "user") != "user" or owners.get(other, "account") != "account":
            refused.add(at)
        else:
            owners |= {one: "user", other: "account"}
    assert numbered(numbers, user, beside)[1] == refused
