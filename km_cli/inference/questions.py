"""The questions that a user has to answer before a log can be imported."""

from __future__ import annotations

from collections.abc import Iterator

from km_cli.inference.findings import EventFound, Guess, Inferred, PersonaFound, TimesFound
from km_cli.inference.writing import counted
from km_cli.kissmetrics import MOST_INSTANCES
from km_cli.toml_text import quoted


def questions(found: Inferred) -> tuple[str, ...]:
    """Return the questions. As long as one has no answer, an import is refused and sends nothing."""
    roles = (("event", found.event), ("time", found.timestamp), ("user", found.personas[0].guess))
    return (*(_which(role, guess) for role, guess in roles if not guess.is_known), *_of_clock(found.clock))


def busiest(persona: PersonaFound) -> tuple[EventFound, ...]:
    """Return the events of which one identity has more than Kissmetrics keeps (D7)."""
    return tuple(event for event in persona.events or () if event.most > MOST_INSTANCES)


def _which(role: str, guess: Guess) -> str:
    if guess.clock:
        return (
            f"the day is in {quoted(guess.column)}, and the time of day is in {quoted(guess.clock)}; "
            'join them into one column, "timestamp", such as 2024-01-31 10:20'
        )
    perhaps = f" Perhaps {quoted(guess.column)}" if guess.column else ""
    return f"which column is the {role}?{perhaps}"


def _of_clock(clock: TimesFound) -> Iterator[str]:
    if len(clock.forms) > 1:
        yield f"in which form are the times: {' or '.join(clock.forms)}?"
    if clock.seen and clock.strange == clock.seen:
        yield f"in which form are the times? {quoted(clock.example)} is in no known form"
    if len(clock.units) > 1:
        yield f"in which unit are the times? There are {' and '.join(clock.units)}"
    if clock.local:
        times = f"{counted(clock.local, 'time')} without an offset from UTC"
        yield f"in which time zone was the log written? {times}"
