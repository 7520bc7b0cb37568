"""Watches the sockets of libcurl. Its own `select` takes no more than 1,024 files."""

from __future__ import annotations

import select
import selectors
import socket
from contextlib import suppress
from typing import Protocol

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Watched(Protocol):
    """The sockets that are watched, by their file descriptors."""

    def watch(self, file: int, events: int) -> None:
        """Watch a socket for these events, in place of those before."""
        ...

    def leave(self, file: int) -> None:
        """Watch a socket no longer. It may have been closed."""
        ...

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """Return sockets with the events that have come, waiting up to so many seconds for the first."""
        ...

    def close(self) -> None:
        """Watch nothing any more."""
        ...


class Epoll:
    """Watches by Linux's epoll.

    libcurl leaves a socket after each answer, and watches it again for the next call. Taking it out of the
    kernel's list and putting it back costs more than sending the call, so a socket that was left stays there
    until something happens to it. Each call sets its events anew: if that fails, the socket is another one,
    which got the number of a closed one.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._left: set[int] = set()

    def watch(self, file: int, events: int) -> None:
        """Watch a socket."""
        bits = select.EPOLLIN * bool(events & READ) | select.EPOLLOUT * bool(events & WRITE)
        try:
            self._epoll.modify(file, bits)
        except FileNotFoundError:
            self._epoll.register(file, bits)
        self._left.discard(file)

    def leave(self, file: int) -> None:
        """Do not report a socket."""
        self._left.add(file)

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """Return what has happened. An error is reported as both events."""
        found = []
        for file, bits in self._epoll.poll(seconds):
            if file in self._left:
                self._forget(file)
            else:
                events = READ * bool(bits & ~select.EPOLLOUT) | WRITE * bool(bits & ~select.EPOLLIN)
                found.append((file, events))
        return found

    def _forget(self, file: int) -> None:
        self._left.discard(file)
        with suppress(OSError):
            self._epoll.unregister(file)

    def close(self) -> None:
        """Close it."""
        self._epoll.close()


class Selector:
    """Watches by the best that another system has."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, file: int, events: int) -> None:
        """Watch a socket."""
        if file in self._selector.get_map():
            self._selector.modify(file, events)
        else:
            self._selector.register(file, events)

    def leave(self, file: int) -> None:
        """Take a socket out."""
        if file in self._selector.get_map():
            self._selector.unregister(file)

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """Return what has happened."""
        return [(key.fd, events) for key, events in self._selector.select(seconds)]

    def close(self) -> None:
        """Close it."""
        self._selector.close()


def watched() -> Watched:
    """Return what this system has."""
    return Epoll() if hasattr(select, "epoll") else Selector()


class Waker:
    """A socket by which another thread ends a wait."""

    def __init__(self, sockets: Watched) -> None:
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)
        self.file = self._woken.fileno()
        sockets.watch(self.file, READ)

    def wake(self) -> None:
        """End the wait. Any thread may call it."""
        with suppress(OSError):  # it is full of wakes already, or was closed meanwhile
            self._waker.send(b"\0")

    def drain(self) -> None:
        """Take the wakes that have come."""
        with suppress(BlockingIOError):
            while self._woken.recv(4096):
                pass

    def close(self) -> None:
        """Close both ends."""
        self._woken.close()
        self._waker.close()
