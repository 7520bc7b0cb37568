"""A log → the km.toml that fits it: rows in, findings out, and the text of the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from km_cli.inference.columns import choose_roles
from km_cli.inference.findings import EventFound, Guess, Inferred, PersonaFound, TimesFound
from km_cli.inference.objects import object_of_properties
from km_cli.inference.profiles import INFERRED_ROWS, Profiles, profile
from km_cli.inference.questions import busiest, questions
from km_cli.inference.relations import Relations
from km_cli.inference.words import PROGRAMS, may_be_id, word_of
from km_cli.inference.writing import are, backfill_text, counted, listed, toml_text
from km_cli.kissmetrics import LONGEST_NAME, is_reserved, is_set_by_kissmetrics
from km_cli.model import Row
from km_cli.toml_text import quoted

__all__ = [
    "INFERRED_ROWS",
    "EventFound",
    "Guess",
    "Inferred",
    "PersonaFound",
    "TimesFound",
    "backfill_text",
    "busiest",
    "counted",
    "infer",
    "listed",
    "questions",
    "quoted",
    "toml_text",
]


_MANY = "most users have several, so it may name programs that they use"


def infer(
    rows: Callable[[], Iterable[Row]], found: tuple[str, ...], *, tabular: bool, now: float
) -> Inferred:
    """Read a log twice: first the values of its columns `found`, then how the columns depend on each other.

    `rows` yields all rows anew each time it is called. The first INFERRED_ROWS are looked at.
    """
    profiles = profile(rows(), found, tabular=tabular, keeps_all=may_be_id)
    roles = choose_roles(profiles, now)
    guesses = {"user": roles.user, "account": roles.account, **dict(roles.levels)}
    used = {guess.column for guess in (roles.event, roles.timestamp, roles.id, *guesses.values())}
    expands = object_of_properties(profiles.nested)
    excluded, flatten = _excluded_members(profiles, used, expands) if expands else _excluded(profiles, used)
    left_out = (*used, *(name for name, _ in excluded))
    others = tuple(name for name in found if name.strip() and not _is_in(name, left_out))
    properties = tuple(name for name in others if not expands or _is_in(name, (expands,)))
    columns = tuple(guess.column for guess in guesses.values())
    relations = Relations(
        roles.event.column, roles.timestamp.column, columns, properties, found, tabular=tabular, now=now
    )
    relations.look(rows())
    programs = _programs(relations, columns)
    if 1 in programs:
        guesses["account"] = guesses["account"]._replace(sure=False, why=_MANY)
    apart = _apart(relations, columns, programs)
    people = tuple(
        _persona(relations, place, name, guess) for place, name, guess in _numbered(guesses, apart)
    )
    properties += tuple(column for place, column in enumerate(columns) if place not in apart)
    return Inferred(
        profiles.rows,
        profiles.is_all,
        roles.event,
        roles.timestamp,
        roles.id,
        relations.clock(),
        people,
        tuple(name for name in found if name in properties),
        excluded,
        tuple(name for name in properties if is_set_by_kissmetrics(name[len(expands) + bool(expands) :])),
        tuple(name for name in roles.ids if name in properties),
        flatten,
        roles.user.sure and roles.account.sure and relations.are_swapped,
        expands,
        tuple(name for name in others if name not in properties and not _is_nested(name, profiles)),
    )


def _programs(relations: Relations, columns: Sequence[str]) -> set[int]:
    """Return the places of the columns, but for the actor's, that probably name programs."""
    return {place for place in range(1, len(columns)) if _are_programs(relations, place, columns[place])}


def _apart(relations: Relations, columns: Sequence[str], programs: set[int]) -> list[int]:
    """Return the places of the columns that name personas: user and account, and the levels found beside."""
    return [
        place
        for place in range(len(columns))
        if place < 2 or not (place in programs or relations.is_another_name(place))
    ]


def _numbered(guesses: Mapping[str, Guess], places: Sequence[int]) -> Iterator[tuple[int, str, Guess]]:
    """Yield the guesses at these places, each with its place and its persona."""
    listed_guesses = tuple(guesses.items())
    return ((place, *listed_guesses[place]) for place in places)


def _are_programs(relations: Relations, place: int, column: str) -> bool:
    """Tell whether a column probably names programs that people use, rather than clients of a firm."""
    return word_of(column)[0] in PROGRAMS and relations.has_many(place)


def _persona(relations: Relations, place: int, name: str, guess: Guess) -> PersonaFound:
    seen = relations.personas[place]
    shared, prefix, why = relations.shared_with(place), f"{name} ", ""
    if shared:
        why = f"{counted(shared, 'identity')} of it {are(shared)} used by another persona as well"
    elif relations.are_numbers(place):
        why = "its identities are numbers, like those of another persona, and two may be the same"
    return PersonaFound(
        name,
        guess,
        len(seen.identities),
        seen.rows,
        seen.events,
        prefix if why else "",
        why,
        seen.constant,
        tuple(seen.placeholders.most_common()),
        relations.left_out(place),
    )


def _excluded(profiles: Profiles, used: set[str]) -> tuple[tuple[tuple[str, str], ...], str]:
    """Return the columns that can't be properties, and the reason to flatten nested JSON, or ""."""
    reasons: dict[str, str] = {}
    flatten = ""
    for name, inside in profiles.nested.items():
        if not inside <= used:
            if any(_is_in(column, (name,)) for column in profiles.columns) and name:
                reasons[name] = "nested JSON"
            else:
                flatten = f"{quoted(name)} is nested and can't be left out by its name"
    for name in profiles.columns:
        if name in used or not name or _is_in(name, reasons):
            continue
        reasons.update(_unfit(name, name))
    return tuple(reasons.items()), flatten


def _excluded_members(
    profiles: Profiles, used: set[str], expands: str
) -> tuple[tuple[tuple[str, str], ...], str]:
    """Return the members of the object of properties that can't be properties, and ""."""
    members = [name for name in profiles.columns if _is_in(name, (expands,)) and name not in used]
    return tuple(pair for name in members for pair in _unfit(name, name[len(expands) + 1 :])), ""


def _is_nested(name: str, profiles: Profiles) -> bool:
    """Tell whether a column lies in an object or a list, or is one."""
    return any(_is_in(name, (top,)) for top in profiles.nested)


def _unfit(column: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield a column and the reason why it can't be a property of this name, if it can't."""
    if is_reserved(name):
        yield column, "reserved by Kissmetrics"
    elif len(name) > LONGEST_NAME:
        yield column, f"its name has {len(name)} characters, over {LONGEST_NAME} (D4)"
    elif not name.strip():
        yield column, "its name is blank"


def _is_in(name: str, others: Iterable[str]) -> bool:
    """Tell whether a column is one of these, or a member of one of them."""
    return any(name == other or (other and name.startswith(f"{other}.")) for other in others)
