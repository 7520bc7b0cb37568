"""How much Kissmetrics holds, and the keys under which instances are counted (D7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from km_cli.model.known import NO_EVENT, Gain, Slot


class Held(NamedTuple):
    """How much Kissmetrics holds: people, events, property values."""

    people: int = 0
    events: int = 0
    properties: int = 0


Forecast = Mapping[str, Mapping[str, Held]]
"""What Kissmetrics will hold, by site and persona."""

_PROPERTY_KEY = 12
"""Bytes in the key of a property's instances: the digests of the person and of the property's name."""


def instance_keys(person: bytes, gain: Gain) -> list[bytes]:
    """Return the keys that a call's new instances are counted under (D7), the event's last."""
    names = gain.names
    keys = [person + names[at : at + 4] for at in range(0, len(names), 4)]
    if gain.event != NO_EVENT:
        keys.append(_event_key(person, gain.event))
    return keys


def held_keys(person: bytes, second: int, slot: Slot) -> list[bytes]:
    """Return the keys that the instances of a person's second are counted under."""
    events, names = slot.held(second)
    return [person + name for name in names] + [_event_key(person, event) for event in events]


def _event_key(person: bytes, event: bytes) -> bytes:
    return person + b"event" + event


def is_event_key(key: bytes) -> bool:
    """Tell whether a key counts the instances of an event. The key of a property is shorter."""
    return len(key) > _PROPERTY_KEY
