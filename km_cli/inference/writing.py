"""Findings → km.toml, with the reasons as comments. Whatever comes from the log stands quoted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from km_cli.inference.findings import Clock, EventFound, Guess, PersonaFound, Scouted

_MOST_NAMED = 12
MOST_KEPT = 1000
"""D7: instances of an event that Kissmetrics keeps of one person."""

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


_BACKFILL = (
    "# [[backfill]]  # what `km-cli backfill` is to read, every night",
    '# name = "logs"',
    '# files = ["logs/*.csv"]  # files, folders, patterns, days as logs/%Y/%m/%d/*.csv',
)
_ROTATED = re.compile(r"[.-]\d{1,8}(\.(gz|bz2|xz|zst))?$|\.old$")
_SEPARATE = '# overlap = "separate"  # {why}: a row is never another file\'s row with other values'
_EITHER = (
    "# overlap: a row whose moment another file has with other values is rejected, unless this is said:",
    '# overlap = "repeats"  # exports that are made anew: it is the same event, changed since',
    '# overlap = "separate"  # logs of several hosts, rotated logs: it is another event',
)


def quoted(text: str) -> str:
    """Return text as a TOML string, on one line, with nothing invisible in it."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.isprintable():
        return letter
    return f"\\u{ord(letter):04X}" if ord(letter) <= 0xFFFF else f"\\U{ord(letter):08X}"


def listed(names: Iterable[str]) -> str:
    """Return names quoted and in a row, the first of them if there are many."""
    every = list(names)
    said = ", ".join(quoted(name) for name in every[:_MOST_NAMED])
    return f"{said}, … ({len(every):,})" if len(every) > _MOST_NAMED else said


def counted(number: int, what: str) -> str:
    """Return `1 row`, `2 rows`, `2 identities`."""
    if number == 1:
        return f"{number:,} {what}"
    if what.endswith("y"):
        return f"{number:,} {what[:-1]}ies"
    return f"{number:,} {what}{'es' if what.endswith('s') else 's'}"


def are(number: int) -> str:
    """Return `is` or `are`."""
    return "is" if number == 1 else "are"


def written(found: Scouted, source: str) -> str:
    """Return the text of km.toml for what was found in `source`."""
    looked = f"{'its' if found.whole else 'its first'} {counted(found.rows, 'row')}"
    lines = [
        f"# Made by km-cli init for {quoted(source)}, from {looked}. The reasons stand beside the guesses:",
        "# correct what is wrong, answer what is asked, and look at what comes of it with km-cli dry-run.",
        "",
        "[columns]",
        *_columns(found),
        "",
        "# [sites.main]",
        '# key_env = "KM_API_KEY"  # the environment variable that holds the API key',
    ]
    for place, persona in enumerate(found.personas):
        lines += ["", *_persona(persona, found, is_actor=place == 0)]
    lines += ["", *_BACKFILL, *_overlap(source)]
    return "\n".join(lines) + "\n"


def _overlap(source: str) -> tuple[str, ...]:
    """Return the lines that propose how the files of a source overlap, by what the file is called."""
    if _ROTATED.search(source):
        return (_SEPARATE.format(why=f"{quoted(source)} looks like part of a rotated log"),)
    return _EITHER


def _columns(found: Scouted) -> Iterator[str]:
    yield _column("event", found.event, found)
    if not found.event.is_known:
        yield '# event_name = "Billed"  # or this, if every row is the same event'
    yield _column("timestamp", found.timestamp, found, found.clock.said)
    yield from _clock(found.clock)
    if found.id.column:
        yield _column("id", found.id, found)
    if found.excluded:
        yield "exclude = ["
        yield from (f"  {quoted(name)},  # {why}" for name, why in found.excluded)
        yield "]"
    if found.flatten:
        yield f"flatten = true  # {found.flatten}"
    elif any(why == "nested JSON" for _, why in found.excluded):
        yield "# flatten = true  # sends what is nested as plan.name, plan.price, …: take it out of exclude"
    if found.properties:
        every = ", ".join(map(quoted, found.properties))
        yield f"# properties = [{every}]  # default: every column not named elsewhere"
    for name in found.mixed:
        yield f"# {quoted(name)} is a property that Kissmetrics sets itself: values mix; rename or exclude it"
    for name in found.ids:
        yield f"# {quoted(name)} looks like an identity: here a property, with [[personas]] a persona"


def _column(key: str, guess: Guess, found: Scouted, more: str = "") -> str:
    """Return the line for a role's column, as a comment if a person has to answer it."""
    if not guess.column:
        return f'# {key} = "?"  # {missing(found)}'
    if guess.clock:
        # Not a comment: the day alone would be imported, unasked.
        day, clock = quoted(guess.column), quoted(guess.clock)
        return f'{key} = "?"  # {day} is the day alone, {clock} the time of day: join them into one column'
    others = f"; or is it {listed(guess.others)}?" if guess.others else ""
    reasons = f"{guess.why}{f'; {more}' if more else ''}{others}"
    return f"{'' if guess.sure else '# '}{key} = {quoted(guess.column)}  # {reasons}"


