"""What a strategy would leave in Kissmetrics: a dry run, and the funnel counted over its calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import NamedTuple

from km_cli.compare.counting import count
from km_cli.compare.funnel import CountedFunnel, Funnel, counted
from km_cli.compare.logs import Log
from km_cli.compare.months import Months, months_of
from km_cli.compare.table import Table
from km_cli.config.environment import Environment
from km_cli.config.people import People
from km_cli.config.settings import Settings
from km_cli.config.sites import Site
from km_cli.kissmetrics import MOST_INSTANCES, fold_name
from km_cli.ledger import Ledger
from km_cli.model import NANOSECONDS, Held, Persona, Record, RowPlan
from km_cli.model import Sequence as Calls
from km_cli.run.observer import Observer
from km_cli.run.pipeline import Pipeline
from km_cli.run.rehearsal import Rehearsed, rehearse
from km_cli.run.stopping import Stop
from km_cli.strategies import STRATEGIES, event_naming

IN_FORCE = "km.toml"
"""The name of the personas that km.toml describes, beside those of the strategies."""

StepNames = Sequence[tuple[str, ...]]
"""The names under which a persona's steps are recorded; none for a step that the persona does not do."""

_FIRST, _SECOND = "main", "accounts"
_MOST_WAITING = 1000


class HeldPersona(NamedTuple):
    """What Kissmetrics would hold of one persona under a strategy, and its funnel there.

    `events` is how many events are billed, of which `step_events` are steps of the funnel. `left_out` are the
    steps that the persona does not do. `moved` step events get another second (D1), `dropped` ones are older
    than the last 1,000 of their name (D7).
    """

    persona: str
    site: str
    people: int
    events: int
    properties: int
    step_events: int
    left_out: tuple[str, ...]
    funnel: CountedFunnel
    moved: int
    dropped: int


class Report(NamedTuple):
    """The funnel as a report in Kissmetrics counts it: a site's people and accounts together (crossover)."""

    site: str
    personas: tuple[str, ...]
    funnel: CountedFunnel


class HeldStrategy(NamedTuple):
    """What a strategy would leave in Kissmetrics. `lost` events find no free second and are rejected (D1)."""

    name: str
    personas: tuple[HeldPersona, ...]
    reports: tuple[Report, ...]
    calls: int
    rejected: int
    lost: int
    months: Months

    @property
    def events(self) -> int:
        """All events, which are billed."""
        return sum(one.events for one in self.personas)


