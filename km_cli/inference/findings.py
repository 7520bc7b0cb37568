"""The findings about a log, as frozen values: each guess with its reason."""

from __future__ import annotations

from typing import NamedTuple


class Guess(NamedTuple):
    """The column for a role ("": none), and the reason. `others` are columns that may have the role as well.

    A guess that is not `sure` is a question to the user, since a call that was sent cannot be taken back.
    `clock` is the column with the time of day, if `column` has only the day.
    """

    column: str = ""
    why: str = ""
    others: tuple[str, ...] = ()
    sure: bool = True
    clock: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the column is known, so that there is no question."""
        return bool(self.column) and self.sure


class TimesFound(NamedTuple):
    """How the times are written: `form` in words. `forms` fit all times of an unusual form.

    If there are several `forms`, that is a question to the user. `seen` counts the times, `local` those
    without an offset, `strange` those in an unknown form, of which `example` is the first. `units` are the
    units of numbers: a column with several can't be read.
    """

    form: str
    seen: int = 0
    forms: tuple[str, ...] = ()
    local: int = 0
    strange: int = 0
    example: str = ""
    units: tuple[str, ...] = ()


class EventFound(NamedTuple):
    """An event: its rows, the number of identities that did it, and the most rows of one identity."""

    name: str
    rows: int
    identities: int
    most: int


class PersonaFound(NamedTuple):
    """A kind of identity. `events` are those of its rows, None if there are too many to list.

    `prefix` keeps its identities apart from those of other personas (I2), for the reason `why`. `constant`
    are columns that have one value for each identity. `placeholders` are values that are not identities (I1),
    with their rows. `left_out` are events of which no row names it, although the rows of its own events do.
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
    left_out: tuple[EventFound, ...] = ()


class Inferred(NamedTuple):
    """All findings about the first `rows` rows; `is_all` if the log has no more.

    `personas` has the user first and the account second, found or not. `properties` are the columns without a
    role, `excluded` those that can't be properties with the reason, `mixed` the properties that Kissmetrics
    sets itself, `ids` those that look like identities. `flatten` is the reason why the members of nested JSON
    must be sent as properties of their own, or "". `swapped` if the columns of user and account look swapped.
    `expands` is the object whose members are the properties, "" if the columns are; `beside` are the columns
    outside of it.
    """

    rows: int
    is_all: bool
    event: Guess
    timestamp: Guess
    id: Guess
    clock: TimesFound
    personas: tuple[PersonaFound, ...]
    properties: tuple[str, ...]
    excluded: tuple[tuple[str, str], ...]
    mixed: tuple[str, ...]
    ids: tuple[str, ...]
    flatten: str = ""
    swapped: bool = False
    expands: str = ""
    beside: tuple[str, ...] = ()
