"""What a person has to answer before a log can be imported, and what is worth knowing before it is."""

from __future__ import annotations

from collections.abc import Iterator

from km_cli.inference.findings import Clock, EventFound, Guess, PersonaFound, Scouted
from km_cli.inference.writing import MOST_KEPT, counted, quoted


def questions(found: Scouted) -> tuple[str, ...]:
    """Return what has to be answered. Without an answer an import says so and sends nothing."""
    roles = (("event", found.event), ("time", found.timestamp), ("user", found.personas[0].guess))
    return (*(_which(role, guess) for role, guess in roles if not guess.is_known), *_of_clock(found.clock))


def busiest(persona: PersonaFound) -> tuple[EventFound, ...]:
    """Return the events of which somebody has more than Kissmetrics keeps (D7)."""
    return tuple(event for event in persona.events or () if event.most > MOST_KEPT)


def _which(role: str, guess: Guess) -> str:
    if guess.clock:
        return (
            f"how are day and time of day to be joined? {quoted(guess.column)} has the one and "
            f'{quoted(guess.clock)} the other; bring both into one column, "timestamp", as 2024-01-31 10:20'
        )
    perhaps = f" Perhaps {quoted(guess.column)}" if guess.column else ""
    return f"which column is the {role}?{perhaps}"


def _of_clock(clock: Clock) -> Iterator[str]:
    if len(clock.forms) > 1:
        yield f"how are the times to be read, as {' or '.join(clock.forms)}?"
    if clock.seen and clock.strange == clock.seen:
        yield f"of which form are the times? {quoted(clock.example)} is in none that is known"
    if len(clock.units) > 1:
        yield f"which unit are the times in? There are {' and '.join(clock.units)}"
    if clock.local:
        yield f"in which zone was the log written? {counted(clock.local, 'time')} without an offset from UTC"
