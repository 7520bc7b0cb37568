"""Sending calls to a tracker by libcurl: many requests at once in one thread (extra `fast`).

libcurl does in C, and without Python's lock, what takes `requests` most of the time of a call.

If a connection that was kept open turns out to be closed before anything has come back, libcurl sends the
request once more by itself. The server has not answered that request, and the bytes are the same.
"""

from __future__ import annotations

import errno
import math
import os
import time
from typing import Any

import certifi

from km_cli.destinations import answers
from km_cli.destinations.answers import MOST_ANSWER, Reply
from km_cli.destinations.sockets import READ, WRITE, Waker, watched
from km_cli.destinations.wire import USER_AGENT, Wire
from km_cli.errors import TransportError
from km_cli.install_hint import install_command
from km_cli.model import Answer, PlannedCall

try:
    import pycurl
except ImportError as error:  # it is absent, or a library that it needs is missing or has another version
    _FAULT: ImportError | None = error
else:
    _FAULT = None
    _EVENTS = {pycurl.POLL_IN: READ, pycurl.POLL_OUT: WRITE, pycurl.POLL_INOUT: READ | WRITE}
    _BITS = {
        READ: pycurl.CSELECT_IN,
        WRITE: pycurl.CSELECT_OUT,
        READ | WRITE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
    }

_TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_LONGEST_STEP = 1.0
"""Seconds. If the system has no memory for the byte that wakes a step, new calls leave this much later."""
_SWITCHING = b"101"
_INITIALS = frozenset(b"HCcRr")
"""The first letters of the lines of an answer that are looked into."""


def check_curl() -> None:
    """Raise TransportError if pycurl is absent, cannot be loaded, or has no TLS."""
    if _FAULT is not None:
        is_absent = isinstance(_FAULT, ModuleNotFoundError)
        why = "it is not installed" if is_absent else f"it cannot be loaded ({_FAULT})"
        failure = TransportError(
            f"--transport curl needs pycurl: {why}",
            f"install it with: {install_command('fast')}; or leave --transport out",
        )
        failure.is_absent = is_absent
        raise failure
    if "https" not in pycurl.version_info()[8]:
        raise TransportError(
            "--transport curl: this pycurl has no TLS", "install another one, or use requests"
        )


