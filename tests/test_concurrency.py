"""How many calls are in flight: in virtual time, and against a tracker whose capacity changes.

Nothing here depends on the speed of this machine: simulated servers have a clock of their own, and of a
tracker only the most requests that were in flight are judged.
"""

from __future__ import annotations

import heapq
import time
from pathlib import Path
from random import Random
from statistics import median

import pytest

from km_cli.delivery.concurrency import START, Concurrency
from km_cli.delivery.courier import Courier, Request
from km_cli.delivery.policy import Policy
from km_cli.model import Answer, AnswerKind
from tests.support import tracker as t
from tests.support.command import Command
from tests.support.delivering import Hands, delivering
from tests.support.drawing import examples
from tests.support.tracker import Hit, Reaction, Tracker
from tests.support.virtual import planned_calls

SEEDS = range(examples(4))


class Server:
    """A server in virtual time that takes `capacity` calls a second, each of which takes `latency` seconds.

    Calls beyond its capacity wait in line. `jitter` is the random part of both, 0.0 for none.
    """

    def __init__(self, capacity: float, latency: float, *, jitter: float = 0.0, seed: int = 0) -> None:
        self.capacity = capacity
        self.latency = latency
        self.refuses_above: float = 1e9
        """Calls in flight; further ones are answered with 503."""
        self.now = 0.0
        self.limits: list[int] = []
        """The limit at each answer."""
        self._jitter = jitter
        self._random = Random(seed)
        self._free = 0.0
        self._under_way: list[tuple[float, float, bool]] = []

    def _drawn(self, mean: float) -> float:
        return mean * (1.0 - self._jitter + self._jitter * self._random.expovariate(1.0))

    def serve(self, concurrency: Concurrency, seconds: float) -> list[int]:
        """Take as many calls at once as are offered; return the limits of the last half of the time."""
        until, half = self.now + seconds, 0
        self.limits.clear()
        while self.now < until:
            while len(self._under_way) < concurrency.limit:
                self._take()
            self.now, sent, is_refused = heapq.heappop(self._under_way)
            (concurrency.overloaded if is_refused else concurrency.answered)(sent, self.now)
            self.limits.append(concurrency.limit)
            half = half or (len(self.limits) if self.now > until - seconds / 2 else 0)
        return self.limits[half:]

    def _take(self) -> None:
        is_refused = len(self._under_way) >= self.refuses_above
        if is_refused:
            answered = self.now + self.latency
        else:
            self._free = max(self._free, self.now) + self._drawn(1.0 / self.capacity)
            answered = max(self._free, self.now + self._drawn(self.latency))
        heapq.heappush(self._under_way, (answered, self.now, is_refused))


# In virtual time


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("jitter", [0.0, 0.3])
@pytest.mark.parametrize(
    ("capacity", "latency"), [(1000.0, 0.03), (200.0, 0.05), (4000.0, 0.03), (100.0, 0.2), (2000.0, 0.002)]
)
def test_it_finds_the_fewest_that_reach_the_capacity(
    capacity: float, latency: float, jitter: float, seed: int
) -> None:
    server, needed = Server(capacity, latency, jitter=jitter, seed=seed), capacity * latency
    found = median(server.serve(Concurrency(256), 40.0))
    assert 0.6 * needed <= found <= 2.0 * needed + 1 or found == START > needed


@pytest.mark.parametrize("seed", SEEDS)
def test_it_reaches_the_throughput_of_many(seed: int) -> None:
    server = Server(1000.0, 0.03, jitter=0.3, seed=seed)
    server.serve(Concurrency(256), 10.0)
    server.serve(Concurrency(256), 20.0)
    assert len(server.limits) > 0.85 * 20.0 * 1000.0


