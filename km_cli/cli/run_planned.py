"""`import --plan`: send exactly the calls of an import plan, or refuse before the first one leaves.

All inputs are read once without sending, as --strict does, and the calls are compared with those of the plan.
If an earlier run of the same plan was cut off, this compares what that run left.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import click

from km_cli.cli.conclusion import warn_of_exposed_keys
from km_cli.cli.context import environment_of
from km_cli.cli.plan_file import Planning, PlanningObserver, check_target, inputs_of, read_plan
from km_cli.cli.run_import import send_and_report
from km_cli.cli.settings import make_settings
from km_cli.cli.sources import make_file_sources
from km_cli.cli.terminal.show import complain
from km_cli.config.files import expanded
from km_cli.config.settings import Settings
from km_cli.errors import PlanDiffers
from km_cli.import_plan import (
    START,
    ImportPlan,
    Position,
    changes,
    differences,
    differences_of_files,
    first_change,
    first_change_of_rest,
    parse,
)
from km_cli.ledger import Ledger, RunRecord, readings_known, runs_since, state_of
from km_cli.run.pipeline import Pipeline
from km_cli.run.plan_guard import Guard, Progress, progress_of
from km_cli.run.plan_settings import settings_of
from km_cli.run.plan_taking import Marks
from km_cli.run.rehearsal import Rehearsed, check_strictly, rehearse
from km_cli.run.stopping import Stop

_MOST_LISTED = 5

_LATER = (
    "does not fit any more, although inputs, settings and ledger are the same (rows with times more than a "
    "day ahead are judged by the time of the import)"
)


class _Asked(NamedTuple):
    """The command: its context and settings, and the plan with the path of its file."""

    context: click.Context
    settings: Settings
    path: Path
    plan: ImportPlan

    def refuse(self, found: Iterable[str], because: str = "is not what would be sent now") -> None:
        """Raise PlanDiffers if there are differences. Nothing was sent."""
        listed = list(filter(None, found))
        if listed:
            more = f"; and {len(listed) - _MOST_LISTED:,} more" if len(listed) > _MOST_LISTED else ""
            message = f"{self.path} {because}: {'; '.join(listed[:_MOST_LISTED])}{more}"
            raise PlanDiffers(f"{message}. Nothing was sent", self.hint)

    @property
    def hint(self) -> str:
        """What to do if the plan does not fit any more."""
        return f"make it again with km-cli dry-run … --out {self.path}, and have it reviewed"


def run_planned_import(context: click.Context) -> int:
    """Compare with the plan, send, print a report and return the exit code. Raises PlanDiffers."""
    settings = make_settings(context)
    check_target(settings, "--plan")
    keys = settings.keys()
    warn_of_exposed_keys(settings)
    path = expanded(context.params["plan"], "--plan")
    asked = _Asked(context, settings, path, read_plan(path, "--plan"))
    _check_settings(asked)
    progress, last_run = _check_ledger(asked)
    if progress is not None and progress.is_whole:
        complain(
            f"{path} was carried out by run {progress.run}, and has nothing left to send",
            f"km-cli show --run {progress.run} shows that run; for new rows, make another plan",
        )
        return send_and_report(context, settings, keys, Stop(), lambda _: None)
    begun = progress.at if progress else START
    if settings.limit is not None:
        asked = asked._replace(settings=replace(settings, limit=max(0, settings.limit - begun.taken)))
    with closing(Marks()) as marks:
        _rehearse_as_planned(asked, begun, marks)
        guard = Guard(str(path), asked.plan.digest, marks, begun, last_run)
        return _send(asked, keys, guard)


def _send(asked: _Asked, keys: dict[str, str], guard: Guard) -> int:
    stop = Stop()
    sources = make_file_sources(asked.settings, stop, environment_of(asked.context))

    def work(pipeline: Pipeline) -> None:
        pipeline.run(sources)
        guard.end()

    return send_and_report(asked.context, asked.settings, keys, stop, work, guard=guard)


def _check_ledger(asked: _Asked) -> tuple[Progress | None, int]:
    """Return how far earlier runs of the plan got, and the number of the ledger's last run.

    Raises PlanDiffers if the ledger is another one, or another run has planned calls since.
    """
    planned, settings = asked.plan.ledger, asked.settings
    with closing(Ledger.overlay(settings.ledger)) as ledger:
        state = state_of(ledger, settings.target.tracker)
        if (
            state.last_run < planned.last_run
            or readings_known(ledger, planned.readings) != planned.readings_known
        ):
            asked.refuse([f"the ledger {settings.ledger} is another one, with other logs and runs"])
        progress, others = _progress(ledger, asked.plan)
    if progress is None or not progress.is_whole:
        asked.refuse(others)
    if progress is None and state.state != planned.state:
        asked.refuse(
            [f"the ledger {settings.ledger} has changed since: its logs or the calls that it counts"]
        )
    return progress, state.last_run


def _progress(ledger: Ledger, plan: ImportPlan) -> tuple[Progress | None, list[str]]:
    """Return how far the runs of the plan got, and in words the other runs that have planned calls since."""
    progress, others = None, []
    for run, calls in runs_since(ledger, plan.ledger.last_run):
        with ledger.decoding("runs"):
            found = progress_of(run.counts, plan.digest, run.number)
        if found is not None:
            progress = found
        elif calls:
            others.append(_described(run, calls))
    return progress, others


def _described(run: RunRecord, calls: int) -> str:
    began = f"{datetime.fromtimestamp(run.began, UTC):%Y-%m-%d %H:%M}"
    return f"run {run.number} ({run.command}, {began} UTC) has planned {calls:,} calls since"


def _check_settings(asked: _Asked) -> None:
    """Raise PlanDiffers for another version of km-cli, or other settings."""
    if asked.plan.km_cli != version("km-cli"):
        asked.refuse([f"km-cli {asked.plan.km_cli} made it, and this is {version('km-cli')}"])
    found = list(changes(asked.plan.settings, settings_of(asked.settings), "settings"))
    # The digest stands for all settings: it is named only if none of the others shows what is different.
    asked.refuse([one for one in found if not one.startswith("settings.digest")] or found)


def _rehearse_as_planned(asked: _Asked, begun: Position, marks: Marks) -> None:
    """Rehearse what is left to send, and compare it with the plan. `marks` keeps the marks of its rows.

    Raises PlanDiffers, and any error that would end the import.
    """
    context, settings, path, plan = asked
    inputs = inputs_of(settings, "--plan")
    files = list(differences_of_files(plan.inputs, inputs))
    if [one.name for one in inputs] != [one.name for one in plan.inputs]:
        asked.refuse(files)
    planning = Planning(context, settings, inputs, begun, marks)
    found, columns = _rehearse(asked, planning)
    if files:
        asked.refuse([*files, _lines(plan, planning, found, begun)])
    if found.ended is not None:
        raise found.ended
    if begun == START:
        now = parse(planning.text(found, columns), str(path))
        asked.refuse(differences(plan, now), _LATER)
    elif planning.taker.position.whole.hex() != plan.proof.chain:
        change = _lines(plan, planning, found, begun) or "other calls than those that are left of it"
        asked.refuse([change], "is not what an import that goes on with it would send")
    if context.params["strict"]:
        check_strictly(found.tally)


def _rehearse(asked: _Asked, planning: Planning) -> tuple[Rehearsed, dict[str, str]]:
    settings, environment, flags = asked.settings, environment_of(asked.context), asked.context.params
    sources = make_file_sources(settings, Stop(), environment)
    quiet = flags["quiet"] or flags["as_json"]
    with PlanningObserver(settings, environment, quiet=quiet, sends=False) as observer:
        work = planning.work(lambda pipeline, _: pipeline.run(sources))
        found = rehearse(settings, observer, work, Stop(), environment, planning.taker)
    return found, observer.columns


def _lines(plan: ImportPlan, planning: Planning, found: Rehearsed, begun: Position) -> str:
    """Return in words the first lines that differ, "" if no line does."""
    if found.ended is not None:
        return f"an import would end with: {found.ended}"
    blocks = planning.taker.blocks
    if begun == START:
        return first_change(plan.proof.blocks, blocks)
    return first_change_of_rest(plan.proof.blocks, blocks, begun.rows - begun.in_block)