class _Transfer:
    """One of libcurl's handles, used for one call after another, and what has come back for this one."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.number = 0
        self.is_post = False
        self.body: bytes | None = b""
        self.is_read = False
        """Whether the rest of the answer is not wanted: libcurl ends the transfer with an error then."""
        self._lines: list[bytes] = []
        handle.setopt(pycurl.HEADERFUNCTION, self._take_header)
        handle.setopt(pycurl.WRITEFUNCTION, self._take_body)

    def begin(self, number: int, url: str, form: str | None) -> None:
        """Turn to another call: a form to post, or None to get the URL."""
        self.number = number
        self.body, self.is_read = b"", False
        self._lines.clear()
        self.handle.setopt(pycurl.URL, url)
        if form is not None:
            self.is_post = True
            self.handle.setopt(pycurl.POSTFIELDS, form)
        elif self.is_post:
            self.is_post = False
            self.handle.setopt(pycurl.HTTPGET, 1)

    def _take_header(self, line: bytes) -> int | None:
        """Keep a line as it is: it is looked into when the answer is whole."""
        self._lines.append(line)
        if line[9:12] == _SWITCHING and line.startswith(b"HTTP/"):
            # Another protocol follows, and libcurl would wait for the rest of ours.
            self.is_read = True
            return -1
        return None

    def reply(self) -> Reply:
        """Return the answer. Interim answers that came before the last one had headers of their own."""
        status, phrase, kind, wait = 0, "", None, None
        for line in self._lines:
            if line[0] not in _INITIALS:
                continue
            text = line.decode("latin-1").strip()
            if text.startswith("HTTP/"):
                number, _, phrase = text.partition(" ")[2].partition(" ")
                status, kind, wait = int(number) if number.isdigit() else 0, None, None
                continue
            name, _, value = text.partition(":")
            name = name.strip().lower()
            if name == "content-type" and kind is None:
                kind = value.strip()
            elif name == "retry-after" and wait is None:
                wait = value.strip()
        return Reply(status, phrase, kind, wait, self.body)

    def _take_body(self, data: bytes) -> int | None:
        if self.body is not None:
            self.body += data
            if len(self.body) > MOST_ANSWER:
                self.body, self.is_read = None, True
        return -1 if self.is_read else None


def _trust_only(handle: Any, place: str) -> None:
    """Trust the certificates in a file or folder alone, for the tracker and for a proxy."""
    options = (
        (pycurl.CAINFO, pycurl.CAPATH),
        (pycurl.PROXY_CAINFO, pycurl.PROXY_CAPATH),
    )
    for file, folder in options:
        used, other = (folder, file) if os.path.isdir(place) else (file, folder)
        handle.setopt(used, place)
        handle.unsetopt(other)


def _no_file_left() -> bool:
    """Tell whether this process can open no more files: libcurl does not pass that on for a new socket."""
    try:
        os.close(os.dup(0))
    except OSError as error:
        return error.errno in _TOO_MANY_FILES
    return False


class CurlTransfers:
    """Sends up to `most` calls at a time."""

    def __init__(self, wire: Wire, most: int) -> None:
        check_curl()
        self._wire = wire
        self._sockets = watched()
        self._waker = Waker(self._sockets)
        self._due = math.inf
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, most)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, most)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._idle: list[_Transfer] = []
        self._busy: dict[Any, _Transfer] = {}

    def start(self, planned_call: PlannedCall) -> None:
        """Begin to send a call."""
        transfer = self._idle.pop() if self._idle else _Transfer(self._handle())
        transfer.begin(planned_call.number, *self._wire.request(planned_call))
        self._busy[transfer.handle] = transfer
        self._multi.add_handle(transfer.handle)

    def _handle(self) -> Any:
        """Return a new handle with all that is the same for every call."""
        handle = pycurl.Curl()
        wire = self._wire
        settings = {
            pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
            pycurl.CONNECTTIMEOUT_MS: int(wire.connect * 1000),
            pycurl.TIMEOUT_MS: max(int(wire.whole * 1000), 1),
            pycurl.LOW_SPEED_LIMIT: 1,
            pycurl.LOW_SPEED_TIME: max(math.ceil(wire.read), 1),
            pycurl.NOSIGNAL: 1,
            pycurl.FOLLOWLOCATION: 0,
            pycurl.NETRC: 0,
            pycurl.USERAGENT: USER_AGENT,
            pycurl.HTTPHEADER: ["Accept: */*", "Expect:"],
            pycurl.PROXY: wire.proxy,
            pycurl.NOPROXY: "",
        }
        for option, value in settings.items():
            handle.setopt(option, value)
        _trust_only(handle, wire.verify if isinstance(wire.verify, str) else certifi.where())
        return handle

    def step(self, wait: float) -> list[tuple[int, Answer]]:
        """Wait up to `wait` seconds for answers; return them with the numbers of their calls."""
        until_timer = self._due - time.monotonic()
        for file, events in self._sockets.wait(max(0.0, min(wait, until_timer, _LONGEST_STEP))):
            if file == self._waker.file:
                self._waker.drain()
            else:
                self._multi.socket_action(file, _BITS[events])
        if self._due <= time.monotonic():
            self._due = math.inf
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return self._answers()

    def _answers(self) -> list[tuple[int, Answer]]:
        found: list[tuple[int, Answer]] = []
        left = 1
        while left:
            left, good, bad = self._multi.info_read()
            found += [self._end(handle, 0) for handle in good]
            found += [self._end(handle, code) for handle, code, _ in bad]
        return found

    def _end(self, handle: Any, code: int) -> tuple[int, Answer]:
        transfer = self._busy.pop(handle)
        answer = self._classify(transfer, code)
        self._multi.remove_handle(handle)
        self._idle.append(transfer)
        return transfer.number, answer

    def _classify(self, transfer: _Transfer, code: int) -> Answer:
        """Classify the end of a transfer. libcurl's own text is not shown, as it may hold the URL."""
        if code and not transfer.is_read:
            return self._wire.masked(self._classify_fault(transfer.handle, code))
        return self._wire.classify(transfer.reply())

    def _classify_fault(self, handle: Any, code: int) -> Answer:
        route = self._wire.route
        system = handle.getinfo(pycurl.OS_ERRNO)
        if system in _TOO_MANY_FILES or (code == pycurl.E_COULDNT_CONNECT and not system and _no_file_left()):
            raise answers.out_of_files(route)
        refused = handle.getinfo(pycurl.HTTP_CONNECTCODE)
        if route.proxy and refused >= 300:
            return answers.refused_by_proxy(refused, route)
        if code in (pycurl.E_COULDNT_RESOLVE_HOST, pycurl.E_COULDNT_RESOLVE_PROXY):
            return answers.unresolved(route)
        if code == pycurl.E_COULDNT_CONNECT and system == errno.ECONNREFUSED:
            return answers.connection_refused(route)
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return answers.timed_out(route)
        if code == pycurl.E_PEER_FAILED_VERIFICATION:
            return answers.untrusted(route.host, "libcurl does not verify it")
        if code == pycurl.E_SSL_CONNECT_ERROR and not system:
            return answers.without_tls(route, f"libcurl's error {code}")
        if code in (pycurl.E_URL_MALFORMAT, pycurl.E_UNSUPPORTED_PROTOCOL) and route.proxy:
            return answers.unusable_proxy(route)
        return answers.broken(route, os.strerror(system) if system else f"libcurl's error {code}")

    def _watch(self, action: int, file: int, _multi: Any, _data: Any) -> None:
        """Watch a socket as libcurl asks for."""
        if action == pycurl.POLL_REMOVE:
            self._sockets.leave(file)
        else:
            self._sockets.watch(file, _EVENTS[action])

    def _set_timer(self, milliseconds: int) -> None:
        self._due = math.inf if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def wake(self) -> None:
        """Let `step` return early."""
        self._waker.wake()

    def close(self) -> None:
        """Close all connections, whatever is in flight."""
        for handle in list(self._busy):
            self._multi.remove_handle(handle)
        for transfer in (*self._idle, *self._busy.values()):
            transfer.handle.close()
        self._idle, self._busy = [], {}
        self._multi.close()
        self._sockets.close()
        self._waker.close()
