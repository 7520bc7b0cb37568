"""Decides on rows whose people are contested: by one person's calls alone it cannot be done.

A row is rejected as a whole if one of its people has another owner (I2, D4), and a call if its id was sent
with another person's deed. An alias depends on both of its people, and gives them an owner. So all calls of
the people that more than one owner claims, that share an id, or that an alias is about, are planned in input
order by one task. It keeps only these decisions; the walk plans the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from km_cli.model import Owner, Reject, Row, Sequence, Slot, Wired
from km_cli.planning.aliases import AliasesApart, DecidedAlias
from km_cli.planning.plain_slots import PlainSlots
from km_cli.run.hashed_rows import as_in_log
from km_cli.spark.parts import unpack_part
from km_cli.spark.state import PersonSlots, Place, Seat
from km_cli.spark.walk import WHOLE, Walk, WalkTask
from km_cli.spark.walked import columns_of_call, columns_of_row, finding_columns, reject_columns

Found = dict[str, Any]

_ALIASED = 2000
"""Parts from here on are aliases: other calls of a row have lower ones, see `walk`."""


class _ManyPeople(PersonSlots):
    """The slots of many people at once: here nobody asks which calls have changed."""

    def begin(self) -> None:
        """Begin with no people."""
        super().begin()
        self._leaders: set[bytes] = set()

    def put(self, person: bytes, second: int, slot: Slot) -> None:
        """Replace the slot."""
        PlainSlots.put(self, person, second, slot)

    def seat(self, seat: Seat, place: Place) -> None:
        """Forget the place."""

    def set_owner(self, person: bytes, owner: Owner) -> None:
        """Remember the owner of a person. An alias is never undone while rows are planned."""
        super().set_owner(person, owner)
        self.lead(owner.leader)

    def lead(self, person: bytes) -> None:
        """Note that an alias made another person part of this one."""
        self._leaders.add(person)

    def is_leader(self, person: bytes) -> bool:
        """Tell whether an alias made another person part of this one."""
        return person != b"" and person in self._leaders


class Contests(Walk):
    """Plans the rows of contested people, as far as their calls are those of these people."""

    def __init__(self, task: WalkTask) -> None:
        self._people = _ManyPeople(task.most)
        super().__init__(task, self._people)
        limits = task.settings.target.limits()
        self._aliases = self._apart = AliasesApart(self._people, self._fingerprints, self._encode, limits)

    def decide(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Found]:
        """Yield rows of WALKED: aliases, with their findings, rejects, and rows of kind `forced`.

        `rows` are those of WALK of the contested people: their receipts, sorted by ORDER, then their parts,
        sorted by reading, row and part. A `forced` row has the persons in `owed`.
        """
        for (side, *_), several in groupby(rows, _turn):
            if side:
                self._settle()
                yield from self._decide(list(several))
                continue
            for row in several:
                if row["person"] != self._person:
                    self._keep()
                    self._person = row["person"]
                self._receive(row)

    def _join(self, row: Mapping[str, Any]) -> None:
        """Take an alias. The people whom it joins to this one need not be contested themselves."""
        super()._join(row)
        if row["leader"] is None and not row["rejected"]:
            self._people.lead(row["person"])

    def _decide(self, parts: list[Mapping[str, Any]]) -> Iterator[Found]:
        """Decide on one row."""
        calls: list[tuple[int, Wired, Mapping[str, Any]]] = []
        for row in parts:
            sequence, places, in_log = unpack_part(row["blob"])
            calls += [(place, call, row) for place, call in zip(places, sequence.calls, strict=True)]
        calls.sort(key=lambda one: one[0])
        whole = Sequence(sequence.row, tuple(call for _, call, _ in calls), sequence.cells, sequence.actor)
        plan = self._planner(parts[0]["reading"]).plan(whole)
        for reject in as_in_log(plan.rejects, in_log):
            if not reject.owed:
                yield from self._forced(reject, parts[0], calls[0][0], [WHOLE])
            elif reject.code == "id-reused":
                people = {row["person"].hex() for _, call, row in calls if call.persona in reject.owed}
                yield from self._forced(reject, parts[0], calls[0][0], sorted(people))
        decided, self._apart.decided = self._apart.decided, []
        for part, alias in enumerate(decided, _ALIASED):
            of = next(row for _, call, row in calls if call is alias.call)
            yield from _of_alias(alias, Place(of["reading"], of["row"], part), of, in_log)

    def _forced(
        self, reject: Reject, row: Mapping[str, Any], place: int, forced: list[str]
    ) -> Iterator[Found]:
        yield reject_columns(reject, row, place)
        yield {"kind": "forced", "reading": row["reading"], "row": row["row"], "part": 0, "owed": forced}


def _of_alias(alias: DecidedAlias, place: Place, row: Mapping[str, Any], in_log: Row) -> Iterator[Found]:
    """Yield the rows of WALKED for an alias. `row` is the part that it belongs to."""
    decision = alias.decision
    for planned, call, gain in zip(decision.planned, decision.calls, decision.gains, strict=True):
        yield {
            **columns_of_call(planned, call, gain),
            **columns_of_row(decision.row, place, row),
            "spelling": alias.leader.identity,
            "total": alias.other.identity,
        }
    for reject in as_in_log(decision.rejects, in_log):
        yield reject_columns(reject, row, place.part)
    for finding in decision.findings:
        yield finding_columns(finding, row)


def _turn(row: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the same for all receipts, and for all parts of a row."""
    return (1, row["reading"], row["row"]) if row["side"] else (0,)
