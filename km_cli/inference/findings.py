"""What was found in a log, as frozen values: each guess with its reason."""

from __future__ import annotations

from typing import NamedTuple


class Guess(NamedTuple):
    """The column that is taken for something ("": none), and why; `others` might be it as well.

    If it is not `sure`, a person has to say so: nothing sent can be taken back. Of a column with the day
    alone `clock` is that with the time of day.
    """

    column: str = ""
    why: str = ""
    others: tuple[str, ...] = ()
    sure: bool = True
    clock: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is nothing to ask."""
        return bool(self.column) and self.sure


class Clock(NamedTuple):
    """How the times are written. `forms` are those that fit all of unusual ones: several have to be asked.

    `seen` times were looked at, `local` of them do not say their offset, `strange` are in no form that is
    understood, `example` is the first of these. `units` are those of numbers: several can't be read.
    """

    said: str
    seen: int = 0
    forms: tuple[str, ...] = ()
    local: int = 0
    strange: int = 0
    example: str = ""
    units: tuple[str, ...] = ()


class EventFound(NamedTuple):
    """An event: of how many rows, by how many identities of a persona, and the most by one of them."""

    name: str
    rows: int
    identities: int
    most: int


class PersonaFound(NamedTuple):
    """A kind of identity. `events` are those of rows that name one, None if there are too many to list.

    `prefix` keeps its identities apart from others' (I2), for the reason `why`. `constant` are columns that
    have one value for each identity, `placeholders` are values that stand for nobody (I1), with their rows.
    """

    name: str
    guess: Guess
    identities: int = 0
    rows: int = 0
    events: tuple[EventFound, ...] | None = ()
    prefix: str = ""
    why: str = ""
    constant: tuple[str, ...] = ()
    placeholders: tuple[tuple[str, int], ...] = ()


class Scouted(NamedTuple):
    """All that was found in `rows` rows, which are all there are if it is `whole`.

    `personas` has the user first and the account second, found or not. `properties` are the columns that are
    left, `excluded` those that can't be properties with the reason, `mixed` those that Kissmetrics sets
    itself, `ids` those that look like a kind of identity and were left as they are. `flatten` is the reason
    why nested JSON must be sent as properties of their own, or "".
    """

    rows: int
    whole: bool
    event: Guess
    timestamp: Guess
    id: Guess
    clock: Clock
    personas: tuple[PersonaFound, ...]
    properties: tuple[str, ...]
    excluded: tuple[tuple[str, str], ...]
    mixed: tuple[str, ...]
    ids: tuple[str, ...]
    flatten: str = ""
