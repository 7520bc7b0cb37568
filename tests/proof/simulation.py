"""Sending in virtual time: the real courier, a clock that never waits, and a destination in memory.

`Simulation.run` runs a whole command in this process. Nothing is waited for, so an outage of a day takes no
time, and nothing goes over a network. A run can be killed: the simulation copies the state folder at that
moment, lets the rest happen in vain, and puts the copy back.
"""

from __future__ import annotations

import heapq
import math
import os
import shutil
from collections.abc import Callable, Sequence
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from random import Random
from typing import NamedTuple
from unittest.mock import patch

from km_cli.cli import group
from km_cli.cli.outcome import exit_code_of
from km_cli.config.environment import Environment
from km_cli.delivery.courier import Courier, Request
from km_cli.delivery.driver import Driver
from km_cli.destinations import answers
from km_cli.destinations.answers import Reply, Route
from km_cli.model import Answer, PlannedCall, Receipt
from km_cli.protocols import Clock
from km_cli.run import importing
from tests.support.command import KEY
from tests.support.tracker import GIF

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Each command reads the certificates that they name, which takes longer than all the rest."""
_ROUTE = Route("tracker.example", "")


class Mood(NamedTuple):
    """How the destination behaves: the chances of each fault, and until when it is away altogether."""

    away_until: float = 0.0
    lost: float = 0.0
    """The call is kept, and its answer does not arrive."""
    broken: float = 0.0
    throttled: float = 0.0
    page: float = 0.0
    """A page of HTML with status 200."""

    @property
    def is_calm(self) -> bool:
        """Whether nothing goes wrong."""
        return not (self.away_until or self.lost or self.broken or self.throttled or self.page)


CALM = Mood()


class Destination:
    """Keeps the bytes of the calls that arrive, in order."""

    def __init__(self, seed: int) -> None:
        self.calls: list[bytes] = []
        self.mood = CALM
        self._chance = Random(seed)

    def take(self, call: PlannedCall, now: float) -> tuple[float, Answer]:
        """Take a call that arrives; return after how many seconds the answer comes, and the answer."""
        mood, chance = self.mood, self._chance
        latency = chance.choice((0.02, 0.05, 0.3, 2.0))
        if now < mood.away_until:
            return latency, chance.choice((answers.connection_refused(_ROUTE), _reply(503), _reply(502)))
        if chance.random() < mood.broken:
            return latency, answers.broken(_ROUTE, "reset")
        if chance.random() < mood.throttled:
            return latency, _reply(429, wait=chance.choice(("1", "30", "400")))
        if chance.random() < mood.page:
            return latency, _reply(200, b"<html>", "text/html")
        self.calls.append(call.payload)
        if chance.random() < mood.lost:
            return 30.0, answers.timed_out(_ROUTE)
        return latency, _reply(200, GIF, "image/gif")


def _reply(status: int, body: bytes = b"", kind: str = "text/plain", wait: str | None = None) -> Answer:
    return answers.classify_reply(Reply(status, "", kind, wait, body), 0.0)


class Simulation:
    """The clock of a machine, its state folder, and the destination."""

    def __init__(self, folder: Path, seed: int, begin: float) -> None:
        self.home = folder
        self.destination = Destination(seed)
        self._random = Random(seed + 1)
        self._now = begin
        self._runs = 0
        self._moments = 0
        self._kill_at = math.inf
        self._kept = 0

    @property
    def state(self) -> Path:
        """The folder of ledger and rejects."""
        return self.home / "state"

    # The clock, which is that of the command

    def now(self) -> float:
        """Seconds since 1970."""
        return self._now

    def monotonic(self) -> float:
        """The same: this clock is never set back."""
        return self._now

    def move_to(self, now: float) -> None:
        """Let time pass. It never goes back."""
        self._now = max(self._now, now)

    # Runs

    def run(self, words: Sequence[str | Path], kill_at: float = math.inf) -> int | None:
        """Run a command; return its exit code, None if it was killed at the moment with this number.

        Raises AssertionError if it shows a traceback or the key.
        """
        self._moments, self._kill_at, self._runs = 0, kill_at, self._runs + 1
        out, err = _stream(), _stream()
        variables = {
            **{name: value for name, value in os.environ.items() if name not in _BUNDLES},
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.state),
            "KM_API_KEY": KEY,
            "KM_CLI_TRANSPORT": "requests",
        }
        environment = Environment(variables, StringIO(), out, err, self, self._random, self._runs)
        with (
            patch.dict(os.environ, variables, clear=True),
            patch.object(importing, "Pool", _VirtualPool),
        ):
            code = exit_code_of(group, [str(word) for word in words], environment)
        said = _text(out) + _text(err)
        assert "Traceback" not in said, said
        assert KEY not in said
        if self._moments >= self._kill_at:
            self._bring_back()
            return None
        assert code in (0, 65, 69, 75), f"exit {code}\n{said}"
        return code

    def moment(self) -> None:
        """Pass a moment at which the machine may lose the process."""
        self._moments += 1
        if self._moments == self._kill_at:
            shutil.copytree(self.state, self._cut, dirs_exist_ok=True)
            self._kept = len(self.destination.calls)

    @property
    def _cut(self) -> Path:
        return self.home / "cut"

    def _bring_back(self) -> None:
        """Let be all that has happened since the process was killed."""
        shutil.rmtree(self.state)
        self._cut.rename(self.state)
        del self.destination.calls[self._kept :]


class _VirtualPool(Driver):
    """Sends what the courier says to the simulated destination, while the pipeline waits for receipts."""

    most = 64

    def __init__(self, _: object, courier: Courier, clock: Clock, *, window: int) -> None:
        super().__init__(courier, clock, window)
        assert isinstance(clock, Simulation)
        self._simulation = clock
        self._under_way: list[tuple[float, int, Request, Answer]] = []
        self._begun = 0

    def _wake(self, calls: int) -> None:
        """Do nothing: there are no threads."""

    def _wake_all(self) -> None:
        """Do nothing: there are no threads."""

    def _join(self) -> None:
        """Do nothing: there are no threads."""

    def submit(self, planned_calls: Sequence[PlannedCall]) -> None:
        """Take durable calls."""
        self._simulation.moment()
        super().submit(planned_calls)

    def receipts(self, wait: float = 0.0) -> list[Receipt]:
        """Let time pass until there is something to act on, `wait` seconds at most."""
        if not self.is_idle:
            with self._lock:
                self._play(self._simulation.now() + wait, lambda: self._has_progress)
        return super().receipts()

    def finish_in_flight(self, grace: float) -> None:
        """Send nothing more; wait for the answers to calls in flight."""
        with self._lock:
            self._draining = True
            self._play(self._simulation.now() + grace, lambda: not self._under_way)

    def _play(self, until: float, is_enough: Callable[[], bool]) -> None:
        while True:
            wait = math.inf if self._draining else self._send()
            now = self._simulation.now()
            if is_enough() or self.failure is not None:
                return
            answered = self._under_way[0][0] if self._under_way else math.inf
            coming = min(answered, now + max(wait, 1e-3))
            if coming > until:
                self._simulation.move_to(until)
                return
            self._simulation.move_to(coming)
            if answered <= coming:
                _, _, request, answer = heapq.heappop(self._under_way)
                self._simulation.moment()
                self._settle([(request, answer)])

    def _send(self) -> float:
        """Send all that may go now; return in how many seconds the next may."""
        simulation = self._simulation
        while isinstance(found := self._courier.take(simulation.now()), Request):
            simulation.moment()
            latency, answer = simulation.destination.take(found.calls[0].call, simulation.now())
            self._begun += 1
            heapq.heappush(self._under_way, (simulation.now() + latency, self._begun, found, answer))
        return found


def _stream() -> TextIOWrapper:
    return TextIOWrapper(BytesIO(), encoding="utf-8", errors="backslashreplace", write_through=True)


def _text(stream: TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, BytesIO)
    return buffer.getvalue().decode()
