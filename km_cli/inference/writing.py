"""Findings → km.toml, with the reasons as comments. All text from the log is quoted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from km_cli.inference.findings import EventFound, Guess, Inferred, PersonaFound, TimesFound
from km_cli.kissmetrics import MOST_INSTANCES
from km_cli.toml_text import quoted

_MOST_NAMED = 12

_BACKFILL = (
    "# [[backfill]]  # the files that `km-cli backfill` reads every night",
    '# name = "logs"',
    '# files = ["logs/*{ending}"]  # files, folders, patterns, days as logs/%Y/%m/%d/*{ending}',
)
_ENDING = re.compile(r"\.[a-z]{2,7}(\.(gz|bz2|xz|zst))?$")
_ROTATED = re.compile(r"[.-]\d{1,8}(\.(gz|bz2|xz|zst))?$|\.old$")
_SEPARATE = '# overlap = "separate"  # {why}: a row never repeats a row of another file'
_EITHER = (
    "# overlap: if another file has a row's event at its moment with other values, the row is rejected.",
    "# One of these lines decides instead:",
    '# overlap = "repeats"  # new exports of the same data: it is the same event, with changed values',
    '# overlap = "separate"  # logs of several hosts, rotated logs: it is another event',
)


def listed(names: Iterable[str]) -> str:
    """Return names quoted, with commas; the first of them if there are many."""
    every = list(names)
    first = ", ".join(quoted(name) for name in every[:_MOST_NAMED])
    return f"{first}, … ({len(every):,})" if len(every) > _MOST_NAMED else first


def counted(number: int, noun: str) -> str:
    """Return `1 row`, `2 rows`, `2 identities`."""
    if number == 1:
        return f"{number:,} {noun}"
    if noun.endswith("y"):
        return f"{number:,} {noun[:-1]}ies"
    return f"{number:,} {noun}{'es' if noun.endswith('s') else 's'}"


def are(number: int) -> str:
    """Return `is` or `are`."""
    return "is" if number == 1 else "are"


def toml_text(found: Inferred, source: str, files: tuple[str, ...] = ()) -> str:
    """Return the text of km.toml for the findings about `source`.

    `files` are the files and patterns that were looked at, if they are to be a source of backfills.
    """
    looked = f"{'its' if found.is_all else 'its first'} {counted(found.rows, 'row')}"
    lines = [
        f"# Made by km-cli init for {quoted(source)}, from {looked}. Each guess has its reason beside it.",
        "# Correct wrong guesses, answer the questions, and check the result with km-cli dry-run.",
        "",
        "[columns]",
        *_columns(found),
        "",
        "# [sites.main]",
        '# key_env = "KM_API_KEY"  # the environment variable that holds the API key',
    ]
    if found.swapped:
        lines += ["", *_swapped(found.personas)]
    for place, persona in enumerate(found.personas):
        lines += ["", *_persona(persona, found, is_actor=place == 0)]
    return "\n".join(lines) + "\n" + backfill_text(source, files)


def backfill_text(source: str, files: tuple[str, ...]) -> str:
    """Return the part of km.toml about backfills: with these files, or as a comment if there are none."""
    found = _ENDING.search(source)
    example = (line.format(ending=found[0] if found else ".csv") for line in _BACKFILL)
    lines = ["", *(_backfill(files) if files else example), *_overlap((source, *files))]
    return "\n".join(lines) + "\n"


def _backfill(files: tuple[str, ...]) -> tuple[str, ...]:
    """Return the lines of a source of backfills that has these files."""
    return (
        "[[backfill]]  # the files that `km-cli backfill` reads every night",
        'name = "logs"',
        f"files = [{', '.join(map(quoted, files))}]",
    )


def _overlap(sources: Iterable[str]) -> tuple[str, ...]:
    """Return the lines that propose how the files of a source overlap, by the files' names."""
    if rotated := next(filter(_ROTATED.search, sources), ""):
        return (_SEPARATE.format(why=f"{quoted(rotated)} looks like part of a rotated log"),)
    return _EITHER


def _swapped(personas: tuple[PersonaFound, ...]) -> tuple[str, ...]:
    user, account = personas[:2]
    users, accounts = counted(user.identities, user.name), counted(account.identities, account.name)
    return (
        f"# There are {users} and {accounts}, and each {account.name} has one {user.name}.",
        "# Are the two swapped? Then exchange the two lines `column = …` below.",
    )


def _columns(found: Inferred) -> Iterator[str]:
    yield _column("event", found.event, found)
    if not found.event.is_known:
        yield '# event_name = "Billed"  # or this, if every row is the same event'
    yield _column("timestamp", found.timestamp, found, found.clock.form)
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
        yield "# flatten = true  # sends nested values as plan.name, plan.price, …: take them out of exclude"
    yield from _properties(found)
    for name in found.mixed:
        yield f"# Kissmetrics sets {quoted(name)} itself, and the values would mix: rename or exclude it"
    for name in found.ids:
        yield f"# {quoted(name)} looks like an identity: it is a property, and could be one of [[personas]]"


def _properties(found: Inferred) -> Iterator[str]:
    if found.expands:
        yield f"properties = [{quoted(f'{found.expands}.*')}]  # the members of this object, also later ones"
        if found.beside:
            beside = ", ".join(map(quoted, found.beside))
            yield f"# Add the columns beside it that are properties, too: {beside}"
    elif found.properties:
        every = ", ".join(map(quoted, found.properties))
        yield f"# properties = [{every}]  # default: every column not named elsewhere"


