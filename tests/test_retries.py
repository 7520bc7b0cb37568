"""The retry table, row by row: a pool against a real server that misbehaves."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from km_cli.destinations.http import TrackerDestination
from km_cli.errors import ComeBackLater, Unavailable
from km_cli.model import Outcome
from tests.support import tracker as t
from tests.support.delivering import KEY, QUICK, Hands, always, delivering, identities, once, only
from tests.support.patience import PATIENCE
from tests.support.tracker import Reaction, Tracker

ACKNOWLEDGED, REJECTED, PENDING = Outcome.ACKNOWLEDGED, Outcome.REJECTED, Outcome.PENDING

BIG_PAGE = Reaction(headers=t.HTML.headers, body=b"<html>" + b" " * 200_000, record=False)


pytestmark = pytest.mark.usefixtures("transport")


# Retried


@pytest.mark.parametrize(
    "reaction",
    [
        *(t.refuse(status) for status in (408, 425, 429, 500, 502, 503, 504, 599)),
        t.RECORDED_UNAVAILABLE,
        t.TRUNCATED,
        t.RESET_BEFORE,
        t.RESET_AFTER,
        t.EMPTY,
        t.ENDLESS,
        t.HTML,
        Reaction(204, (), b"", record=False),
    ],
)
def test_what_passes_is_retried_byte_for_byte(tracker: Tracker, reaction: Reaction, transport: str) -> None:
    tracker.behave = only(2, reaction)
    with delivering(tracker, policy=QUICK._replace(attempts=3), concurrency=1) as delivery:
        delivery.submit(2)
        assert delivery.run() is None
        tracker.behave = once(reaction)
        delivery.submit(1, first=2)
        assert delivery.run() is None
    assert delivery.outcomes == {ACKNOWLEDGED: 3}
    # libcurl itself sends again what met a connection that was closed before anything came back.
    by_itself = transport == "curl" and reaction in (t.RESET_BEFORE, t.RESET_AFTER)
    assert delivery.pool.retried == (0 if by_itself else 1)
    assert len(tracker.seen) == 4
    assert tracker.seen[2].wire == tracker.seen[3].wire
    assert len(tracker.hits) == 4 - (not reaction.keeps)


def test_an_answer_that_takes_too_long_is_retried(tracker: Tracker) -> None:
    tracker.behave = once(t.held())
    with delivering(TrackerDestination(tracker.url, {"main": KEY}, timeout=0.5)) as delivery:
        delivery.submit(1)
        assert delivery.run() is None
    assert delivery.outcomes == {ACKNOWLEDGED: 1}
    assert {hit.wire for hit in tracker.seen} == {tracker.seen[0].wire}
    assert len(tracker.seen) > 1


@pytest.mark.parametrize("reaction", [t.DRIP, t.ENDLESS])
def test_an_answer_without_an_end_does_not_hold_a_worker(tracker: Tracker, reaction: Reaction) -> None:
    tracker.behave = once(reaction)
    with delivering(TrackerDestination(tracker.url, {"main": KEY}, timeout=0.3), concurrency=1) as delivery:
        delivery.submit(2)
        assert delivery.run() is None
    assert delivery.outcomes == {ACKNOWLEDGED: 2}


def test_a_head_without_an_end_does_not_hold_a_worker() -> None:
    """Its bytes come one by one, each well within the time that a read may take."""

    def drip(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer, suppress(OSError):
            peer.recv(65_536)
            peer.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                peer.sendall(b"X-More: 1\r\n")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=drip, args=(listener,))
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        destination = TrackerDestination(url, {"main": KEY}, timeout=0.4)
        with delivering(destination, policy=QUICK._replace(attempts=1)) as delivery:
            delivery.submit(1)
            assert delivery.run() is None
        server.join(PATIENCE)
    assert delivery.outcomes == {PENDING: 1}


def test_attempts_used_leave_a_call_pending_and_hold_up_no_other(tracker: Tracker) -> None:
    tracker.behave = only(0, t.UNAVAILABLE)
    with delivering(tracker, policy=QUICK._replace(attempts=4), concurrency=2) as delivery:
        delivery.submit(100)
        assert delivery.run() is None
    assert delivery.numbers(PENDING) == [0]
    assert delivery.outcomes == {PENDING: 1, ACKNOWLEDGED: 99}
    assert delivery.pool.retried == 3
    assert Counter(identities(tracker.seen))[0] == 4


def test_a_call_that_waits_for_its_retry_holds_up_no_other(tracker: Tracker) -> None:
    tracker.behave = only(0, t.UNAVAILABLE)
    slow = QUICK._replace(backoff=600.0, backoff_cap=600.0)
    with delivering(tracker, policy=slow, concurrency=1) as delivery:
        delivery.submit(50)
        while len(tracker.seen) < 50:
            delivery.receipts += delivery.pool.receipts(0.05)
        while sum(delivery.outcomes.values()) < 49:
            delivery.receipts += delivery.pool.receipts(0.05)
        assert not delivery.pool.is_idle
    assert delivery.numbers(PENDING) == [0]


def test_an_empty_budget_delays_retries_and_fails_none(tracker: Tracker) -> None:
    """The first retry empties the budget. It fills up when the clock moves on."""
    tracker.behave = once(t.UNAVAILABLE)
    frugal = QUICK._replace(
        backoff=0.0, budget=1.0, budget_per_second=100.0, breaker_failures=1000, breaker_window=1000
    )
    clock = Hands()
    with delivering(tracker, policy=frugal, concurrency=1, clock=clock) as delivery:
        delivery.submit(12)
        while len(tracker.seen) < 13:
            delivery.receipts += delivery.pool.receipts(0.05)
        while not delivery.pool.is_idle:
            clock.at += 0.01
            delivery.receipts += delivery.pool.receipts(0.01)
        assert delivery.pool.failure is None
    assert delivery.outcomes == {ACKNOWLEDGED: 12}
    assert delivery.pool.retried == 12
    assert identities(tracker.seen)[:13] == [0, *range(12)], "fresh calls go while retries wait"


def test_a_bad_network_loses_and_doubles_nothing(tracker: Tracker, transport: str) -> None:
    tracker.behave = t.flaky(5)
    patient = QUICK._replace(breaker_waits=(0.01,), attempts=50)
    with delivering(tracker, policy=patient, concurrency=16) as delivery:
        delivery.submit(600)
        assert delivery.run() is None
    assert delivery.outcomes == {ACKNOWLEDGED: 600}
    assert len({hit.wire for hit in tracker.seen}) == 600
    assert set(identities(tracker.hits)) == set(range(600))
    again = len(tracker.seen) - 600
    assert delivery.pool.retried == again or (transport == "curl" and 0 < delivery.pool.retried < again)


# Rejected


@pytest.mark.parametrize("status", [400, 413, 414, 422, 431])
def test_a_rejected_call_is_sent_once(tracker: Tracker, status: int) -> None:
    tracker.behave = only(3, t.refuse(status))
    with delivering(tracker) as delivery:
        delivery.submit(10)
        assert delivery.run() is None
    assert delivery.numbers(REJECTED) == [3]
    assert delivery.outcomes[ACKNOWLEDGED] == 9
    assert len(tracker.seen) == 10
    (reason,) = (one.reason for one in delivery.receipts if one.outcome is REJECTED)
    assert str(status) in reason


def test_five_rejections_in_a_row_stop(tracker: Tracker) -> None:
    tracker.behave = lambda hit, _: t.OK if identities([hit])[0] in (0, 4) else t.BAD
    with delivering(tracker, concurrency=1) as delivery:
        delivery.submit(30)
        failure = delivery.run()
    assert isinstance(failure, Unavailable)
    assert "400" in str(failure)
    assert delivery.outcomes == {ACKNOWLEDGED: 2, REJECTED: 8, PENDING: 20}


# Stopped at once


@pytest.mark.parametrize(
    "reaction",
    [
        *(t.refuse(status) for status in (401, 402, 403, 404, 405, 407, 410, 451, 501, 505)),
        *(t.redirect("http://127.0.0.1:9/", status) for status in (301, 302, 303, 307, 308)),
        Reaction(403, t.HTML.headers, BIG_PAGE.body, record=False),
    ],
)
def test_a_refusal_stops_at_once(tracker: Tracker, reaction: Reaction) -> None:
    tracker.behave = only(5, reaction)
    with delivering(tracker, concurrency=1) as delivery:
        delivery.submit(20)
        failure = delivery.run()
    assert isinstance(failure, Unavailable)
    assert str(reaction.status) in str(failure)
    assert delivery.outcomes == {ACKNOWLEDGED: 5, PENDING: 15}
    assert len(tracker.seen) == 6


def test_no_key_follows_a_redirect(tracker: Tracker) -> None:
    with Tracker() as elsewhere:
        tracker.behave = always(t.redirect(elsewhere.url + "/e"))
        with delivering(tracker) as delivery:
            delivery.submit(20)
            assert isinstance(delivery.run(), Unavailable)
        assert not elsewhere.seen


def test_what_is_in_flight_when_it_stops_is_still_acknowledged(tracker: Tracker) -> None:
    refused, taken = replace(t.refuse(403), until=8), t.held(until=8)
    tracker.behave = lambda hit, _: refused if identities([hit]) == [0] else taken
    with delivering(tracker, concurrency=8) as delivery:
        delivery.submit(12)
        assert delivery.run() is not None
    assert delivery.numbers(ACKNOWLEDGED) == list(range(1, len(tracker.seen)))
    assert delivery.outcomes[ACKNOWLEDGED] >= 7, "all that were in flight, and 0 was refused"
    assert delivery.outcomes[PENDING] == 12 - delivery.outcomes[ACKNOWLEDGED]


# Not an image


@pytest.mark.parametrize("page", [t.HTML, BIG_PAGE, t.EMPTY])
def test_the_third_page_in_a_row_stops(tracker: Tracker, page: Reaction) -> None:
    tracker.behave = lambda _, number: page if number in (1, 2, 4, 5, 6) else t.OK
    with delivering(tracker, concurrency=1, policy=QUICK._replace(backoff=0.0)) as delivery:
        delivery.submit(20)
        failure = delivery.run()
    assert isinstance(failure, Unavailable)
    assert "proxy" in failure.hint
    assert len(tracker.seen) == 7


# Unreached


@pytest.mark.parametrize("name", ["http://127.0.0.1:1", "https://no-such-host.invalid"])
def test_an_unreachable_destination_stops_at_the_third_if_nothing_was_acknowledged(name: str) -> None:
    slow = QUICK._replace(backoff=0.0)
    with delivering(TrackerDestination(name, {"main": KEY}), policy=slow, concurrency=1) as delivery:
        delivery.submit(10)
        failure = delivery.run()
    assert isinstance(failure, Unavailable)
    assert delivery.outcomes == {PENDING: 10}
    assert delivery.pool.retried <= 2


def test_a_destination_that_is_unreachable_for_a_while_is_waited_for(tracker: Tracker) -> None:
    quick = QUICK._replace(attempts=1000, breaker_waits=(0.02,))
    with delivering(tracker, policy=quick, concurrency=4) as delivery:
        delivery.submit(10)
        assert delivery.run() is None
        tracker.stop()
        delivery.submit(30, first=10)
        while delivery.pool.retried < 4:
            time.sleep(0.01)
        assert delivery.pool.failure is None
        tracker.start()
        assert delivery.run() is None
    assert delivery.outcomes == {ACKNOWLEDGED: 40}
    assert delivery.pool.retried > 3


# Retry-After


def in_date(seconds: float) -> str:
    """An HTTP date so far ahead; it has whole seconds."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_holds_the_whole_pool(tracker: Tracker, form: str) -> None:
    asked = (lambda: "1") if form == "seconds" else (lambda: in_date(2))
    tracker.behave = lambda _, number: t.too_many(asked()) if number == 0 else t.OK
    with delivering(tracker, concurrency=1) as delivery:
        delivery.submit(20)
        assert delivery.run() is None
    assert delivery.outcomes == {ACKNOWLEDGED: 20}
    assert tracker.seen[1].at - tracker.seen[0].at > (0.9 if form == "seconds" else 0.5)


@pytest.mark.parametrize("asked", ["301", in_date(40_000), "9" * 400], ids=["seconds", "date", "huge"])
def test_a_longer_pause_than_300_seconds_ends_the_run(tracker: Tracker, asked: str) -> None:
    tracker.behave = lambda _, number: t.too_many(asked) if number == 3 else t.OK
    with delivering(tracker, concurrency=1) as delivery:
        delivery.submit(20)
        assert isinstance(delivery.run(), ComeBackLater)
    assert delivery.outcomes == {ACKNOWLEDGED: 3, PENDING: 17}


@pytest.mark.parametrize(
    "asked",
    [
        "0",
        "-5",
        "soon",
        "\xb2",
        "1.5e9",
        pytest.param(in_date(-4000), id="past"),
        "Mon, 01 Jan 0001 00:00:00 -0000",
    ],
)
def test_a_strange_retry_after_is_none(tracker: Tracker, asked: str) -> None:
    tracker.behave = once(t.too_many(asked))
    with delivering(tracker, concurrency=1) as delivery:
        delivery.submit(1)
        assert delivery.run() is None
    assert delivery.outcomes == {ACKNOWLEDGED: 1}
