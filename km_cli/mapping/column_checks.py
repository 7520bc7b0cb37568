"""Checks of the columns of an input, before its first row is mapped."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from km_cli.errors import InputError
from km_cli.kissmetrics import LONGEST_NAME, fold_name, is_reserved
from km_cli.mapping.columns import Columns, PersonaColumns, property_columns
from km_cli.mapping.found_columns import how_to_ask
from km_cli.mapping.naming import Naming
from km_cli.mapping.nested import MEMBERS
from km_cli.model import Persona


def check_columns(
    columns: Columns, personas: Sequence[Persona], found: tuple[str, ...], source: str, *, tabular: bool
) -> None:
    """Raise InputError if columns contradict each other, or if no row could be sent with them."""
    _check_ignored(columns, source)
    _check_hashed(columns, source)
    if tabular:
        sets = tuple(name for persona in columns.personas for name in persona.sets)
        sent = _sent_columns((*property_columns(columns, found), *sets), columns)
        _check_properties(sent, source, leaves_out=columns.leave_out_reserved)
        _check_links(columns, personas, found, source)
    _check_constants(columns, personas, found if tabular else (), source)


def check_apart(asked: Mapping[str, str], people: Sequence[PersonaColumns], source: str) -> None:
    """Raise InputError if a persona and another role are asked to have the same column."""
    wanted = [*asked.items(), *((one.persona, name) for one in people for name in one.others)]
    personas = {one.persona for one in people}
    for column in [name for role, name in wanted if role in personas]:
        roles = [role for role, name in wanted if name == column]
        if len(roles) > 1:
            raise InputError(
                f"{source}: the column {column!r} is asked for as {' and as '.join(roles)}",
                f"name another column for one of them: {' or '.join(how_to_ask(role) for role in roles)}",
            )


def _check_ignored(columns: Columns, source: str) -> None:
    """Raise InputError if a column is both ignored and used."""
    for name in columns.ignore:
        if used := name if name in columns.taken else next(filter(columns.is_ignored, columns.taken), ""):
            raise InputError(
                f"{source}: the column {used!r} is both used and ignored (--ignore-column): calls cannot be "
                "made without it",
                "ignore only columns such as offsets and times of arrival",
            )


def _check_hashed(columns: Columns, source: str) -> None:
    """Raise InputError if a column is hashed or dropped that calls cannot be made without in clear."""
    times = {columns.event, columns.timestamp, *columns.times} - {""}
    for key, names in (("hash", columns.hash), ("drop", columns.drop)):
        for name in names:
            if name in times or (key == "drop" and name in columns.taken):
                raise InputError(
                    f"{source}: the column {name!r} is both used and in `{key}` (km.toml, columns.{key})",
                    "the event and the time are sent in clear; a column that has another use can be hashed, "
                    "and one that has none can be dropped",
                )
            if columns.is_ignored(name):
                raise InputError(
                    f"{source}: the column {name!r} is both ignored and in `{key}`",
                    "leave it out of one of them: an ignored column is neither sent nor compared",
                )


def _check_links(columns: Columns, personas: Sequence[Persona], found: tuple[str, ...], source: str) -> None:
    """Raise InputError if a link has the name of a column: both would be one property (D4)."""
    sent = _sent_columns(property_columns(columns, found), columns)
    by_name = {fold_name(name): column for name, column in sent}
    for persona in personas:
        for name, other in persona.link:
            if column := by_name.get(fold_name(name)):
                raise InputError(
                    f"{source}: the column {column!r} and the {other}'s identity would be one property of "
                    f"the {persona.name}, {name!r} (D4)",
                    f"leave the column out: --exclude-property {shlex.quote(column)}",
                )


def _check_constants(
    columns: Columns, personas: Sequence[Persona], found: tuple[str, ...], source: str
) -> None:
    """Raise InputError if a constant has the name of a link or of a table's column: no row could be sent."""
    if not columns.constant:
        return
    sent = _sent_columns(property_columns(columns, found), columns)
    others = {fold_name(name): f"the column {column!r}" for name, column in sent}
    links = ((fold_name(name), f"the {other}'s identity") for one in personas for name, other in one.link)
    others.update(links)
    for name, _ in columns.constant:
        if other := others.get(fold_name(name)):
            raise InputError(
                f"{source}: the constant {name!r} of km.toml and {other} would be one property (D4)",
                "give the constant another name, or leave it out",
            )


def _sent_columns(columns: tuple[str, ...], made: Columns) -> list[tuple[str, str]]:
    """Return the names of the properties that columns are sent as, with the columns.

    The members of an object are not among them: their names show only in the rows.
    """
    naming = Naming(made)
    return [(naming.name(column), column) for column in columns if not column.endswith(MEMBERS)]


def _check_properties(sent: Sequence[tuple[str, str]], source: str, *, leaves_out: bool) -> None:
    """Raise InputError if one of these columns cannot be a property, so that no row could be sent."""
    for name, _ in sent:
        if len(name) > LONGEST_NAME:
            raise InputError(
                f"{source}: the name of column {name[:30]!r}… has {len(name)} characters, "
                f"over {LONGEST_NAME} (D4)",
                "give it a shorter name in the header",
                plain=f"{source}: the name of a column has over {LONGEST_NAME} characters (D4)",
            )
    reserved = [column for name, column in sent if is_reserved(name)]
    if reserved and not leaves_out:
        raise InputError(
            f"{source}: Kissmetrics reserves the names of these columns: {', '.join(map(repr, reserved))}",
            "leave out: " + " ".join(f"--exclude-property {shlex.quote(name)}" for name in reserved),
            plain=f"{source}: Kissmetrics reserves the names of {len(reserved)} of its columns",
        )