@pytest.mark.parametrize("seed", SEEDS)
def test_it_follows_a_capacity_that_changes(seed: int) -> None:
    concurrency, server = Concurrency(256), Server(1000.0, 0.03, jitter=0.2, seed=seed)
    for capacity in (1000.0, 200.0, 3000.0, 500.0):
        server.capacity, needed = capacity, capacity * 0.03
        assert 0.6 * needed <= median(server.serve(concurrency, 30.0)) <= 2.5 * needed


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_it_does_not_climb_when_a_server_only_becomes_slower(jitter: float, seed: int) -> None:
    """All answers are 200. More in flight would keep the throughput, at the cost of a server in trouble."""
    concurrency, server = Concurrency(256), Server(1000.0, 0.03, jitter=jitter, seed=seed)
    before = server.serve(concurrency, 20.0)
    server.latency *= 4
    assert max(server.serve(concurrency, 20.0)) <= max(before)


def test_it_does_not_climb_where_each_call_waits_for_the_one_before() -> None:
    server = Server(100.0, 0.01)
    server.serve(Concurrency(256), 60.0)
    assert max(server.limits) <= 6


@pytest.mark.parametrize("rate", [100.0, 500.0])
def test_a_pace_does_not_keep_the_limit_low(rate: float) -> None:
    """Between two calls of a pace nothing may leave; the answers that come in meanwhile are measured."""
    courier = Courier(Policy(), Random(0), 0.0, Concurrency(256), rate=rate)
    courier.submit(planned_calls(range(int(rate * 60))), 0.0)
    now, under_way, sent = 0.0, list[tuple[float, int, Request]](), 0
    while now < 30.0:
        found = courier.take(now)
        if isinstance(found, Request):
            sent += 1
            heapq.heappush(under_way, (now + 0.1, sent, found))
        elif under_way and under_way[0][0] <= now + found:
            now, _, request = heapq.heappop(under_way)
            courier.settle(request, Answer(AnswerKind.ACKNOWLEDGED), now)
        else:
            now += found
    assert sent > 0.7 * rate * 30.0


def test_a_server_without_a_limit_gets_the_most() -> None:
    server = Server(1e6, 0.03, jitter=0.2)
    assert median(server.serve(Concurrency(64), 20.0)) >= 60
    assert max(server.limits) <= 64


def test_it_settles_below_a_number_that_is_refused() -> None:
    """A server that answers 503 above forty at once."""
    server = Server(1e5, 0.05, jitter=0.2)
    server.refuses_above = 40
    kept = server.serve(Concurrency(256), 60.0)
    assert 10 <= median(kept) <= 41
    assert max(kept) <= 60


def grown(concurrency: Concurrency) -> float:
    """Let it grow to its most; return the time."""
    server = Server(1e6, 0.03)
    server.serve(concurrency, 10.0)
    assert concurrency.limit >= 0.6 * max(server.limits)
    return server.now


def test_an_overload_halves_it_once_a_round() -> None:
    """The other calls that were in flight together say nothing new."""
    concurrency = Concurrency(256)
    now = grown(concurrency)
    limit = concurrency.limit
    for _ in range(limit):
        concurrency.overloaded(now - 0.01, now)
    assert concurrency.limit == limit // 2
    concurrency.overloaded(now + 0.01, now + 0.02)
    assert concurrency.limit == limit // 4


def test_it_stays_within_its_bounds() -> None:
    concurrency = Concurrency(256)
    assert concurrency.limit == START
    for at in range(10):
        concurrency.overloaded(float(at), float(at))
    assert concurrency.limit == 1
    assert Concurrency(2).limit == 2
    server = Server(1e6, 0.03)
    server.serve(Concurrency(9), 10.0)
    assert max(server.limits) == 9


def test_a_fixed_one_does_not_change() -> None:
    concurrency, server = Concurrency.fixed(7), Server(1e6, 0.03)
    server.refuses_above = 5
    server.serve(concurrency, 10.0)
    assert set(server.limits) == {7}


def test_what_was_measured_with_fewer_in_flight_does_not_count() -> None:
    """The pipeline is the slow one: nothing is learned about the destination."""
    concurrency = Concurrency(256)
    for at in range(10_000):
        concurrency.idle()
        concurrency.answered(at / 1000, at / 1000 + 0.01)
    assert concurrency.limit == START


# In the courier


