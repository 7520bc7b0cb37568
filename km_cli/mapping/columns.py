"""Which column is what: as asked for, else by the usual names."""

from __future__ import annotations

import difflib
import shlex
from typing import NamedTuple

from km_cli.errors import InputError
from km_cli.names import LONGEST_NAME, is_reserved

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
    `event_name` is what every row did: no column says it.
    """

    user: str = ""
    account: str = ""
    event: str = ""
    timestamp: str = ""
    id: str = ""
    properties: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    flatten: bool = False
    event_name: str = ""


class Columns(NamedTuple):
    """The columns as they are used; "" where the input has none. `personas` go by the strategy's order.

    `event_name` is what every row did, if no column says it.
    """

    personas: tuple[str, ...]
    event: str
    timestamp: str
    id: str
    properties: tuple[str, ...] | None
    exclude: tuple[str, ...]
    flatten: bool
    event_name: str = ""

    @property
    def taken(self) -> frozenset[str]:
        """The columns that are used for something else than a property."""
        return frozenset(filter(None, (*self.personas, self.event, self.timestamp, self.id)))


def recognise(wanted: Wanted, found: tuple[str, ...], source: str, *, tabular: bool) -> Columns:
    """Return the columns to use, of those `found` in `source`.

    Raises InputError, naming the columns that were found, if one that was asked for is not there, if
    the event, the time or every identity has none, or if one must never be a property.
    """
    columns = _Found(found, source, tabular=tabular)
    asked = {role: columns.value(name, role) for role, name in _asked(wanted) if name}
    named = frozenset(asked.values())
    chosen = {role: asked.get(role) or columns.usual(role, named) for role in USUAL}
    if wanted.event_name:
        chosen["event"] = ""
    for role in ("event", "timestamp"):
        if not (chosen[role] or (role == "event" and wanted.event_name)):
            raise columns.missing(role)
    if not chosen["user"] and not chosen["account"]:
        raise columns.missing("user", "account")
    made = Columns(
        (chosen["user"], chosen["account"]),
        chosen["event"],
        chosen["timestamp"],
        asked.get("id", ""),
        wanted.properties
        and tuple(dict.fromkeys(columns.named(name, "property") for name in wanted.properties)),
        tuple(columns.named(name, "exclude-property") for name in wanted.exclude),
        wanted.flatten,
        wanted.event_name,
    )
    if tabular:
        _check_properties(property_columns(made, found), source)
    return made


def override(known: Columns, wanted: Wanted, found: tuple[str, ...], source: str) -> Columns:
    """Return known columns with what the flags ask for in place of it; what they leave open stays.

    Raises InputError if a column that was asked for is not there.
    """
    columns = _Found(found, source, tabular=False)
    asked = {role: columns.value(name, role) for role, name in _asked(wanted) if name}
    user, account = known.personas
    event_name = wanted.event_name or ("" if "event" in asked else known.event_name)
    return Columns(
        (asked.get("user", user), asked.get("account", account)),
        "" if event_name else asked.get("event", known.event),
        asked.get("timestamp", known.timestamp),
        asked.get("id", known.id),
        known.properties
        if wanted.properties is None
        else tuple(dict.fromkeys(columns.named(name, "property") for name in wanted.properties)),
        (*known.exclude, *(columns.named(name, "exclude-property") for name in wanted.exclude)),
        known.flatten or wanted.flatten,
        event_name,
    )


def _asked(wanted: Wanted) -> tuple[tuple[str, str], ...]:
    return (
        ("user", wanted.user),
        ("account", wanted.account),
        ("event", wanted.event),
        ("timestamp", wanted.timestamp),
        ("id", wanted.id),
    )


def property_columns(columns: Columns, found: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of a header that become properties, in its order."""
    if columns.properties is not None:
        return columns.properties
    left_out = columns.taken.union(columns.exclude)
    return tuple(name for name in found if name not in left_out)


def _check_properties(names: tuple[str, ...], source: str) -> None:
    """Raise InputError for what no row could be sent with."""
    for name in names:
        if len(name) > LONGEST_NAME:
            raise InputError(
                f"{source}: the name of column {name[:30]!r}… has {len(name)} characters, "
                f"over {LONGEST_NAME} (D4)",
                "give it a shorter name in the header",
            )
    if reserved := [name for name in names if is_reserved(name)]:
        said = ", ".join(map(repr, reserved))
        raise InputError(
            f"{source}: Kissmetrics reserves for itself, as properties, the columns {said}",
            "leave out: " + " ".join(f"--exclude-property {shlex.quote(name)}" for name in reserved),
        )


class _Found:
    """The columns found in one input, and finding one of them by its name."""

    def __init__(self, names: tuple[str, ...], source: str, *, tabular: bool) -> None:
        self._names = names
        self._source = source
        self._tabular = tabular

    def value(self, name: str, role: str) -> str:
        """Return the column of a role, which must hold values: no object."""
        column = self.named(name, role)
        if column not in self._names:
            inside = self._inside(column)
            raise InputError(
                f"{self._source}: {column!r} (--{role}) is an object; it holds {', '.join(inside[:12])}",
                f"name what is in it: --{role} {shlex.quote(inside[0])}",
            )
        return column

    def named(self, name: str, role: str) -> str:
        """Return the column that a flag names: exactly, or but for upper and lower case."""
        if name in self._names or (not self._tabular and self._inside(name)):
            return name
        alike = [path for path in self._names if path.casefold() == name.casefold()]
        if len(alike) == 1:
            return alike[0]
        near = difflib.get_close_matches(name, self._names, 1)
        raise InputError(
            f"{self._source}: there is no column {name!r} (--{role}); {self._said()}",
            f"did you mean {near[0]!r}?" if near else "name one of the columns found",
        )

    def usual(self, role: str, named: frozenset[str]) -> str:
        """Return the column with the first usual name, "" if there is none; not what a flag named."""
        by_name: dict[str, str] = {}
        for name in self._names:
            if name not in named:
                by_name.setdefault(_normal(name), name)
        return next((by_name[usual] for usual in USUAL[role] if usual in by_name), "")

    def missing(self, *roles: str) -> InputError:
        """Return the error for an input in which none of these roles was recognised."""
        near = [(role, close) for role in roles for close in self._near(role)]
        hint = "say which it is: " + " or ".join(f"--{role} NAME" for role in roles)
        if near:
            hint += f"; perhaps --{near[0][0]} {shlex.quote(near[0][1])}?"
        if self._tabular and self._names[:1] and self._names[0].startswith("#"):
            hint += "; or drop the first line if it is a comment: tail -n +2"
        what = " or ".join(roles)
        return InputError(f"{self._source}: no column was recognised as {what}; {self._said()}", hint)

    def _near(self, role: str) -> list[str]:
        """Return what is in an object of a usual name, else the column whose last part is nearest to one."""
        for usual in USUAL[role]:
            inside = [name for name in self._names if _normal(name).startswith(f"{usual}.")]
            if inside:
                return [next((name for name in inside if _normal(name) == f"{usual}.id"), inside[0])]
        last = {_normal(name).rpartition(".")[2]: name for name in reversed(self._names)}
        close = (near for usual in USUAL[role] for near in difflib.get_close_matches(usual, last, 1, 0.75))
        return [last[near] for near in close][:1]

    def _inside(self, name: str) -> list[str]:
        return [path for path in self._names if path.startswith(f"{name}.")]

    def _said(self) -> str:
        return f"columns found: {', '.join(self._names) or 'none'}"


def _normal(name: str) -> str:
    return name.casefold().replace(" ", "_").replace("-", "_")
