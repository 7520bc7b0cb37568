"""Watching sockets: both ways report the same, and a number that is given again is another socket."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from km_cli.destinations.sockets import READ, WRITE, Epoll, Selector, Waker, Watched
from tests.support.patience import PATIENCE

needs_epoll = pytest.mark.skipif(not hasattr(select, "epoll"), reason="needs epoll")


@pytest.fixture(params=[pytest.param(Epoll, marks=needs_epoll), Selector])
def watched(request: pytest.FixtureRequest) -> Iterator[Watched]:
    """Each way."""
    make: Callable[[], Watched] = request.param
    with closing(make()) as sockets:
        yield sockets


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection."""
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_events_come_as_they_are_watched_for(
    watched: Watched, pair: tuple[socket.socket, socket.socket]
) -> None:
    one, other = pair
    watched.watch(one.fileno(), WRITE)
    assert watched.wait(PATIENCE) == [(one.fileno(), WRITE)]
    watched.watch(one.fileno(), READ)
    assert watched.wait(0.0) == []
    other.send(b"x")
    assert watched.wait(PATIENCE) == [(one.fileno(), READ)]
    watched.watch(one.fileno(), READ | WRITE)
    assert watched.wait(PATIENCE) == [(one.fileno(), READ | WRITE)]


def test_a_socket_that_was_left_is_not_reported_until_it_is_watched_again(
    watched: Watched, pair: tuple[socket.socket, socket.socket]
) -> None:
    one, other = pair
    watched.watch(one.fileno(), READ)
    watched.leave(one.fileno())
    other.send(b"x")
    assert watched.wait(0.0) == []
    assert watched.wait(0.0) == []
    watched.watch(one.fileno(), READ)
    assert watched.wait(PATIENCE) == [(one.fileno(), READ)]


def test_a_number_that_is_given_again_is_watched_as_another_socket(watched: Watched) -> None:
    """libcurl leaves a socket, closes it, and opens another that gets its number."""
    first, second = socket.socketpair()
    number = first.fileno()
    watched.watch(number, READ)
    watched.leave(number)
    first.close()
    one, other = socket.socketpair()
    with second, other:
        if one.fileno() != number:
            os.dup2(one.fileno(), number)
            one.close()
            one = socket.socket(fileno=number)
        with one:
            watched.watch(number, READ)
            other.send(b"x")
            assert watched.wait(PATIENCE) == [(number, READ)]


def test_a_closed_connection_wakes(watched: Watched, pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    watched.watch(one.fileno(), READ)
    other.close()
    ((file, events),) = watched.wait(PATIENCE)
    assert file == one.fileno()
    assert events & READ


def test_a_waker_ends_the_wait(watched: Watched) -> None:
    waker = Waker(watched)
    assert watched.wait(0.0) == []
    for _ in range(3):
        waker.wake()
    assert [file for file, _ in watched.wait(PATIENCE)] == [waker.file]
    waker.drain()
    assert watched.wait(0.0) == []
    waker.close()
    waker.wake()
