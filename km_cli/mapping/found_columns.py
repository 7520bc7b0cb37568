"""Finding columns by name among those of an input, and the errors for those that it lacks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping
from types import MappingProxyType

from km_cli.errors import MISSPELT, MOST_LISTED, InputError, did_you_mean, nearest
from km_cli.mapping.nested import MEMBERS, root
from km_cli.toml_text import quoted

USUAL = {
    "user": ("user", "user_id", "email", "person", "identity", "distinct_id"),
    "account": ("account", "account_id", "organization", "org", "company", "group", "workspace", "tenant"),
    "event": ("event", "event_name", "action", "activity"),
    "timestamp": ("timestamp", "time", "created_at", "occurred_at", "ts", "date"),
}
"""The usual names of each role's column. If no flag names the column, the first match has the role."""


_UNANSWERED = "?"
"""The name that `km-cli init` writes for a column that it asks for."""

HASH, DROP = "columns.hash", "columns.drop"
"""The roles of columns whose values stay home."""

_IGNORED = "ignore-column"
_LEFT_OUT = ("exclude-property", _IGNORED)
_WHOLE = (*_LEFT_OUT, HASH, DROP)
"""The roles of columns that may be whole objects: all in them is left out, or hashed together."""

_FLAGS = frozenset({*USUAL, "id", "property", *_LEFT_OUT, "where"})


RENAMED = "columns.rename"
"""The role of a column that km.toml renames."""

ALIAS_COLUMN = "columns.alias"
"""The role of a column of aliases that is left out unless --allow-alias is given."""

IN_MEMBERS = "members."
"""Beginning of the roles in a members' file."""

ALIAS, PROPERTIES, SET = "'s alias", "'s properties", "'s set"
"""Ends of the roles that a persona of km.toml has beside its column."""

_IN_PERSONAS = (ALIAS, PROPERTIES, SET)

_BEFORE_FIRST = re.compile(r"\.-\d+(?=\.|$)")

_NEAR = 0.75
"""How near a column's name must be to a usual one to be proposed, from 0 to 1."""


NamedAt = Mapping[tuple[str, str], str]
"""Where columns are named, by role and name: a flag, a variable, or a key of km.toml."""


