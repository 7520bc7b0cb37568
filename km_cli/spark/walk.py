"""The walk over the people of a partition: each person's receipts, then its rows in input order.

The planner is that of one machine. It sees one person at a time. The person's slots are in memory, or in a
temporary file if they are very many, and are thrown away at the next person. What cannot be decided by one
person's calls is decided before: see `spark.contests`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from km_cli.config.settings import Settings
from km_cli.destinations.base import QueryEncoder
from km_cli.ledger import Reading
from km_cli.ledger.slot_bytes import decode_slot, encode_slot
from km_cli.model import (
    NO_EVENT,
    Finding,
    KnownCall,
    KnownRow,
    MovedCall,
    Owner,
    Record,
    RowPlan,
    Sequence,
    Set,
    Slot,
    split_pairs,
)
from km_cli.planning import Planner
from km_cli.planning.aliases import DecidesAliases, WithheldAliases
from km_cli.planning.decision import RowEvents
from km_cli.planning.keyed import KeyedFingerprints
from km_cli.run.hashed_rows import as_in_log
from km_cli.run.overlaps import Span
from km_cli.spark.instances import Instances
from km_cli.spark.parts import unpack_part
from km_cli.spark.person_values import pack_value, unpack_value
from km_cli.spark.readings import Book, overlaps_of
from km_cli.spark.spilling import MOST
from km_cli.spark.state import PersonSlots, Place, Seat
from km_cli.spark.tables import CALL, JOINED, KNOWN, OWNER, VALUE
from km_cli.spark.walked import (
    Walked,
    columns_of_call,
    columns_of_row,
    finding_columns,
    place_of,
    reject_columns,
)

WHOLE = "*"
"""In `forced`: the whole row is rejected. Any other text is a person, whose events are, in hexadecimal."""

_DISPLACED = 1000
"""Parts from here on are of rows that were decided anew."""


class WalkTask(NamedTuple):
    """What a walk needs. `readings` are those of the receipts and of this job, in the order of their numbers.

    `spans` are those of all rows with a time, by the number of a reading of this job, and `behind` are the
    readings whose bytes it begins with. `settings` are those of the job; they hold no environment. `most` are
    the calls of a person that stay in memory, see `spark.spilling`.
    """

    settings: Settings
    secret: bytes
    readings: tuple[Reading, ...]
    spans: Mapping[int, Span]
    behind: Mapping[int, tuple[Reading, ...]] = {}
    most: int = MOST


class Walk:
    """Plans the rows of one person after the other."""

    def __init__(self, task: WalkTask, slots: PersonSlots | None = None) -> None:
        self._task = task
        self._slots = slots or PersonSlots(task.most)
        self._book = Book(task.readings)
        self._fingerprints = KeyedFingerprints(task.settings.target.tracker, task.secret)
        self._encode = QueryEncoder().encode
        self._aliases: DecidesAliases = WithheldAliases()
        self._instances = Instances()
        self._planners: dict[int, Planner] = {}
        self._person: bytes | None = None
        self._latest: Mapping[str, Any] | None = None
        self._is_rejected = self._is_settled = False
        self._forgotten: list[KnownCall] = []

    def rows(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Walked]:
        """Yield rows of WALKED for rows of WALK, which are sorted by ORDER."""
        return self._walk(rows, self._plan, self._end)

    def events(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Walked]:
        """Yield rows of EVENTS for the same rows: which events of a row are new. No property is set here."""
        return self._walk(rows, self._note_events, lambda: iter(()))

    def _walk(
        self,
        rows: Iterable[Mapping[str, Any]],
        plan: Callable[[Mapping[str, Any]], Iterator[Walked]],
        end: Callable[[], Iterator[Walked]],
    ) -> Iterator[Walked]:
        for row in rows:
            if row["person"] != self._person:
                yield from end()
                self._begin(row)
            if row["side"] == 0:
                self._receive(row)
            else:
                self._settle()
                if row["kind"] == JOINED:
                    self._join(row)
                else:
                    yield from plan(row)
        yield from end()

    def _begin(self, row: Mapping[str, Any]) -> None:
        self._person = row["person"]
        self._site, self._persona, self._spelling = row["site"], row["persona"], row["spelling"]
        self._slots.begin()
        self._latest = None
        self._is_rejected = self._is_settled = False
        self._forgotten.clear()

    # Receipts

    def _receive(self, row: Mapping[str, Any]) -> None:
        """Take a row of the receipts: the last one of a place counts."""
        if row["kind"] == VALUE:
            self._keep_value(row)
        if row["kind"] == JOINED:
            self._join(row)
        if row["kind"] not in (CALL, KNOWN, OWNER):
            return
        latest = self._latest
        if latest is not None and place_of(latest) != place_of(row):
            self._keep()
        self._latest = row
        self._is_rejected |= bool(row["rejected"])

    def _keep_value(self, row: Mapping[str, Any]) -> None:
        assert self._person is not None
        self._slots.values.put(self._person + row["columns"], unpack_value(row["known"]))

    def _join(self, row: Mapping[str, Any]) -> None:
        """Take an alias of a person. It gives the person its owner, unless that is known."""
        leader = b"" if row["rejected"] else row["leader"] or b""
        if leader or self._slots.owner(row["person"]) is None:
            self._slots.set_owner(row["person"], Owner(row["persona"], row["spelling"], leader))

    def _keep(self) -> None:
        """Put the latest call of the receipts into its slot."""
        row, self._latest = self._latest, None
        is_rejected, self._is_rejected = self._is_rejected, False
        person = self._person
        if row is None or person is None:
            return
        if self._slots.owner(person) is None:
            self._slots.set_owner(person, Owner(row["persona"], row["spelling"]))
        if row["kind"] == OWNER or row["known"] is None:
            return
        (known,) = decode_slot(person, row["second"], row["known"]).known
        if is_rejected:
            self._forgotten.append(known)
            return
        number = 0
        if row["columns"] is not None:
            number = self._slots.keep_row(KnownRow(row["reading"], row["line"], row["columns"]))
        self._stand(known._replace(row=number), place_of(row))

    def _stand(self, known: KnownCall, place: Place) -> None:
        person, second, taken = known[:3]
        slot = self._slots.slot(person, second)
        self._slots.put(person, second, Slot((*slot.known, known), slot.moved))
        self._slots.seat((second, len(slot.known)), place)
        self._slots.fresh.clear()
        if taken != second:
            there = self._slots.slot(person, taken)
            moved = MovedCall(known.event, known.pairs)
            self._slots.put(person, taken, Slot(there.known, (*there.moved, moved)))
        if known.id:
            self._slots.keep_id(known.id, person, second)

    def _settle(self) -> None:
        """Take the last call of the receipts; forget the values of calls that the destination rejected."""
        if self._is_settled:
            return
        self._is_settled = True
        self._keep()
        for known in self._forgotten:
            for name, value in split_pairs(known.pairs) if known.event == NO_EVENT else ():
                self._slots.values.forget(known.person + name, known.second, known.taken, value)
        self._forgotten.clear()
        self._slots.settle()
        self._instances.begin(self._person or b"", self._slots.all())

    # Rows

    def _plan(self, row: Mapping[str, Any]) -> Iterator[Walked]:
        part = unpack_part(row["blob"])
        events = RowEvents(*row["events"]) if row["events"] else None
        sequence, is_forced = self._allowed(part.sequence, row)
        if is_forced and events is None:
            events = RowEvents(1, 0, is_contested=True)
        if not sequence.calls:
            return
        plan = self._planner(row["reading"]).plan(sequence, events=events)
        if any(not reject.owed for reject in plan.rejects):
            raise RuntimeError(f"{plan.rejects[0].reason}: it should have been decided before the walk")
        yield from self._calls(plan, row)
        for reject in as_in_log(plan.rejects, part.row):
            yield reject_columns(reject, row, part.places[0])
        for finding in plan.findings:
            yield finding_columns(finding, row)

    def _allowed(self, sequence: Sequence, row: Mapping[str, Any]) -> tuple[Sequence, bool]:
        """Return the calls that were not decided on by `spark.contests`, and whether others were."""
        forced = row["forced"] or ()
        if WHOLE in forced:
            return sequence._replace(calls=()), True
        if row["person"].hex() not in forced:
            return sequence, False
        return sequence._replace(calls=tuple(one for one in sequence.calls if type(one) is Set)), True

    def _note_events(self, row: Mapping[str, Any]) -> Iterator[Walked]:
        sequence = unpack_part(row["blob"]).sequence
        allowed, is_forced = self._allowed(sequence, row)
        events = sum(type(call) is Record for call in sequence.calls)
        if is_forced:
            found = RowEvents(events, 0, is_contested=True)
        else:
            found = self._planner(row["reading"]).events_in(allowed)
            self._slots.fresh.clear()
        yield {
            "reading": row["reading"],
            "row": row["row"],
            **{name: int(value) for name, value in found._asdict().items()},
        }

    def _planner(self, reading: int) -> Planner:
        """Return the planner of a reading of this job."""
        known = self._planners.get(reading)
        if known is None:
            settings, own = self._task.settings, self._book.by_number(reading)
            assert own is not None
            span, behind = self._task.spans.get(reading, Span()), self._task.behind.get(reading, ())
            others = overlaps_of(self._book, own, span, settings.overlap, behind)
            known = self._planners[reading] = Planner(
                self._slots,
                settings.target.tracker,
                reading,
                others,
                spread=settings.spread,
                collisions=settings.collisions,
                encode=self._encode,
                followed=[persona.name for persona in settings.personas if persona.sets],
                limits=settings.target.limits(),
                fingerprints=self._fingerprints,
                aliases=self._aliases,
            )
        return known

    def _calls(self, plan: RowPlan, row: Mapping[str, Any]) -> Iterator[Walked]:
        """Yield the planned calls of a row, and give them their places."""
        fresh, self._slots.fresh = iter(self._slots.fresh), []
        counts: dict[int, int] = {}
        for at, (planned, call, gain) in enumerate(zip(plan.planned, plan.calls, plan.gains, strict=True)):
            of = plan.rows[at] if plan.rows else plan.row
            number = counts[of.line] = counts.get(of.line, -1) + 1
            place = Place(row["reading"], of.line, number + (_DISPLACED if of.line != row["row"] else 0))
            assert isinstance(call, Record | Set)
            seat = next(fresh)
            self._slots.seat(seat, place)
            found, gain = self._instances.count(call, gain)
            for code, message, who in found:
                yield finding_columns(Finding(code, message, of.source, of.line, who), row)
            yield {
                **columns_of_call(planned, call, gain),
                **self._known(seat),
                **columns_of_row(of, place, row),
            }

    def _known(self, seat: Seat) -> Walked:
        """Return the columns that keep a call."""
        assert self._person is not None
        call = self._slots.call(self._person, seat)
        row = self._slots.row(call.row)
        packed = encode_slot(self._person, call.second, Slot((call._replace(row=int(row is not None)),)))
        return {"known": packed, "columns": row.columns if row else None, "id": call.id or None}

    # The end of a person

    def _end(self) -> Iterator[Walked]:
        """Yield the calls and values that are known in another way than the receipts or the plan say."""
        person = self._person
        if person is None:
            return
        self._settle()
        base = {"person": person, "site": self._site, "persona": self._persona, "spelling": self._spelling}
        for seat in self._slots.changed:
            call, place = self._slots.call(person, seat), self._slots.place(seat)
            row = self._slots.row(call.row)
            yield {
                **base,
                **self._known(seat),
                **place._asdict(),
                "kind": KNOWN,
                "line": row.line if row else place.row,
                "second": call.second,
                "taken": call.taken,
                "deed": call.deed,
                "total": call.total,
            }
        for (key, moment, place_of_value), value in self._slots.person_values.changed.items():
            yield {
                **base,
                "kind": VALUE,
                "reading": 0,
                "row": moment,
                "part": place_of_value,
                "known": pack_value(value),
                "columns": key[len(person) :],
            }
