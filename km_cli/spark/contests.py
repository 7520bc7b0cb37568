"""Decides on rows whose people are contested: by one person's calls alone it cannot be done.

A row is rejected as a whole if one of its people has another owner (I2, D4), and a call if its id was sent
with another person's deed. So all calls of the people that more than one owner claims, or that share an id,
are planned in input order by one task. It keeps only these two decisions; the walk plans the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from km_cli.model import Reject, Sequence, Slot, Wired
from km_cli.planning.plain_slots import PlainSlots
from km_cli.spark.parts import unpack_part
from km_cli.spark.state import PersonSlots, Place, Seat
from km_cli.spark.walk import WHOLE, Walk, WalkTask
from km_cli.spark.walked import reject_columns

Found = dict[str, Any]


class _ManyPeople(PersonSlots):
    """The slots of many people at once: here nobody asks which calls have changed."""

    def put(self, person: bytes, second: int, slot: Slot) -> None:
        """Replace the slot."""
        PlainSlots.put(self, person, second, slot)

    def seat(self, seat: Seat, place: Place) -> None:
        """Forget the place."""


class Contests(Walk):
    """Plans the rows of contested people, as far as their calls are those of these people."""

    def __init__(self, task: WalkTask) -> None:
        super().__init__(task, _ManyPeople(task.most))

    def decide(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Found]:
        """Yield `reject` rows of WALKED, and rows of kind `forced` with the persons in `owed`.

        `rows` are those of WALK of the contested people: their receipts, sorted by ORDER, then their parts,
        sorted by reading, row and part.
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

    def _decide(self, parts: list[Mapping[str, Any]]) -> Iterator[Found]:
        """Decide on one row."""
        calls: list[tuple[int, Wired, bytes]] = []
        for row in parts:
            sequence, places = unpack_part(row["blob"])
            calls += [
                (place, call, row["person"]) for place, call in zip(places, sequence.calls, strict=True)
            ]
        calls.sort(key=lambda one: one[0])
        whole = Sequence(sequence.row, tuple(call for _, call, _ in calls), sequence.cells, sequence.actor)
        plan = self._planner(parts[0]["reading"]).plan(whole)
        for reject in plan.rejects:
            if not reject.owed:
                yield from self._forced(reject, parts[0], calls[0][0], [WHOLE])
            elif reject.code == "id-reused":
                people = {person.hex() for _, call, person in calls if call.persona in reject.owed}
                yield from self._forced(reject, parts[0], calls[0][0], sorted(people))

    def _forced(
        self, reject: Reject, row: Mapping[str, Any], place: int, forced: list[str]
    ) -> Iterator[Found]:
        yield reject_columns(reject, row, place)
        yield {"kind": "forced", "reading": row["reading"], "row": row["row"], "part": 0, "owed": forced}


def _turn(row: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the same for all receipts, and for all parts of a row."""
    return (1, row["reading"], row["row"]) if row["side"] else (0,)
