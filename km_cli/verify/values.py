"""The values of a verification: the answers of the Query API, and the expectations of the ledger.

They are structs of msgspec, as the tables of km.toml are, because a snapshot file is read into them: each
type and each key is checked.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class _Value(Struct, frozen=True, forbid_unknown_fields=True):
    """A frozen value that a snapshot file may hold."""


class Product(_Value, frozen=True):
    """A product of Kissmetrics. Its id is text here, whether the API has a number or text."""

    id: str
    name: str


class NameTotal(_Value, frozen=True):
    """An event or a property of a product.

    `first_used` and `last_used` are the times of its first and its last call, None if the API has none.
    """

    name: str
    total: Count
    first_used: datetime | None = None
    last_used: datetime | None = None


class Listing(_Value, frozen=True):
    """All events or all properties of a product.

    `is_whole` is false if the API changed the list while it was read: a name may be missing here.
    """

    names: tuple[NameTotal, ...]
    is_whole: bool = True


class OwnEvent(_Value, frozen=True):
    """The calls of the ledger that record one event in one site, by their number.

    `acknowledged` were acknowledged before Kissmetrics was asked, `most` were planned when it had answered:
    the difference are pending calls. `recent` of the acknowledged ones may not be shown yet (Q4), `merged`
    may be one with another (D1), and `dropped` may be beyond the last 1,000 of a person (D7). `forgotten`
    were pruned, so that the ledger cannot tell this of them. `first_day` and `last_day` are the UTC days,
    since 1970, of calls that must be shown; None if none must.
    """

    name: str
    acknowledged: Count
    most: Count
    recent: Count = 0
    merged: Count = 0
    dropped: Count = 0
    first_day: int | None = None
    last_day: int | None = None
    forgotten: Count = 0


class SiteState(_Value, frozen=True):
    """A site at one time: what Kissmetrics shows of its product, and the events that the ledger has for it.

    `pending` is the number of all pending calls of the site, also of those that record no event.
    """

    site: str
    product: Product
    events: Listing
    properties: Listing
    own: tuple[OwnEvent, ...]
    pending: Count = 0


class Snapshot(_Value, frozen=True):
    """What Kissmetrics showed at one time, and what the ledger had then.

    `taken` is when the first answer was asked for. `api` is the address of the API, `to` the destination by
    its name in the ledger. `shown_by` is when Kissmetrics should show all acknowledged calls, None if it
    should already.
    """

    taken: datetime
    api: str
    to: str
    sites: tuple[SiteState, ...]
    shown_by: datetime | None = None