class FoundColumns:
    """The columns that one input has. Finds one of them by its name or by a role's usual names.

    It is no error if an input, or its first rows, lacks a column in `optional`.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        source: str,
        *,
        tabular: bool,
        named_at: NamedAt = MappingProxyType({}),
        optional: Collection[str] = (),
    ) -> None:
        self._names = names
        self._named_at = named_at
        self.source = source
        self.are_of_table = tabular
        self._optional = frozenset(optional)

    def value(self, name: str, role: str, *, sparse: bool = False) -> str:
        """Return the column of a role, "" for an optional one that a table lacks.

        Raises InputError if there is none, or if it holds objects.
        """
        column = self.named(name, role, sparse=sparse)
        if inside := [] if column in self._names or not column else self._inside(column):
            raise InputError(
                f"{self.source}: {column!r} ({self._place(role, name)}) is an object with "
                f"{', '.join(inside[:12])}",
                f"name a column in it: {how_to_ask(role, inside[0])}",
                plain=f"{self.source}: the column asked for as {role} is an object",
            )
        return column

    def named(self, name: str, role: str, *, sparse: bool = False) -> str:
        """Return the column of this name, or the only one that differs from it in upper and lower case alone.

        A `sparse` column is accepted although none of the first objects has it, and so is an optional one.
        Of a table, an optional column that is not there is "". Raises InputError.
        """
        is_object = not self.are_of_table or role in _WHOLE
        if name in self._names or (is_object and self._inside(name)):
            return name
        alike = [path for path in self._names if path.casefold() == name.casefold()]
        if len(alike) == 1:
            return alike[0]
        if name.endswith(MEMBERS) and not _takes_members(role):
            raise InputError(
                f"{self.source}: {name!r} ({_place(role)}) means all members of an object, not one column",
                f"name one column, or the object itself: {name.removesuffix(MEMBERS)!r}",
            )
        if _BEFORE_FIRST.search(name):
            raise InputError(
                f"{self.source}: {name!r} ({self._place(role, name)}) is before the first item of a list",
                f"count from 0: {_BEFORE_FIRST.sub('.0', name)!r} is the first item",
            )
        if self._reaches_inside(name, role) or (sparse and not self.are_of_table):
            return name
        if name.removesuffix(MEMBERS) in self._optional:
            return "" if self.are_of_table else name
        if name == _UNANSWERED:
            raise InputError(
                f"{self.source}: km.toml does not say yet which column is the {role}; {self._list()}",
                f'answer the question beside "{_UNANSWERED}" in km.toml',
                plain=f"{self.source}: km.toml does not say yet which column is the {role}",
            )
        raise InputError(
            f"{self.source}: there is no column {name!r} ({self._place(role, name)}); {self._list()}",
            self._longer(name, role)
            or self._hint(
                did_you_mean(name, self._names, "name one of the columns found", repr, least=MISSPELT)
            ),
            plain=f"{self.source}: there is no column {name!r} ({self._place(role, name)})",
        )

    def _longer(self, name: str, role: str) -> str:
        """Return a hint about a condition on a column whose name goes on with `=`, "" if there is none."""
        whole = next((one for one in self._names if one.startswith(f"{name}=")), "")
        if role != "where" or not whole:
            return ""
        condition = shlex.quote(f'"{whole}"=VALUE')
        return f"if you mean the column {whole!r}, put its name in quotation marks: {condition}"

    def all_named(
        self, names: tuple[str, ...] | None, role: str, *, sparse: bool = False
    ) -> tuple[str, ...] | None:
        """Return the columns with these names that the input may have, each once; None for None."""
        if names is None:
            return None
        found = ((name, self.named(name, role, sparse=sparse)) for name in names)
        return tuple(dict.fromkeys(column for name, column in found if column or not name))

    def beginning(self, prefix: str) -> list[str]:
        """Return the columns whose names begin so, in small or capital letters."""
        return [name for name in self._names if name.casefold().startswith(prefix.casefold())]

    def usual(self, words: tuple[str, ...], taken: frozenset[str]) -> str:
        """Return the column with the first of these usual names that is not `taken`, "" if there is none."""
        by_name: dict[str, str] = {}
        for name in self._names:
            if name not in taken:
                by_name.setdefault(normal_name(name), name)
        return next((by_name[word] for word in words if word in by_name), "")

    def missing(self, *roles: str, also: str = "") -> InputError:
        """Return the error for an input that has no column for any of these roles.

        `also` ends the hint with another way than to name a column.
        """
        near = [(role, close) for role in roles for close in self._near(role)]
        hint = "name the column: " + " or ".join(how_to_ask(role) for role in roles) + also
        if near:
            hint += f"; perhaps {how_to_ask(*near[0])}?"
        if self.are_of_table and self._names[:1] and self._names[0].startswith("#"):
            hint += "; or leave out the first line if it is a comment: tail -n +2"
        message = f"{self.source}: no column was recognised as {' or '.join(roles)}"
        return InputError(f"{message}; {self._list()}", self._hint(hint), plain=message)

    def _near(self, role: str) -> list[str]:
        """Return the column that may have a role, in a list that is empty if there is none.

        A column in an object with a usual name goes first, for example `account.id`. Else it is the column
        whose last part is nearest to a usual name.
        """
        for usual in usual_names(role):
            inside = [name for name in self._names if normal_name(name).startswith(f"{usual}.")]
            if inside:
                return [next((name for name in inside if normal_name(name) == f"{usual}.id"), inside[0])]
        names = (name for name in reversed(self._names) if not _is_id_of_event(role, name))
        last = {_last_part(name): name for name in names}
        near = (nearest(usual, last, _NEAR) for usual in usual_names(role))
        return [last[name] for name in near if name][:1]

    def usual_id(self, words: tuple[str, ...], taken: frozenset[str]) -> str:
        """Return the member `id` of the first object with one of these usual names, "" if there is none.

        An object in `taken` is passed over.
        """
        members = {
            normal_name(name): name
            for name in reversed(self._names)
            if name not in taken and name.rpartition(".")[0] not in taken
        }
        return next((members[f"{word}.id"] for word in words if f"{word}.id" in members), "")

    def _place(self, role: str, name: str) -> str:
        return self._named_at.get((role, name)) or _place(role)

    def _inside(self, name: str) -> list[str]:
        return [path for path in self._names if path.startswith(f"{name}.")]

    def _reaches_inside(self, name: str, role: str) -> bool:
        """Tell whether a name is a path into a column, which may hold JSON, or means all members of one."""
        if role == _IGNORED:
            return False  # rows are compared by whole columns
        path = name.removesuffix(MEMBERS)
        return bool(root(path, self._names) or (not self.are_of_table and self._inside(path)))

    def _list(self) -> str:
        names = self._names
        if len(names) <= MOST_LISTED:
            return f"columns found: {', '.join(names) or 'none'}"
        usual = {word for words in USUAL.values() for word in words}
        # Stable: columns of one kind stay in their order. A short path is the likelier one of two.
        likely = sorted(names, key=lambda name: (_last_part(name) not in usual, name.count(".")))
        return f"columns found, {MOST_LISTED} of {len(names):,}: {', '.join(likely[:MOST_LISTED])}, …"

    def _hint(self, hint: str) -> str:
        """Return a hint, which sends to `km-cli init` if there are more columns than a message lists."""
        if len(self._names) <= MOST_LISTED or self.source.startswith("sql:"):  # init reads files alone
            return hint
        source = "FILE" if self.source.startswith("<") else shlex.quote(self.source)
        return f"{hint}; or let `km-cli init {source}` look at all columns"


def _takes_members(role: str) -> bool:
    """Tell whether all members of an object can have a role together: they can be properties."""
    return role == "property" or role.endswith(PROPERTIES)


def usual_names(role: str) -> tuple[str, ...]:
    """Return a role's usual names. A persona from km.toml has its own name and that with `_id`."""
    return USUAL.get(role) or (normal_name(role), f"{normal_name(role)}_id")


