"""One row on its way from the mapping to its plan, and a batch of plans on its way into the forecast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from km_cli.config.settings import Settings
from km_cli.ledger import NO_HORIZON, Ledger, Reading
from km_cli.mapping import ANONYMOUS, WITHHELD, Columns, LeftOut
from km_cli.model import NANOSECONDS, Event, Finding, Forecast, Persona, Reject, Row, RowPlan
from km_cli.model import Sequence as Calls
from km_cli.planning import Encode, Planner
from km_cli.planning.forecast import Forecaster
from km_cli.planning.keyed import fingerprints_for
from km_cli.rules import Rules
from km_cli.run.hashed_rows import as_hashed, as_in_log
from km_cli.run.observer import Observer
from km_cli.run.opening import Mappers
from km_cli.run.overlaps import Overlaps
from km_cli.run.row_findings import RowFindings, moved_members
from km_cli.run.tally import PRUNED
from km_cli.run.unused_accounts import UnusedAccounts
from km_cli.strategies import EventLists, Expansion

_NOT_TAKEN = {
    "left-out": "it is outside of the selection",
    ANONYMOUS: "it names no persona, and is skipped",
    WITHHELD: "it only names an alias and is skipped",
}
"""Messages about rows that are not taken, by the code of their finding."""


class RowPlanner:
    """Plans the rows of one input after another, in order."""

    def __init__(
        self, settings: Settings, ledger: Ledger, observer: Observer, encode: Encode, *, seeks_ids: bool
    ) -> None:
        """With `seeks_ids`, it also looks for a column that could be the event's id."""
        self._encode = encode
        self._settings = settings
        self._ledger = ledger
        self._observer = observer
        self._seeks_ids = seeks_ids
        self._rules = Rules()
        self._lists_by_personas: dict[tuple[Persona, ...], EventLists] = {}
        self._record_as(settings.personas)
        self._forecaster = Forecaster(ledger.counts, settings.target.tracker, ledger.secret)

    def _record_as(self, personas: tuple[Persona, ...]) -> None:
        self._expansion = Expansion(personas)
        self._lists = self._lists_by_personas.setdefault(personas, EventLists(personas))

    def begin(
        self, settings: Settings, columns: Columns, mappers: Mappers, reading: Reading, overlaps: Overlaps
    ) -> None:
        """Begin an input. Its settings may differ from those of the run in how it is read."""
        self._settings = settings
        self._horizon = NO_HORIZON if settings.as_new else self._ledger.horizon.second
        self._record_as(settings.personas)
        self._waiting: list[tuple[Calls | None, int]] = []
        self._mappers = mappers
        self._overlaps = overlaps
        self._reading = reading
        self._is_hashed = settings.hasher is not None
        accounts = UnusedAccounts(columns, settings.personas, reading.columns)
        self._row_findings = RowFindings(
            columns, reading.source, settings.spread, accounts, seeks_ids=self._seeks_ids
        )
        self._planner = Planner(
            self._ledger.slots,
            settings.target.tracker,
            reading.number,
            overlaps,
            spread=settings.spread,
            collisions=settings.collisions,
            encode=self._encode,
            followed=[persona.name for persona in settings.personas if persona.sets],
            limits=settings.target.limits(),
            fingerprints=fingerprints_for(settings.target.tracker, self._ledger.secret),
        )

    def plan(self, one: Event | Reject | LeftOut) -> RowPlan:
        """Decide on a row. Its calls are in the forecast when its batch is."""
        self._waiting.append((None, 0))
        if isinstance(one, Event):
            return self._plan(one)
        if isinstance(one, Reject):
            return RowPlan(one.row, rejects=(one,))
        return left_out_plan(one)

    def _plan(self, event: Event) -> RowPlan:
        """Plan an event. The ledger keeps its row as it is sent; a reject has it as it stands in the log."""
        if not self._is_hashed:
            return self._planned(event)
        row, reading = event.row, self._reading
        plan = self._planned(event._replace(row=as_hashed(row, reading.columns, reading.delimiter)))
        return plan._replace(rejects=as_in_log(plan.rejects, row))

    def _planned(self, event: Event) -> RowPlan:
        own = self._mappers.reading_of(event.row)
        second = event.moment // NANOSECONDS
        self._overlaps.see(second, own, is_date=event.is_date)
        if second < self._horizon:
            return self._pruned(event)
        found = list(event.findings)
        found += self._row_findings.look(event)
        sequence = self._expansion.expand(event)
        if isinstance(sequence, Reject):
            return RowPlan(event.row, rejects=(sequence,), findings=tuple(found))
        if undone := self._lists.look(event):
            found.append(undone)
        if not sequence.calls:
            return RowPlan(event.row, findings=tuple(found), is_undone=True)
        found += self._rules.look(event)
        plan = self._planner.plan(sequence, own)
        self._waiting[-1] = (sequence, len(found))
        if self._settings.members is not None:
            found += moved_members(event, sequence, plan, self._settings.members)
        self._observer.planned(sequence, plan)
        return plan._replace(findings=(*found, *plan.findings)) if found else plan

    def _pruned(self, event: Event) -> RowPlan:
        """Return the plan of a row that is older than the horizon: it may have been sent, so it is not."""
        since = f"{datetime.fromtimestamp(self._horizon, UTC):%Y-%m-%d %H:%M:%S} UTC"
        message = f"it is older than {since}, before which the ledger has forgotten the calls"
        return RowPlan(event.row, findings=(_about(PRUNED, message, event.row),))

    def with_forecast(self, plans: Sequence[RowPlan]) -> Sequence[RowPlan]:
        """Return the plans of a batch, all since the last one, with the findings of the forecast."""
        waiting, self._waiting = self._waiting, []
        all_found = self._forecaster.take([sequence for sequence, _ in waiting], plans)
        if not all_found:
            return plans
        complete = list(plans)
        for row, found in all_found.items():
            at, before = waiting[row][1], plans[row].findings
            complete[row] = plans[row]._replace(findings=(*before[:at], *found, *before[at:]))
        return complete

    def end_of_input(self) -> Iterator[Finding]:
        """Yield the findings that need all rows of an input."""
        return self._row_findings.end()

    def left_to_others(self) -> Iterator[tuple[Finding, int]]:
        """Yield the findings about events that some persona's list lacks, with the number of their rows."""
        for lists in self._lists_by_personas.values():
            yield from lists.left_to_others()

    def forecast(self) -> Forecast:
        """Return the forecast for the calls planned so far."""
        return {
            site.name: self._ledger.counts.total(self._forecaster.site(site.name))
            for site in self._settings.people.sites
        }


def left_out_plan(one: LeftOut) -> RowPlan:
    """Return the plan of a row that is not taken: the finding that says why."""
    message = f"it does not meet {one.condition!r}" if one.condition else _NOT_TAKEN[one.code]
    return RowPlan(one.row, findings=(_about(one.code, message, one.row, one.why),))


def _about(code: str, message: str, row: Row, who: str = "") -> Finding:
    return Finding(code, message, row.source, row.line, who)
