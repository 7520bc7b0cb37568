"""Reads the members' file: which user belongs to which account, and during which time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from km_cli.config.files import expanded
from km_cli.errors import InputError, UsageError, Where, did_you_mean
from km_cli.inputs import Opened, Source, open_reader
from km_cli.mapping import (
    AmbiguousTime,
    BadTime,
    Members,
    Membership,
    TimeOptions,
    Times,
    cell_readers,
    members_columns,
)
from km_cli.model import Gap, Persona, Reject, Row

_TIMES = ("since", "until")


def read_members(
    table: Mapping[str, str], folder: Path, personas: Sequence[Persona], time_options: TimeOptions, now: float
) -> Members:
    """Read the file of [members] in km.toml.

    The table has a `file`, the columns of the actor and of other personas, and maybe of `since` and `until`.
    Times without an offset are in the zone of the log, else UTC; --time-format does not apply to them. Raises
    UsageError for a wrong table, and InputError for a file that contradicts itself.
    """
    _check(table, [persona.name for persona in personas])
    path = folder / expanded(table["file"], "km.toml, members.file:")
    source = Source(str(path))
    source.check()
    source.pin()
    try:
        # Every run reads the file again, so it cannot be a pipe; and a FIFO could hold up the run.
        if source.stamp is None:
            raise UsageError(
                f"the members' file {source.name} is not a regular file",
                "give a regular file in [members] of km.toml",
            )
        with closing(open_reader(source)) as opened:
            return _MembersReader(table, personas, time_options, now).members(opened)
    finally:
        source.unpin()


def _check(table: Mapping[str, str], personas: Sequence[str]) -> None:
    actor, *others = personas
    known = ["file", *personas, *_TIMES]
    for key in table:
        if key not in known:
            raise UsageError(
                f"km.toml: members.{key} is not a known key",
                did_you_mean(key, known, f"the keys are: {', '.join(known)}", "members.".__add__),
            )
    if "file" not in table or actor not in table or not set(others).intersection(table):
        raise UsageError(
            f"km.toml: [members] needs a file, a column of the {actor} and a column of another persona",
            f'as: file = "users.csv", {actor} = "email", {others[0] if others else "account"} = "company"',
        )


class _MembersReader:
    """Reads the rows of the members' file."""

    def __init__(
        self, table: Mapping[str, str], personas: Sequence[Persona], time_options: TimeOptions, now: float
    ) -> None:
        self._asked = {role: column for role, column in table.items() if role != "file"}
        self._personas = [persona.name for persona in personas]
        zone = time_options.timezone or "UTC"
        self._times = {role: Times(time_options._replace(timezone=zone, format=""), now) for role in _TIMES}
        self._lines: dict[tuple[str, Membership], int] = {}

    def members(self, opened: Opened) -> Members:
        """Return all memberships."""
        source, tabular = opened.source.name, opened.format.is_tabular
        if opened.empty:
            raise InputError(
                f"{source}: the members' file is empty",
                "give a file with a header, or remove [members] from km.toml",
            )
        named = members_columns(self._asked, opened.columns, source, tabular=tabular)
        cell = cell_readers(opened.columns, tabular=tabular)
        self._cells = {role: cell(column) for role, column in named.items()}
        given = tuple(name for name in self._personas[1:] if name in self._asked)
        members = Members(given, len(self._personas))
        digest = hashlib.sha256(repr((sorted(self._asked.items()), opened.columns)).encode())
        for item in opened.reader().items():
            digest.update(item.raw if isinstance(item, Gap) else _row(item).raw)
            if isinstance(item, Reject):
                place = f"{source}, line {item.row.line}"
                where = Where(source, item.row.line, item.row.raw)
                raise InputError(
                    f"{place}: {item.reason}", _CORRECT, plain=f"{place}: {item.code}", where=where
                )
            if isinstance(item, Row):
                self._add(item, members)
        members.digest = digest.hexdigest()
        return members

    def _add(self, row: Row, members: Members) -> None:
        texts = {role: read(row.values).strip() for role, read in self._cells.items()}
        actor = texts[self._personas[0]]
        identities = tuple(texts.get(name, "") if at else "" for at, name in enumerate(self._personas))
        if not actor or not any(identities):
            return
        membership = Membership(
            identities, *(self._moment(row, role, texts.get(role, "")) for role in _TIMES)
        )
        other = members.add(actor, membership)
        if other is not None:
            before = self._lines[actor, other]
            place = f"{row.source}, line {row.line}"
            raise InputError(
                f"{place}: {actor!r} belongs to {_joined(identities)}, "
                f"but according to line {before} to {_joined(other.identities)} at the same time",
                "add the times of each membership, in columns that [members] names as since and until",
                plain=f"{place}: the membership contradicts line {before}",
                where=Where(row.source, row.line, row.raw, cell=actor),
            )
        self._lines[actor, membership] = row.line

    def _moment(self, row: Row, role: str, text: str) -> int | None:
        if not text:
            return None
        try:
            return self._times[role].moment(text)
        except BadTime as error:
            place = f"{row.source}, line {row.line}, {role}"
            where = Where(row.source, row.line, row.raw, role, text)
            raise InputError(
                f"{place}: {error}", _CORRECT, plain=f"{place}: not a time", where=where
            ) from None
        except AmbiguousTime as error:
            place = f"{row.source}, line {row.line}, {role}"
            raise InputError(
                f"{place}: {error}",
                "write the times of the members' file as 2024-01-31 or 2024-01-31 10:20 (--time-format is "
                "for the log)",
                plain=f"{place}: the time is not clear",
                where=Where(row.source, row.line, row.raw, role, text),
            ) from None


_CORRECT = "correct the members' file: nothing is sent while memberships are unclear"


def _row(item: Row | Reject) -> Row:
    return item if isinstance(item, Row) else item.row


def _joined(identities: tuple[str, ...]) -> str:
    return " and ".join(repr(identity) for identity in identities if identity)
