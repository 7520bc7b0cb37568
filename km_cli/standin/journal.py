"""Reading the journal of a store: each call as it arrived, and each merge, change and drop as a fact."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from km_cli.standin.views import EventView, Fact, KeptCall, PersonRow, PersonView, Summary


class Journal:
    """Reads a store that may be in use. It never writes to the file, and several threads may share it.

    Each method sees one state of the file, the newest. A file of an earlier version has no journal: then
    there are no calls and no facts, and `missing()` tells how many calls the file received before.
    """

    def __init__(self, path: Path) -> None:
        """Open the file. Raises sqlite3.Error if there is no store in it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        raise NotImplementedError

    def last_id(self) -> int:
        """Return the id of the newest call; 0 if nothing ever arrived."""
        raise NotImplementedError

    def missing(self) -> int:
        """Return how many calls arrived before the file had a journal."""
        raise NotImplementedError

    def sites(self) -> list[str]:
        """Return the names of all sites, in the order in which they were first named."""
        raise NotImplementedError

    def calls(
        self,
        since: int = 0,
        limit: int = 100,
        *,
        person: str | None = None,
        event: str | None = None,
        site: str | None = None,
        text: str | None = None,
        before: int | None = None,
        newest: bool = False,
    ) -> list[KeptCall]:
        """Return calls with an id above `since` and below `before`, in order of arrival, `limit` at most.

        `person` is one identity of a person: the calls of all identities that aliases joined to it are
        found. `event` is a name in any spelling. `text` is a part of an identity, name or property, in any
        case (of letters A to Z). With `newest` the last calls that match are returned instead of the first
        ones.
        """
        raise NotImplementedError

    def call(self, id_: int) -> KeptCall | None:
        """Return one call; None if the journal does not have it."""
        raise NotImplementedError

    def calls_by_id(self, ids: set[int]) -> dict[int, KeptCall]:
        """Return those of these calls that the journal has."""
        raise NotImplementedError

    def facts(
        self,
        rule: str | None = None,
        since: int = 0,
        limit: int = 100,
        *,
        before: int | None = None,
        newest: bool = False,
    ) -> list[Fact]:
        """Return facts with an id above `since` and below `before`, in the order in which they happened."""
        raise NotImplementedError

    def summary(self) -> Summary:
        """Return the counts. It reads no call, so that it is quick however many there are."""
        raise NotImplementedError

    def people(self, text: str = "", limit: int = 100, site: str | None = None) -> list[PersonRow]:
        """Return people who have an event or a property, newest first. `text` is a part of an identity."""
        raise NotImplementedError

    def person(self, identity: str, site: str | None = None) -> list[PersonView]:
        """Return the person of this identity in each site that has it. Commas and colons are blanks (D4)."""
        raise NotImplementedError

    def events(self) -> list[EventView]:
        """Return the events of all sites, by site and name. It takes long for a store of many people."""
        raise NotImplementedError
