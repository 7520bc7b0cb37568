"""Which column is what: as asked for, else by the usual names."""

from __future__ import annotations

import difflib
import json
from typing import NamedTuple

from km_cli.errors import InputError
from km_cli.names import is_reserved

USUAL = {
    "user": ("user", "user_id", "email", "person", "identity", "distinct_id"),
    "account": ("account", "account_id", "organization", "org", "company", "group", "workspace", "tenant"),
    "event": ("event", "event_name", "action", "activity"),
    "timestamp": ("timestamp", "time", "created_at", "occurred_at", "ts", "date"),
}
"""What a column is taken for when no flag says so; the first match wins."""


class Wanted(NamedTuple):
    """The columns as the flags ask for them; "" and None: recognise them.

    `properties` are the only ones to send; () for none, None for every column not named elsewhere.
    """

    user: str = ""
    account: str = ""
    event: str = ""
    timestamp: str = ""
    id: str = ""
    properties: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    flatten: bool = False


class Columns(NamedTuple):
    """The columns as they are used; "" where the input has none. `personas` go by the strategy's order."""

    personas: tuple[str, ...]
    event: str
    timestamp: str
    id: str
    properties: tuple[str, ...] | None
    exclude: tuple[str, ...]
    flatten: bool

    def to_json(self) -> str:
        """Return it as text for the ledger."""
        return json.dumps(self)

    @classmethod
    def from_json(cls, text: str) -> Columns:
        """Return what `to_json` was called on."""
        personas, event, timestamp, event_id, properties, exclude, flatten = json.loads(text)
        return cls(
            tuple(personas),
            event,
            timestamp,
            event_id,
            None if properties is None else tuple(properties),
            tuple(exclude),
            flatten,
        )

    @property
    def taken(self) -> frozenset[str]:
        """The columns that are used for something else than a property."""
        return frozenset(filter(None, (*self.personas, self.event, self.timestamp, self.id)))


def recognise(wanted: Wanted, found: tuple[str, ...], source: str, *, tabular: bool) -> Columns:
    """Return the columns to use, of those `found` in `source`.

    Raises InputError, naming the columns that were found, if one that was asked for is not there, if
    the event, the time or every identity has none, or if one must never be a property.
    """
    chosen = {
        role: _named(name, role, found, source) if name else _usual(role, found)
        for role, name in (
            ("user", wanted.user),
            ("account", wanted.account),
            ("event", wanted.event),
            ("timestamp", wanted.timestamp),
        )
    }
    for role in ("event", "timestamp"):
        if not chosen[role]:
            raise _missing(role, f"--{role} NAME", found, source)
    if not chosen["user"] and not chosen["account"]:
        raise _missing("user or account", "--user NAME, --account NAME", found, source)
    columns = Columns(
        (chosen["user"], chosen["account"]),
        chosen["event"],
        chosen["timestamp"],
        _named(wanted.id, "id", found, source) if wanted.id else "",
        None
        if wanted.properties is None
        else tuple(_named(name, "property", found, source) for name in wanted.properties),
        tuple(_named(name, "exclude-property", found, source) for name in wanted.exclude),
        wanted.flatten,
    )
    if tabular:
        _check_properties(property_columns(columns, found), source)
    return columns


def property_columns(columns: Columns, found: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of a header that become properties, in its order."""
    if columns.properties is not None:
        return columns.properties
    left_out = columns.taken.union(columns.exclude)
    return tuple(name for name in found if name not in left_out)


def _check_properties(names: tuple[str, ...], source: str) -> None:
    for name in names:
        if is_reserved(name):
            raise InputError(
                f"{source}: the column {name!r} would become a property that Kissmetrics reserves for itself",
                f"leave it out: --exclude-property {name!r}",
            )


def _normal(name: str) -> str:
    return name.casefold().replace(" ", "_").replace("-", "_")


def _usual(role: str, found: tuple[str, ...]) -> str:
    by_name: dict[str, str] = {}
    for name in found:
        by_name.setdefault(_normal(name), name)
    return next((by_name[usual] for usual in USUAL[role] if usual in by_name), "")


def _named(name: str, role: str, found: tuple[str, ...], source: str) -> str:
    if name in found or any(path.startswith(f"{name}.") for path in found):
        return name
    alike = [path for path in found if path.casefold() == name.casefold()]
    if len(alike) == 1:
        return alike[0]
    near = difflib.get_close_matches(name, found, 1)
    raise InputError(
        f"{source}: there is no column {name!r} (--{role}); columns found: {', '.join(found) or 'none'}",
        f"did you mean {near[0]!r}?" if near else "name one of the columns found",
    )


def _missing(what: str, flags: str, found: tuple[str, ...], source: str) -> InputError:
    return InputError(
        f"{source}: no column was recognised as {what}; columns found: {', '.join(found) or 'none'}",
        f"say which it is: {flags}",
    )