def _place(role: str) -> str:
    """Return where a role's column is named: in a flag, or in km.toml."""
    if role in _FLAGS:
        return f"--{role}, or km.toml"
    if role.startswith(IN_MEMBERS) or role in (RENAMED, ALIAS_COLUMN, HASH, DROP):
        return f"km.toml, {role}"
    return f"km.toml, {role}" if role.endswith(_IN_PERSONAS) else f"km.toml, the persona {role!r}"


def how_to_ask(role: str, column: str = "NAME") -> str:
    """Return the flag or the line of km.toml that gives a role its column, for a hint."""
    if role in _FLAGS:
        return f"--{role} {shlex.quote(column)}"
    if role.startswith(IN_MEMBERS):
        return f"{role.removeprefix(IN_MEMBERS)} = {quoted(column)} in km.toml's [members]"
    persona, _, key = role.rpartition("'s ") if role.endswith(_IN_PERSONAS) else (role, "", "column")
    return f"{key} = {quoted(column)} in km.toml's persona {persona!r}"


def _is_id_of_event(role: str, name: str) -> bool:
    """Tell whether a column has the id of each event, and so not what a role of the event needs."""
    return role in ("event", "timestamp") and _last_part(name).endswith("_id")


def _last_part(name: str) -> str:
    return normal_name(name).rpartition(".")[2]


def normal_name(name: str) -> str:
    """Return a column's name in small letters, with underscores for blanks and hyphens."""
    return name.casefold().replace(" ", "_").replace("-", "_")