class _Recorder(Observer):
    """Keeps the planned records of a dry run: the steps in a table, and counts of all."""

    def __init__(self, table: Table, names: Sequence[StepNames], follow: Callable[[int], None]) -> None:
        """`names` are those of the steps for each persona."""
        self.table = table
        self.names = names
        self._steps = {
            persona: {fold_name(new): place for place, news in enumerate(own) for new in news}
            for persona, own in zip(table.personas, names, strict=True)
        }
        self._places = {persona: place for place, persona in enumerate(table.personas)}
        self._follow = follow
        self._rows = 0
        self._groups: list[tuple[str, ...]] = []
        self._moments: list[int] = []
        self._numbers: list[int] = []
        self.events: Counter[str] = Counter()
        self.step_events: Counter[str] = Counter()
        self.moved: Counter[str] = Counter()
        self.by_day: Counter[int] = Counter()

    def planned(self, _sequence: Calls, plan: RowPlan) -> None:
        """Keep the records of a row, each at the second that it takes."""
        self._rows += 1
        if self._rows % 1000 == 0:
            self._follow(self._rows)
        for call, planned in zip(plan.calls, plan.planned, strict=True):
            if type(call) is not Record:
                continue
            persona = call.persona
            self.events[persona] += 1
            self.by_day[planned.taken // 86_400] += 1
            step = self._steps[persona].get(fold_name(call.event))
            if step is not None:
                self.step_events[persona] += 1
                self.moved[persona] += planned.taken != planned.second
                self._add(self._places[persona], call.identity, planned.taken, step)

    def _add(self, place: int, identity: str, second: int, step: int) -> None:
        """Add a step, as one of a group with this identity alone."""
        names = tuple([identity if at == place else "" for at in range(len(self.table.personas))])
        self._groups.append(names)
        self._moments.append(second * NANOSECONDS)
        self._numbers.append(step)
        if len(self._groups) >= _MOST_WAITING:
            self.write()

    def write(self) -> None:
        """Write the steps that wait into the table."""
        waiting = self._groups, self._moments, self._numbers
        self.table.take(*waiting)
        for each in waiting:
            each.clear()


def people_of(name: str, people: People) -> People:
    """Return the personas of a strategy, with the columns, prefixes and properties of those in force."""
    if name == IN_FORCE:
        return people
    actor_form, other_form = STRATEGIES[name].personas(_FIRST, _SECOND)
    actor, *others = people.personas
    carried = tuple((one.name.capitalize(), one.name) for one in others)
    personas = (
        _formed(actor, actor_form, carried if actor_form.link else ()),
        *(_formed(one, other_form, ()) for one in others),
    )
    used = dict.fromkeys(one.site for one in personas if one.is_recorded)
    return people._replace(personas=personas, sites=tuple(Site(site) for site in used))


def _formed(persona: Persona, form: Persona, link: tuple[tuple[str, str], ...]) -> Persona:
    """Return a persona in the form that a strategy gives it."""
    sets = () if form.events == () else persona.sets
    alias = "" if form.events == () else persona.alias
    return persona._replace(
        site=form.site, events=form.events, rename=form.rename, link=link, sets=sets, alias=alias
    )


def hold(
    name: str,
    settings: Settings,
    funnel: Funnel,
    log: Log,
    environment: Environment,
    follow: Callable[[int], None],
    rules: Sequence[Sequence[Persona]] = (),
) -> HeldStrategy:
    """Return what a strategy would leave in Kissmetrics of all rows, whatever was sent before.

    `rules` are the personas in force for the rows of the log, if those of its sources differ.
    `settings` name a ledger that does not exist. `follow` is told how many rows are planned. Raises KmError
    if the strategy cannot be rehearsed.
    """

    def change(settings: Settings) -> Settings:
        return replace(settings, people=people_of(name, settings.people))

    settings = change(settings)
    people = settings.people
    if name != IN_FORCE or not rules:
        rules = [people.personas]
    names = [_step_names([rule[at] for rule in rules], funnel) for at in range(len(people.personas))]
    with closing(Table([persona.name for persona in people.personas])) as table:
        recorder = _Recorder(table, names, follow)

        def work(pipeline: Pipeline, ledger: Ledger) -> None:
            log.read(pipeline, ledger, settings, change)

        rehearsed = rehearse(settings, recorder, work, Stop(), environment)
        if rehearsed.ended is not None:
            raise rehearsed.ended
        recorder.write()
        table.finish()
        return _held(name, people, recorder, rehearsed, funnel)


def _step_names(personas: Sequence[Persona], funnel: Funnel) -> StepNames:
    """Return the names of the steps of one persona, under each rule."""
    found = [dict.fromkeys(_naming(persona, step) for persona in personas) for step in funnel.steps]
    return [tuple(filter(None, names)) for names in found]


def _naming(persona: Persona, step: str) -> str:
    """Return the name under which a persona's step is recorded, "" if the persona does not do it."""
    naming = event_naming(persona)
    return naming(step) if naming else step


def _held(
    name: str, people: People, recorder: _Recorder, rehearsed: Rehearsed, funnel: Funnel
) -> HeldStrategy:
    table, names, tally = recorder.table, recorder.names, rehearsed.tally
    dropped = table.keep_last(MOST_INSTANCES)
    may_do = [[bool(news) for news in own] for own in names]
    funnels = count(table, funnel, [may_do], range(len(funnel.steps)))
    personas = []
    for place, (persona, one) in enumerate(zip(people.personas, funnels, strict=True)):
        if persona.is_recorded:
            held = rehearsed.forecast.get(persona.site, {}).get(persona.name, Held())
            counts = (recorder.events[persona.name], held.properties, recorder.step_events[persona.name])
            lasting = (one.left_out, one.in_force or one.funnel)
            changes = (recorder.moved[persona.name], dropped[place])
            personas.append(HeldPersona(persona.name, persona.site, held.people, *counts, *lasting, *changes))
    return HeldStrategy(
        name,
        tuple(personas),
        tuple(_reports(people, funnel, [one.funnel for one in funnels], names)),
        tally.calls.planned,
        tally.rows.rejected,
        tally.reasons["D1"],
        months_of(recorder.by_day),
    )


def _reports(
    people: People, funnel: Funnel, funnels: Sequence[CountedFunnel], names: Sequence[StepNames]
) -> Iterator[Report]:
    """Yield the report on the funnel in each site in which several personas do its first step."""
    folded = list(map(fold_name, funnel.steps))
    for site in people.sites:
        reached, who = [0] * len(folded), []
        for persona, one, own in zip(people.personas, funnels, names, strict=True):
            shown = [step in map(fold_name, news) for news, step in zip(own, folded, strict=True)]
            if persona.site != site.name or not shown[0]:
                continue
            who.append(persona.name)
            alike = shown.index(False) if False in shown else len(shown)
            for place in range(alike):
                reached[place] += one.steps[place].reached
        if len(who) > 1:
            yield Report(site.name, tuple(who), counted(funnel.steps, reached))