def _column(key: str, guess: Guess, found: Inferred, more: str = "") -> str:
    """Return the line for a role's column; as a comment if it is a question."""
    if not guess.column:
        return f'# {key} = "?"  # {missing(found)}'
    if guess.clock:
        # The line is not a comment: without it, the day would be imported without its time.
        day, clock = quoted(guess.column), quoted(guess.clock)
        return f'{key} = "?"  # {day} has only the day, {clock} the time of day: join them into one column'
    others = f"; or is it {listed(guess.others)}?" if guess.others else ""
    reasons = f"{guess.why}{f'; {more}' if more else ''}{others}"
    return f"{'' if guess.sure else '# '}{key} = {quoted(guess.column)}  # {reasons}"


def missing(found: Inferred) -> str:
    """Return the reason why no column was found for a role."""
    if not found.properties:
        return "no column is left"
    return f"none of these looks like it: {listed(found.properties)}"


def _clock(clock: TimesFound) -> Iterator[str]:
    """Yield the lines that the times need beside their column; as comments if they are questions."""
    if len(clock.forms) == 1:
        yield f"time_format = {quoted(clock.forms[0])}  # the only form that fits all of its times"
    for form in clock.forms if len(clock.forms) > 1 else ():
        yield f"# time_format = {quoted(form)}  # this form or the other? No date has a day over 12"
    if clock.seen and clock.strange == clock.seen:
        example = quoted(clock.example)
        yield f'# time_format = "%d %b %Y %H:%M"  # name the form: {example} is in no known form'
    elif clock.strange:
        times = f"{counted(clock.strange, 'time')} {are(clock.strange)}"
        yield f"# {times} not in that form, such as {quoted(clock.example)}: such rows are rejected"
    if len(clock.units) > 1:
        yield f"# its numbers are in {' and '.join(clock.units)}: bring the column to one unit"
    if clock.local:
        times = f"{counted(clock.local, 'time')} without an offset"
        yield f'# timezone = "Europe/Berlin"  # {times} from UTC: in which time zone was the log written?'
        yield '# ambiguous = "earlier"  # or "later": in the hour that occurs twice when clocks go back'


def _persona(persona: PersonaFound, found: Inferred, *, is_actor: bool) -> Iterator[str]:
    if not persona.guess.is_known and not is_actor:
        yield from (f"# {line}" for line in _absent(persona, found))
        return
    yield f"[[personas]]{'  # the first is the actor, to whom identity returns' if is_actor else ''}"
    yield f"name = {quoted(persona.name)}"
    if persona.guess.is_known:
        yield from _identity(persona)
    else:
        # The line is not a comment: without it, an import would send only the accounts.
        why = _perhaps(persona.guess, found)
        yield f'column = "?"  # {why}. Delete this persona if the rows name no {persona.name}'
    yield from _events(persona, found, is_actor=is_actor)
    if not is_actor:
        yield from _proposed(persona)


def _absent(persona: PersonaFound, found: Inferred) -> Iterator[str]:
    yield "[[personas]]"
    yield f"name = {quoted(persona.name)}"
    yield f"column = {quoted(persona.guess.column or '?')}  # {_perhaps(persona.guess, found)}"
    yield "or, if the log has no such column, and another file has the account of each user:"
    yield "[members]"
    yield 'file = "users.csv"'
    yield 'user = "email"'
    yield f'{persona.name} = "company"'


def _perhaps(guess: Guess, found: Inferred) -> str:
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
        yield f"# {counted(rows, 'row')} with {quoted(value)}, which is a placeholder (I1): rejected"
    if persona.prefix:
        yield f"prefix = {quoted(persona.prefix)}  # {persona.why}: one person for good without it (I2)"


def _events(persona: PersonaFound, found: Inferred, *, is_actor: bool) -> Iterator[str]:
    """Yield the lines for a persona's events: all of them but for those that it does not do.

    A list of the events that it does would leave out each event that only a later log has.
    """
    if not persona.events:
        why = "too many to list" if persona.events is None else "no event was found"
        yield f'events = "*"  # all; {why}'
        return
    seen = "" if found.is_all else f"; the first {counted(found.rows, 'row')} have these"
    yield f'events = "*"  # all, also those that only later logs have{seen}'
    yield "not_events = [  # but not these"
    for event in persona.left_out:
        rows = counted(event.rows, "row")
        yield f"  {quoted(event.name)},  # {rows}, none of which names the {persona.name}"
    if not is_actor:
        yield f"  # Remove the # before each event that is not the {persona.name}'s own."
    yield from (f"  # {_event(event, persona.name)}" for event in persona.events)
    yield "]"


def _event(event: EventFound, persona: str) -> str:
    seen = f"{counted(event.rows, 'row')}, {counted(event.identities, persona)}"
    if event.most > MOST_INSTANCES:
        seen += f"; {event.most:,} of one {persona}, of which the last {MOST_INSTANCES:,} are kept (D7)"
    return f"{quoted(event.name)},  # {seen}"


def _proposed(persona: PersonaFound) -> Iterator[str]:
    title = persona.name.capitalize()
    yield f'# rename = "{title} {{event}}"  # gives its events other names than those of other personas'
    if persona.constant:
        names = ", ".join(map(quoted, persona.constant))
        yield f"# properties = [{names}]  # send only these: each {persona.name} has one value of them"
        yield f"# set = [{names}]  # or: set for the {persona.name} when they change; no record carries them"
