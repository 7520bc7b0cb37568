"""Makes an import plan of a rehearsal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple, TypeVar

from km_cli.config.settings import Settings
from km_cli.import_plan import CallsOf, Found, ImportPlan, Input, LedgerPart, Proof, Total
from km_cli.import_plan.chain import sum_text
from km_cli.import_plan.content import FORMAT
from km_cli.ledger import Ledger, readings_known, state_of
from km_cli.mapping import WITHHELD
from km_cli.rules import Severity, about_code
from km_cli.run.plan_settings import settings_of
from km_cli.run.plan_taking import ALIASES, RECORDS, SETS, InputRows, PlanTaker
from km_cli.run.rehearsal import Rehearsed
from km_cli.run.tally import Tally

One = TypeVar("One")

_MOST_DAYS = 62
"""Calls are counted by day if there are no more days than that, else by month."""

_MOST_INPUTS = 20
_LONGEST_LINES = 200
_LONGEST_MESSAGE = 300
_QUOTES_THE_LOG = frozenset({WITHHELD, "unmet-condition"})
"""Findings whose messages quote values that no call has."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Made(NamedTuple):
    """When, and by which version, a plan is made. `now` is in seconds since 1970."""

    now: float
    version: str


class Rehearsal(NamedTuple):
    """A rehearsal that was whole, with all that was counted.

    `inputs` are the files as they were on disk, and `columns` says in words which column has which role, by
    input. `ledger` is the state before it, and `cost` compares with the plans in km.toml.
    """

    rehearsed: Rehearsed
    taker: PlanTaker
    inputs: tuple[Input, ...]
    columns: Mapping[str, str]
    ledger: LedgerPart
    cost: Mapping[str, str]


def make_plan(settings: Settings, made: Made, found: Rehearsal) -> ImportPlan:
    """Return the plan, without its digest."""
    rehearsed, taker = found.rehearsed, found.taker
    tally = rehearsed.tally
    return ImportPlan(
        format=FORMAT,
        made=f"{datetime.fromtimestamp(made.now, UTC):%Y-%m-%dT%H:%M:%SZ}",
        km_cli=made.version,
        digest="",
        total=Total(
            rows=tally.rows.read,
            rows_to_send=tally.rows.sent,
            rows_to_skip=tally.rows.skipped,
            rows_to_reject=tally.rows.rejected,
            calls=tally.calls.planned,
            left_by_earlier_runs={site: number for site, number in rehearsed.pending.items() if number},
        ),
        calls=_calls(taker),
        days=_days(taker.days),
        findings=_findings(tally, in_clear=settings.hasher is None),
        rejects=_rejects(tally, in_clear=settings.hasher is None),
        forecast={
            site: {persona: held._asdict() for persona, held in sorted(personas.items())}
            for site, personas in rehearsed.forecast.items()
        },
        cost=dict(found.cost),
        inputs=[_input(one, taker.inputs.get(one.name), found.columns) for one in found.inputs],
        settings=settings_of(settings),
        ledger=found.ledger,
        proof=Proof(
            sums={site: sum_text(total) for site, total in sorted(taker.sums.items())},
            chain=taker.position.whole.hex(),
            blocks=[block[:] for block in taker.blocks],
        ),
    )


def ledger_part(ledger: Ledger, tracker: str) -> LedgerPart:
    """Return the state of a ledger before a rehearsal. Raises LedgerError."""
    state = state_of(ledger, tracker)
    return LedgerPart(**state._asdict(), readings_known=readings_known(ledger, state.readings))


def _input(one: Input, rows: InputRows | None, columns: Mapping[str, str]) -> Input:
    found = rows or InputRows(0, 0, 0)
    return Input(
        name=one.name,
        bytes=one.bytes,
        sha256=one.sha256,
        columns=columns.get(one.name, ""),
        rows=found.rows,
        first_line=found.first,
        last_line=found.last,
    )


def _calls(taker: PlanTaker) -> list[CallsOf]:
    found = []
    by_persona = groupby(sorted(taker.calls.items()), lambda one: one[0][:2])
    for (site, persona), counted in by_persona:
        kinds: Counter[str] = Counter()
        events: dict[str, int] = {}
        for (_, _, kind, event), number in counted:
            kinds[kind] += number
            if kind == RECORDS:
                events[event] = number
        found.append(
            CallsOf(
                site=site,
                persona=persona,
                records=kinds[RECORDS],
                sets=kinds[SETS],
                aliases=kinds[ALIASES],
                new_people=taker.people[site, persona],
                events=events,
            )
        )
    return found


def _days(counted: Mapping[tuple[str, int], int]) -> dict[str, dict[str, int]]:
    """Return calls by site, and by day or month. Aliases have no day, and are left out."""
    dated = {place: number for place, number in counted.items() if place[1]}
    form = "%Y-%m" if len({day for _, day in dated}) > _MOST_DAYS else "%Y-%m-%d"
    found: dict[str, dict[str, int]] = {}
    for (site, day), number in sorted(dated.items()):
        name = f"{_EPOCH + timedelta(days=day):{form}}"
        days = found.setdefault(site, {})
        days[name] = days.get(name, 0) + number
    return found


def _findings(tally: Tally, *, in_clear: bool) -> list[Found]:
    return [
        _found(
            tally,
            code,
            tally.findings[code],
            first.source,
            first.line,
            first.message if in_clear or code not in _QUOTES_THE_LOG else about_code(code).meaning,
        )
        for code, first in _gravest_first(tally.examples.items())
    ]


def _rejects(tally: Tally, *, in_clear: bool) -> list[Found]:
    """Return the rejects by code. If values stay home, a plan has no reason that was found in the log itself.

    A plan is made to be passed on. Such a row is rejected as a whole; one that is owed in parts was judged
    by its digests.
    """
    return [
        _found(
            tally,
            code,
            tally.reasons[code],
            first.row.source,
            first.row.line,
            first.reason if in_clear or first.owed else about_code(code).meaning,
        )
        for code, first in _gravest_first(tally.rejects.items())
    ]


def _gravest_first(items: Iterable[tuple[str, One]]) -> list[tuple[str, One]]:
    order = list(Severity)
    return sorted(items, key=lambda item: (order.index(about_code(item[0]).severity), item[0]))


def _found(tally: Tally, code: str, count: int, source: str, line: int, message: str) -> Found:
    places = tally.places[code].by_source() if code in tally.places else {}
    place = f"{source}, line {line}: " if line else f"{source}: " if source else ""
    return Found(
        code=code,
        severity=about_code(code).severity.value,
        count=count,
        first=_shortened(f"{place}{message}", _LONGEST_MESSAGE),
        lines=[_shortened(f"{name}: {lines}", _LONGEST_LINES) for name, lines in places.items()][
            :_MOST_INPUTS
        ],
    )


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
