"""The test tracker records what it should and fails as it is told."""

import socket
import time
from collections.abc import Iterator
from threading import Thread

import pytest
import requests

from tests.support import tracker as t
from tests.support.patience import PATIENCE


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def _connect(tracker: t.Tracker) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(tracker.url.rpartition(":")[2])), timeout=PATIENCE)


def test_records_and_answers_a_gif(session: requests.Session) -> None:
    """Query and form body are decoded; one connection serves both."""
    with t.Tracker() as tracker:
        got = session.get(
            f"{tracker.url}/e?_k=K&_p=a%2Bb%40c&_n=Signed+Up&Note=%E2%82%AC&Empty=", timeout=PATIENCE
        )
        session.post(f"{tracker.url}/s?_k=K", data={"_p": "é", "Plan": "x&y"}, timeout=PATIENCE)
    assert (got.status_code, got.headers["Content-Type"], got.content) == (200, "image/gif", t.GIF)
    assert len(t.GIF) == 43
    assert tracker.calls() == [
        {"_p": "a+b@c", "_n": "Signed Up", "Note": "€", "Empty": ""},
        {"_p": "é", "Plan": "x&y"},
    ]
    assert [(hit.method, hit.path) for hit in tracker.hits] == [("GET", "/e"), ("POST", "/s")]
    assert tracker.hits[0].query == "_k=K&_p=a%2Bb%40c&_n=Signed+Up&Note=%E2%82%AC&Empty="
    assert tracker.hits[1].body == b"_p=%C3%A9&Plan=x%26y"
    assert tracker.connections == 1


@pytest.mark.parametrize(
    ("reaction", "status", "kept"),
    [
        (t.OK, 200, 1),
        (t.HTML, 200, 0),
        (t.UNAVAILABLE, 503, 0),
        (t.RECORDED_UNAVAILABLE, 503, 1),
        (t.BAD, 400, 0),
        (t.too_many("7"), 429, 0),
        (t.redirect("http://127.0.0.1:1/"), 302, 0),
        (t.slow(0.01), 200, 1),
        (t.TRUNCATED, None, 1),
        (t.RESET_BEFORE, None, 0),
        (t.RESET_AFTER, None, 1),
    ],
)
def test_reactions(session: requests.Session, reaction: t.Reaction, status: int | None, kept: int) -> None:
    """Each gives its answer (None: no whole one), and is kept or not."""
    with t.Tracker(lambda _hit, _number: reaction) as tracker:
        try:
            got = session.get(f"{tracker.url}/e?_p=a", timeout=PATIENCE, allow_redirects=False).status_code
        except requests.RequestException:
            got = None
    assert got == status
    assert (len(tracker.seen), len(tracker.hits)) == (1, kept)


def test_a_reset_is_a_reset() -> None:
    """The client sees ECONNRESET, not an orderly end."""
    with t.Tracker(lambda _hit, _number: t.RESET_AFTER) as tracker, _connect(tracker) as client:
        client.sendall(b"GET /e?_p=a HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


@pytest.mark.parametrize("reaction", [t.ENDLESS, t.DRIP])
def test_an_endless_answer(session: requests.Session, reaction: t.Reaction) -> None:
    """It goes on for as long as one reads, and stops with the connection."""
    with t.Tracker(lambda _hit, _number: reaction) as tracker:
        with session.get(f"{tracker.url}/e?_p=a", timeout=PATIENCE, stream=True) as answer:
            chunks = answer.iter_content(65_536)
            assert all(next(chunks) for _ in range(5))
        tracker.behave = None
        assert session.get(f"{tracker.url}/e?_p=a", timeout=PATIENCE).content == t.GIF


def test_pipelined_requests_in_pieces() -> None:
    """Requests may come cut anywhere, and several at once; the answers keep their order."""
    wire = b"".join(b"GET /e?_p=%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(20))
    with t.Tracker(latency=0.001) as tracker, _connect(tracker) as client:
        for start in range(0, len(wire), 7):
            client.sendall(wire[start : start + 7])
        while len(tracker.hits) < 20:
            time.sleep(0.001)
    assert [hit.params["_p"] for hit in tracker.hits] == [str(number) for number in range(20)]


def test_stop_refuses_and_start_takes_the_same_port(session: requests.Session) -> None:
    """A stopped tracker refuses connections and keeps what it has."""
    with t.Tracker() as tracker:
        url = tracker.url
        session.get(f"{url}/e?_p=a", timeout=PATIENCE)
        tracker.stop()
        with pytest.raises(requests.ConnectionError):
            session.get(f"{url}/e?_p=b", timeout=PATIENCE)
        tracker.start()
        session.get(f"{url}/e?_p=c", timeout=PATIENCE)
        assert tracker.url == url
    assert [call["_p"] for call in tracker.calls()] == ["a", "c"]


def test_stop_while_an_answer_is_owed() -> None:
    """Leaving does not wait for slow answers."""
    with t.Tracker(latency=3600) as tracker, _connect(tracker) as client:
        client.sendall(b"GET /e?_p=a HTTP/1.1\r\n\r\n")
        while not tracker.seen:
            time.sleep(0.001)
        tracker.stop()
        assert not tracker.seen[1:]


def test_what_behave_raises_comes_out(session: requests.Session) -> None:
    """A mistake in a test's own behaviour is not swallowed."""

    def behave(_hit: t.Hit, _number: int) -> t.Reaction:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), t.Tracker(behave) as tracker:
        session.get(f"{tracker.url}/e?_p=a", timeout=PATIENCE)


def test_flaky_is_the_same_every_time() -> None:
    """By seed and number, with about the share asked for and every kind of fault."""
    hit = t.Hit("GET", "/e", "", b"", {}, {}, 0.0)
    first, again, other = ([t.flaky(seed)(hit, n) for n in range(5_000)] for seed in (1, 1, 2))
    assert first == again != other
    faults = [reaction for reaction in first if reaction != t.OK]
    assert 0.17 < len(faults) / 5_000 < 0.23
    assert {t.HTML, t.TRUNCATED, t.RESET_BEFORE, t.RESET_AFTER, t.too_many("0")} <= set(faults)
    assert {(r.status, r.record) for r in faults if r.status in (500, 502, 503)} == {
        (status, record) for status in (500, 502, 503) for record in (True, False)
    }
    assert max(reaction.delay for reaction in faults) <= 0.02


def _get(tracker: t.Tracker, times: int) -> None:
    with _connect(tracker) as client:
        for number in range(times):
            client.sendall(
                b"GET /e?_k=KEY&_p=ana%%40a.example&_n=Up&_t=1&_d=1&N=%d HTTP/1.1\r\n\r\n" % number
            )
            client.recv(4096)


def test_many_clients_at_once() -> None:
    """Each request is recorded once, whichever connection it comes on."""
    with t.Tracker() as tracker:
        threads = [Thread(target=_get, args=(tracker, 50)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(int(hit.params["N"]) for hit in tracker.hits) == sorted([*range(50)] * 8)