@pytest.mark.parametrize(
    ("answer", "is_halved"),
    [
        (Answer(AnswerKind.RETRY, "HTTP 503", is_overload=True), True),
        (Answer(AnswerKind.RETRY, "HTTP 500"), False),
        (Answer(AnswerKind.REJECTED, "HTTP 400"), False),
        (Answer(AnswerKind.ACKNOWLEDGED), False),
    ],
)
def test_only_overload_halves_the_limit(answer: Answer, *, is_halved: bool) -> None:
    courier = Courier(Policy(), Random(0), 0.0, Concurrency(256))
    courier.submit(planned_calls(range(10)), 0.0)
    request = courier.take(0.0)
    assert isinstance(request, Request)
    courier.settle(request, answer, 0.1)
    assert courier.limit == (START // 2 if is_halved else START)


def test_no_more_leave_than_the_limit_until_an_answer_comes() -> None:
    courier = Courier(Policy(unproven=1000), Random(0), 0.0, Concurrency.fixed(3))
    courier.submit(planned_calls(range(10)), 0.0)
    requests = [courier.take(0.0) for _ in range(3)]
    assert not isinstance(courier.take(0.0), Request)
    assert isinstance(requests[0], Request)
    courier.settle(requests[0], Answer(AnswerKind.ACKNOWLEDGED), 0.1)
    assert isinstance(courier.take(0.1), Request)
    assert not isinstance(courier.take(0.1), Request)


# Against a tracker


class Limited:
    """A tracker that takes `capacity` calls a second, each of which takes `latency` seconds."""

    def __init__(self, capacity: float, latency: float) -> None:
        self.capacity = capacity
        self.latency = latency
        self._free = 0.0

    def __call__(self, _hit: Hit, _number: int) -> Reaction:
        now = time.monotonic()
        self._free = max(self._free, now) + 1.0 / self.capacity
        return t.slow(max(self.latency, self._free - now))


@pytest.mark.slow
@pytest.mark.usefixtures("transport")
def test_a_tracker_whose_capacity_changes(tracker: Tracker) -> None:
    """It is fed with as many at once as it can take; 256 may be in flight."""
    tracker.behave = behave = Limited(500.0, 0.04)
    with delivering(tracker, adapts=True, concurrency=256) as delivery:
        found = []
        for capacity, calls in ((500.0, 2000), (100.0, 600), (500.0, 2000)):
            behave.capacity, seen = capacity, len(tracker.seen)
            delivery.submit(calls, first=seen)
            assert delivery.run() is None
            found.append(max(tracker.unanswered[seen:]))
    assert max(found) < 256, "it has a line long before that"
    assert len(tracker.hits) == 4600


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("is_parallel", [False, True])
def test_more_are_in_flight_where_that_brings_more(tracker: Tracker, *, is_parallel: bool) -> None:
    """A tracker that takes one call after the other, and one that takes all that are in flight at once.

    The clock goes on with the calls that the tracker takes, however busy this machine is.
    """
    clock = Hands()
    with delivering(tracker, adapts=True, concurrency=256, clock=clock) as delivery:
        courier = delivery.pool._courier

        def behave(_hit: Hit, _number: int) -> Reaction:
            clock.at += 0.02 / (courier.limit if is_parallel else START)
            return t.OK

        tracker.behave = behave
        delivery.submit(400)
        assert delivery.run() is None
        assert (courier.limit > 4 * START) is is_parallel


@pytest.mark.parametrize(("flags", "most"), [((), START), (("--concurrency", "7"), 7)])
def test_the_command_begins_with_four_unless_told_otherwise(
    importer: Command, tracker: Tracker, tmp_path: Path, flags: tuple[str, ...], most: int
) -> None:
    """The calls after the first four wait until as many as may be in flight have come."""
    log = tmp_path / "log.csv"
    rows = "".join(f"2024-03-01T09:00:{second:02}Z,u{second},In\n" for second in range(22))
    log.write_text("timestamp,user,event\n" + rows, encoding="utf-8")
    tracker.behave = lambda _, number: t.held(until=4 + most) if 4 <= number < 4 + most else t.OK
    importer("import", log, *flags).ended(0)
    assert max(tracker.unanswered) == most