def missing(found: Scouted) -> str:
    """Say that nothing was found for a role."""
    return f"none of: {listed(found.properties)} looks like it" if found.properties else "no column is left"


def _clock(clock: Clock) -> Iterator[str]:
    """Yield what the times need beside their column, each asked for that is not known."""
    if len(clock.forms) == 1:
        yield f"time_format = {quoted(clock.forms[0])}  # the only form that its times are of"
    for form in clock.forms if len(clock.forms) > 1 else ():
        yield f"# time_format = {quoted(form)}  # this or the other? No value tells: none has a day over 12"
    if clock.seen and clock.strange == clock.seen:
        example = quoted(clock.example)
        yield f'# time_format = "%d %b %Y %H:%M"  # say the form: {example} is in none that is known'
    elif clock.strange:
        times = f"{counted(clock.strange, 'time')} {are(clock.strange)}"
        yield f"# {times} no such time, as {quoted(clock.example)}: rejected"
    if len(clock.units) > 1:
        yield f"# its numbers are in {' and '.join(clock.units)}: bring the column to one unit"
    if clock.local:
        times = f"{counted(clock.local, 'time')} without an offset"
        yield f'# timezone = "Europe/Berlin"  # {times} from UTC: in which zone was the log written?'
        yield '# ambiguous = "earlier"  # which one is meant in the hour that a clock change doubles'


def _persona(persona: PersonaFound, found: Scouted, *, is_actor: bool) -> Iterator[str]:
    if not persona.guess.is_known and not is_actor:
        yield from (f"# {line}" for line in _absent(persona, found))
        return
    yield f"[[personas]]{'  # the first is the actor, to whom identity returns' if is_actor else ''}"
    yield f"name = {quoted(persona.name)}"
    if persona.guess.is_known:
        yield from _identity(persona)
    else:
        # Not a comment: without a column of the actor an import would be of accounts alone, unasked.
        yield f'column = "?"  # {_perhaps(persona.guess, found)}. Delete this persona if rows name none'
    yield from _events(persona, found, is_actor=is_actor)
    if not is_actor:
        yield from _proposed(persona)


def _absent(persona: PersonaFound, found: Scouted) -> Iterator[str]:
    yield "[[personas]]"
    yield f"name = {quoted(persona.name)}"
    yield f"column = {quoted(persona.guess.column or '?')}  # {_perhaps(persona.guess, found)}"
    yield "or, if another file says who belongs to whom, without a column:"
    yield "[members]"
    yield 'file = "users.csv"'
    yield 'user = "email"'
    yield f'{persona.name} = "company"'


def _perhaps(guess: Guess, found: Scouted) -> str:
    if not guess.column:
        return missing(found)
    others = f"; or is it {listed(guess.others)}?" if guess.others else ""
    return f"perhaps {quoted(guess.column)}: {guess.why}{others}"


def _identity(persona: PersonaFound) -> Iterator[str]:
    guess = persona.guess
    others = f"; or is it {listed(guess.others)}?" if guess.others else ""
    seen = f"{counted(persona.identities, persona.name)} in {counted(persona.rows, 'row')}"
    yield f"column = {quoted(guess.column)}  # {guess.why}; {seen}{others}"
    for value, rows in persona.placeholders:
        yield f"# {counted(rows, 'row')} with {quoted(value)}, which stands for nobody (I1): rejected"
    if persona.prefix:
        yield f"prefix = {quoted(persona.prefix)}  # {persona.why}: one person for good without it (I2)"


def _events(persona: PersonaFound, found: Scouted, *, is_actor: bool) -> Iterator[str]:
    """Yield the events of a persona: all of them, and a list as a comment.

    A list is closed: the persona does no event that comes up later, in this file or in the next one. So a
    person has to choose it.
    """
    if not persona.events:
        why = "too many to list" if persona.events is None else "none was found"
        yield f'events = "*"  # all; {why}'
        return
    seen = "" if found.whole else f", of which the first {counted(found.rows, 'row')} have these"
    yield f'events = "*"  # all; or a list of those it may do{seen}:'
    if not is_actor:
        yield "# Delete the lines of events that are not its own. With a list, it does no event that is not"
        yield "# in it, also if one comes up later: km-cli dry-run names those (left-to-others)."
    lines = ["events = [", *(_event(event, persona.name) for event in persona.events), "]"]
    yield from (f"# {line}" for line in lines)


def _event(event: EventFound, persona: str) -> str:
    seen = f"{counted(event.rows, 'row')}, {counted(event.identities, persona)}"
    if event.most > MOST_KEPT:
        seen += f"; {event.most:,} of one {persona}, of which the last {MOST_KEPT:,} are kept (D7)"
    return f"  {quoted(event.name)},  # {seen}"


def _proposed(persona: PersonaFound) -> Iterator[str]:
    title = persona.name.capitalize()
    yield f'# rename = "{title} {{event}}"  # tells its events from those of others'
    if persona.constant:
        names = ", ".join(map(quoted, persona.constant))
        yield f"# properties = [{names}]  # carry these alone: each {persona.name} has one value of them"
        yield f"# set = [{names}]  # or: set once for each {persona.name}, and no record carries them"
