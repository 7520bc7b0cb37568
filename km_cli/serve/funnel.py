"""The funnel of `compare`, counted over the store instead of a log."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from km_cli.compare import Funnel, make_funnel
from km_cli.compare.as_json import persona_object
from km_cli.compare.counting import count
from km_cli.compare.table import Table
from km_cli.errors import UsageError
from km_cli.model import NANOSECONDS
from km_cli.serve.personas import Personas
from km_cli.standin import Looker

_ROWS = 1000
"""Events that are taken at a time."""


def funnel_of_store(store: Path, personas: Personas, steps: Sequence[str], within: str) -> dict[str, Any]:
    """Return the funnel of each persona, as `km-cli compare --json` has it. Raises UsageError."""
    funnel = _funnel(steps, within)
    with Looker(store) as looker:
        people = list(looker.people())
        found = personas.of([(one.product, one.identities) for one in people])
        names = sorted(set(found))
        if not names:
            return _object(funnel, {})
        with closing(Table(names)) as table:
            _fill(table, looker, funnel, {one.number: name for one, name in zip(people, found, strict=True)})
            may_do = [[True] * len(funnel.steps) for _ in names]
            counted = count(table, funnel, [may_do], range(len(funnel.steps)))
    return _object(funnel, {one.persona: persona_object(one, "") for one in counted})


def _funnel(steps: Sequence[str], within: str) -> Funnel:
    """Return the funnel. The messages of `compare` name its options, which are parameters here."""
    try:
        return make_funnel(steps, within)
    except UsageError as error:
        raise UsageError(
            str(error).replace("--funnel", "step=").replace("--within", "within="),
            "for example ?step=Signed%20Up&step=Upgraded&within=30d",
        ) from None


def _fill(table: Table, looker: Looker, funnel: Funnel, persona_of: dict[int, str]) -> None:
    """Write the events of the funnel's steps into the table: each person is a group of its own."""
    named = iter(looker.named(funnel.steps))
    while rows := list(islice(named, _ROWS)):
        groups = [_group(table, person, persona_of[person]) for person, _, _ in rows]
        moments = [second * NANOSECONDS for _, second, _ in rows]
        table.take(groups, moments, [step for _, _, step in rows])
    table.finish()


def _group(table: Table, person: int, persona: str) -> tuple[str, ...]:
    """Return the names of a group with one person: "" for all personas but its own."""
    return tuple(str(person) if persona == name else "" for name in table.personas)


def _object(funnel: Funnel, personas: dict[str, Any]) -> dict[str, Any]:
    return {
        "funnel": {"steps": list(funnel.steps), "within_seconds": funnel.within},
        "personas": personas,
    }
