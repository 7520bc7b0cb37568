"""A local Kissmetrics: it keeps what Kissmetrics would keep, and a journal of all calls (W1 to D8, I1 to I3).

It imports nothing from the rest of km_cli. If both shared code, a mistake in encoding would be undone by the
same mistake in decoding, and no test would see it.
"""

from km_cli.standin.export import Export, Revision
from km_cli.standin.journal import Journal
from km_cli.standin.looking import KeptPerson, Looker, Moment
from km_cli.standin.name_views import NameKind, NameView
from km_cli.standin.reading import Event, Kept, Person, Property
from km_cli.standin.store import Store
from km_cli.standin.views import EventView, Fact, KeptCall, PersonRow, PersonView, Summary
from km_cli.standin.wire import Hit, Ignored, decode, fold

__all__ = [
    "Event",
    "EventView",
    "Export",
    "Fact",
    "Hit",
    "Ignored",
    "Journal",
    "Kept",
    "KeptCall",
    "KeptPerson",
    "Looker",
    "Moment",
    "NameKind",
    "NameView",
    "Person",
    "PersonRow",
    "PersonView",
    "Property",
    "Revision",
    "Store",
    "Summary",
    "decode",
    "fold",
]
