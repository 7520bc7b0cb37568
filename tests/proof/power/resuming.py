"""Goes on after a power loss, and says what is wrong then."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.proof.power.judging import count_again, rejects_in
from tests.proof.power.losses import State
from tests.proof.power.recording import Recording, lay_out
from tests.proof.power.scenes import FORM, LOGS, Scene, bad_lines
from tests.support.accounting import compare
from tests.support.rowcount import count, read
from tests.support.tracker import Hit, Tracker

_FINE = (0, 65)


class Broken(Exception):
    """A run after the power loss did not end well."""


def wrong_after(scene: Scene, recording: Recording, state: State, tracker: Tracker) -> list[str]:
    """Lay out the state, go on with it, and return each promise that is broken; nothing if all are kept."""
    lay_out(state, recording.place.disk)
    tracker.forget()
    before = recording.hits[: state.requests]
    try:
        resumed = sum(_resumed(scene, recording))
    except Broken as broken:
        return [str(broken)]
    after = list(tracker.hits)
    return [
        *_wrong_extras(count_again(before, after), resumed),
        *_wrong_calls(scene, recording, (*before, *after)),
        *_wrong_end(scene, recording, tracker),
    ]


def _run(recording: Recording, template: str) -> dict[str, object]:
    """Run a command, and return its summary. Raises Broken if it did not end well."""
    result = recording.place.command()(*recording.place.words(template))
    if result.code not in _FINE or "Traceback" in result.err:
        raise Broken(f"{template}: exit {result.code}\n{result.err}{result.out}".rstrip())
    return (
        dict(result.summary) if "--json" in template and template.startswith(("import", "backfill")) else {}
    )


def _resumed(scene: Scene, recording: Recording) -> Iterator[int]:
    """Run the commands again; yield how many calls of the outbox each has sent."""
    for template in scene.again(recording.place):
        calls = _run(recording, template).get("calls")
        yield calls["resumed"] if isinstance(calls, dict) else 0


def _wrong_extras(again: int, resumed: int) -> list[str]:
    """Only a call of the outbox may come again: any other one had left before its bytes were durable."""
    return [f"{again} calls came again, and {resumed} were in the outbox"] if again > resumed else []


def _wrong_calls(scene: Scene, recording: Recording, hits: Sequence[Hit]) -> list[str]:
    logs = [recording.place.logs / name for name in LOGS]
    rejected = rejects_in(_rejects(recording))
    lost = [
        f"{log.name}, line {line}: neither user nor account, and not in the rejects"
        for log in logs
        for line in sorted(bad_lines(log))
        if (str(log), line) not in rejected
    ]
    counted = count([read(log, FORM) for log in logs], FORM, rejected=rejected)
    try:
        calls = list(scene.arrived(recording.place, hits))
    except (AssertionError, ValueError, OSError, EOFError, sqlite3.Error) as error:
        return [f"the calls at the destination cannot be read: {error!r}"]
    return [*lost, *counted.wrong, *compare(counted, calls, FORM.spread)]


def _rejects(recording: Recording) -> list[Path]:
    """Return the rejects files on the disk, and that of a run before the recording."""
    return sorted(recording.place.folder.rglob("rejects*"))


def _wrong_end(scene: Scene, recording: Recording, tracker: Tracker) -> list[str]:
    """The ledger is whole, no bulk file is left open, and another run sends nothing."""
    number = len(tracker.seen)
    try:
        _run(recording, f"ledger check {scene.ledger}")
        _run(recording, scene.commands[-1])
    except Broken as broken:
        return [str(broken)]
    left = [f"{path.name} is left" for path in recording.place.disk.glob("*.part")]
    return left + ["a run with nothing new has sent calls"] * (len(tracker.seen) > number)
