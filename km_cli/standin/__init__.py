"""A local Kissmetrics: keeps of the calls it gets what Kissmetrics would keep (rules W1 to D6, I2).

It imports nothing from the rest of km_cli, so a mistake of the sender's cannot hide behind the same
mistake here.
"""

from km_cli.standin.reading import Event, Kept, Person, Property
from km_cli.standin.store import Store
from km_cli.standin.wire import Hit, Ignored, decode, fold

__all__ = ["Event", "Hit", "Ignored", "Kept", "Person", "Property", "Store", "decode", "fold"]
