"""The conformance suite of destinations: encoding is pure, and the other end reads exactly what was meant.

It runs over every registered destination, and over a toy that is one class: a file of lines.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km_cli.destinations import DESTINATIONS, Target, parse_target
from km_cli.destinations.base import QueryEncoder
from km_cli.destinations.bucket import BucketTarget
from km_cli.destinations.bulk import FileTarget
from km_cli.destinations.http import TrackerDestination
from km_cli.destinations.local import LocalTarget
from km_cli.destinations.tracker import TrackerTarget
from km_cli.errors import LedgerFailed, UsageError
from km_cli.model import NANOSECONDS, Answer, AnswerKind, PlannedCall, Record, Wired
from km_cli.protocols import Clock, Destination
from km_cli.run.clock import SystemClock
from km_cli.standin import Store
from tests.support.delivering import KEY, SECOND, connected, planned_call, record
from tests.support.inprocess import run
from tests.support.patience import PATIENCE
from tests.support.tracker import GIF, OK, Tracker, refuse

FIRST, LAST = 1_230_768_000, 4_102_444_800
_LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_AWKWARD = st.sampled_from(list("+ @&%=#?/;,:\"'<>~._-\\\n\ré日🎉\u00a0\u0301"))
_TEXT = st.text(st.one_of(_AWKWARD, _LETTERS), max_size=40)


def folded(text: str) -> str:
    """As the older pages have it: commas and colons become spaces (D4)."""
    return text.replace(",", " ").replace(":", " ")


_NAMES = _TEXT.filter(lambda text: bool(folded(text).strip()) and not text.startswith("_"))
_CALLS = st.builds(
    lambda identity, event, second, pairs: record(
        0, identity=identity, event=event, moment=second * NANOSECONDS + 7, properties=tuple(pairs)
    ),
    _NAMES,
    _NAMES,
    st.integers(FIRST, LAST),
    st.lists(st.tuples(_NAMES, _TEXT), max_size=5, unique_by=lambda pair: folded(pair[0]).casefold()),
)

Opening = tuple[str, str, int, dict[str, str]]


class ByTracker:
    """Reads what arrived at a server."""

    target = TrackerTarget

    def __init__(self, folder: Path) -> None:  # noqa: ARG002
        self.tracker = Tracker()
        self.tracker.start()

    def destination(self, site: str) -> Destination:
        return TrackerDestination(self.tracker.url, {site: KEY})

    def read(self, site: str) -> Opening:  # noqa: ARG002
        params = dict(self.tracker.hits[-1].params)
        assert (params.pop("_k"), params.pop("_d")) == (KEY, "1")
        return params.pop("_p"), params.pop("_n"), int(params.pop("_t")), params

    def meant(self, call: Record, second: int) -> Opening:
        return call.identity, call.event, second, dict(call.properties)

    def close(self) -> None:
        self.tracker.__exit__(None, None, None)


class ByStore:
    """Reads what the embedded store keeps."""

    target = LocalTarget

    def __init__(self, folder: Path) -> None:
        self.path = folder / "local.db"

    def destination(self, site: str) -> Destination:  # noqa: ARG002
        return parse_target(f"local:{self.path}", self.path.parent).open({}, 30.0, SystemClock())

    def read(self, site: str) -> Opening:
        with closing(Store(self.path)) as store:
            (event,) = (event for event in store.events() if event.product == site)
            values = [one for one in store.properties() if one.product == site]
        assert {(one.person, one.second) for one in values} <= {(event.person, event.second)}
        return event.person, event.event, event.second, {one.name: one.value for one in values}

    def meant(self, call: Record, second: int) -> Opening:
        pairs = {folded(name): value for name, value in call.properties}
        return folded(call.identity), folded(call.event), second, pairs

    def close(self) -> None:
        pass


# A destination in one class: `lines:PATH` appends each call to a file


class LinesTarget(Target):
    """A file of calls, one a line, the site in front."""

    spelling: ClassVar[str] = "lines:PATH"

    @classmethod
    def parse(cls, to: str, folder: Path) -> Self:  # noqa: ARG003
        path = str(Path(to.partition(":")[2]).absolute())
        return cls(f"lines:{path}", path)

    def open(self, keys: Mapping[str, str], timeout: float, clock: Clock) -> Destination:  # noqa: ARG002
        return Lines(Path(self.place))


class Lines:
    """The destination, and its only connection."""

    at_once = 7
    workers = 1

    def __init__(self, path: Path) -> None:
        self._path = path
        self._encoder = QueryEncoder()

    def encode(self, call: Wired, second: int) -> bytes:
        return self._encoder.encode(call, second)

    def connect(self) -> Lines:
        return self

    def send(self, planned_calls: Sequence[PlannedCall]) -> Answer:
        try:
            with self._path.open("ab") as file:
                file.writelines(b"%s %s\n" % (call.site.encode(), call.payload) for call in planned_calls)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return Answer(AnswerKind.REFUSED, f"{self._path}: {error.strerror}", hint="name another file")
        return Answer(AnswerKind.ACKNOWLEDGED)

    def close(self) -> None:
        pass


class ByLines:
    """Reads the last line."""

    target = LinesTarget

    def __init__(self, folder: Path) -> None:
        self.path = folder / "calls.txt"

    def destination(self, site: str) -> Destination:  # noqa: ARG002
        return LinesTarget.parse(f"lines:{self.path}", self.path.parent).open({}, 30.0, SystemClock())

    def read(self, site: str) -> Opening:
        name, call = self.path.read_text().splitlines()[-1].split(" ")
        assert name == site
        params = dict(parse_qsl(call.partition("?")[2], keep_blank_values=True))
        assert params.pop("_d") == "1"
        return params.pop("_p"), params.pop("_n"), int(params.pop("_t")), params

    def meant(self, call: Record, second: int) -> Opening:
        return call.identity, call.event, second, dict(call.properties)

    def close(self) -> None:
        pass


End = ByTracker | ByStore | ByLines
ENDS = [ByTracker, ByStore, ByLines]


def test_every_destination_has_an_end_to_read_at() -> None:
    """But for bulk files, whose calls get no answer: `test_bulk.py` and `test_uploads.py` read them."""
    assert {end.target for end in ENDS} == {*DESTINATIONS.values(), LinesTarget} - {FileTarget, BucketTarget}


def test_a_toy_is_imported_to_by_one_line_in_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DESTINATIONS, "lines", LinesTarget)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text("user,account,event,timestamp\nada,Acme,Paid,1709283600\n")
    summaries = []
    for _ in range(2):
        code, out, err = run(["import", "log.csv", "--to", "lines:calls.txt", "--json"], os.environ)
        assert code == 0, err
        summaries.append(json.loads(out)["rows"])
    assert [(rows["sent"], rows["skipped"]) for rows in summaries] == [(1, 0), (0, 1)]
    assert Path("calls.txt").read_text() == (
        "main /e?_p=ada&_n=Paid&_t=1709283600&_d=1\nmain /e?_p=Acme&_n=Paid&_t=1709283600&_d=1\n"
    )
    assert (tmp_path / "state").exists(), "it has no ledger of its own"
    code, _, err = run(["import", "log.csv", "--to", "lines:."], os.environ)
    assert code == 69
    assert f"{tmp_path}: Is a directory\n  next: name another file" in err
    with pytest.raises(UsageError) as caught:
        parse_target("line:calls.txt", tmp_path)
    assert "lines:PATH" in caught.value.hint, "the hint is made from the registry"


@pytest.fixture(scope="module", params=ENDS)
def end(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[End]:
    """Where calls go, and how to read there."""
    made: End = request.param(tmp_path_factory.mktemp("end"))
    yield made
    made.close()


_sites = (f"site{number}" for number in itertools.count())


@given(call=_CALLS)
def test_the_other_end_reads_exactly_what_was_meant(end: End, call: Record) -> None:
    site = next(_sites)
    call = call._replace(site=site)
    destination = end.destination(site)
    with closing(connected(destination)) as connection:
        answer = connection.send([planned_call(destination, 1, call)])
        assert answer.kind is AnswerKind.ACKNOWLEDGED
        assert end.read(site) == end.meant(call, call.second)
        assert connection.send([planned_call(destination, 1, call)]) == answer, "once more is harmless"
        assert end.read(site) == end.meant(call, call.second)


@given(calls=st.lists(st.tuples(_CALLS, st.integers(FIRST, LAST)), max_size=8))
def test_encode_is_pure(end: End, calls: list[tuple[Record, int]]) -> None:
    one, other = end.destination("main"), end.destination("main")
    forward = [one.encode(*call) for call in calls]
    backward = [other.encode(*call) for call in reversed(calls)]
    assert forward == backward[::-1] == [one.encode(*call) for call in calls]
    for (_, second), payload in zip(calls, forward, strict=True):
        assert payload.isascii()
        assert f"&_t={second}&_d=1".encode() in payload
        assert not {b"?_k=", b"&_k="}.intersection(payload[at : at + 4] for at in range(len(payload)))


@given(calls=st.lists(_CALLS, min_size=2, max_size=8, unique_by=lambda c: (c[2:], c.second)))
def test_two_calls_never_have_the_same_bytes(end: End, calls: list[Record]) -> None:
    destination = end.destination("main")
    meant = {(c.identity, c.event, c.second, c.properties) for c in calls}
    assert len({destination.encode(call, call.second) for call in calls}) == len(meant)


@pytest.mark.usefixtures("transport")
def test_as_many_go_at_once_as_it_says(end: End) -> None:
    destination = end.destination("many")
    calls = [record(number, site="many") for number in range(destination.at_once)]
    with closing(connected(destination)) as connection:
        planned_calls = [planned_call(destination, number, call) for number, call in enumerate(calls)]
        assert connection.send(planned_calls).kind is AnswerKind.ACKNOWLEDGED
    assert destination.workers >= 1


# The tracker's own


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("length", [-1, 0, 1, 9000])
def test_up_to_2048_characters_without_the_key_it_is_a_get(tracker: Tracker, length: int) -> None:
    destination = TrackerDestination(tracker.url + "/base", {"main": KEY})
    short = record(1, properties=(("note", ""), ("plan", "a b")))
    room = 2048 + length - len(tracker.url + "/base") - len(destination.encode(short, SECOND))
    call = short._replace(properties=(("note", "x" * room), ("plan", "a b")))
    payload = destination.encode(call, SECOND).decode()
    with closing(connected(destination)) as connection:
        for _ in range(2):
            assert connection.send([planned_call(destination, 1, call)]).kind is AnswerKind.ACKNOWLEDGED
        assert connection.send([planned_call(destination, 1, short)]).kind is AnswerKind.ACKNOWLEDGED
    hit, same, last = tracker.seen
    query = payload.partition("?")[2]
    if length <= 0:
        assert len(tracker.url + "/base" + payload) == 2048 + length
        assert hit.wire == ("GET", "/base/e", f"_k={KEY}&{query}", b"")
    else:
        assert hit.wire == ("POST", "/base/e", "", f"_k={KEY}&{query}".encode())
        assert hit.headers["content-type"] == "application/x-www-form-urlencoded"
    assert same.wire == hit.wire
    assert hit.params["note"] == "x" * room
    assert last.method == "GET"
    assert not last.body
    assert tracker.connections == 1


def answer_of(url: str, **more: Any) -> AnswerKind:
    """Send one call there."""
    destination = TrackerDestination(url, {"main": KEY}, **more)
    with closing(connected(destination)) as connection:
        return connection.send([planned_call(destination, 1, record(1))]).kind


@pytest.mark.usefixtures("transport")
def test_proxies_are_looked_up_once_and_never_for_this_machine(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", tracker.url)
    here = TrackerDestination(tracker.url, {"main": KEY})
    away = TrackerDestination("https://tracker.example", {"main": KEY})
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    tracker.behave = lambda hit, _: refuse(502) if hit.method == "CONNECT" else OK
    for destination in (here, away):
        with closing(connected(destination)) as connection:
            connection.send([planned_call(destination, 1, record(1))])
    assert [(hit.method, hit.path) for hit in tracker.seen] == [
        ("GET", "/e"),
        ("CONNECT", "tracker.example:443"),
    ]
    assert KEY not in tracker.seen[1].query


@pytest.mark.usefixtures("transport")
def test_netrc_and_cookies_are_left_alone(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login ada password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert answer_of(tracker.url) is AnswerKind.ACKNOWLEDGED
    assert "authorization" not in tracker.seen[0].headers
    assert "cookie" not in tracker.seen[0].headers


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tracker",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path, "-out", path.with_name("cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + path.with_name("cert.pem").read_bytes())
    return path


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize(("trusts", "kind"), [(False, AnswerKind.REFUSED), (True, AnswerKind.ACKNOWLEDGED)])
def test_the_certificate_must_be_trusted(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, kind: AnswerKind, *, trusts: bool
) -> None:
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    if trusts:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.with_name("cert.pem")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=_serve_once, args=(listener, context))
        server.start()
        assert answer_of(f"https://127.0.0.1:{listener.getsockname()[1]}", timeout=PATIENCE) is kind
        server.join(PATIENCE)


def _serve_once(listener: socket.socket, context: ssl.SSLContext) -> None:
    raw, _ = listener.accept()
    try:
        with context.wrap_socket(raw, server_side=True) as peer:
            peer.recv(65_536)
            head = f"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: {len(GIF)}\r\n\r\n"
            peer.sendall(head.encode() + GIF)
            peer.recv(1)
    except OSError:
        raw.close()


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    path = tmp_path / "local.db"
    path.write_bytes(b"this is no database, whatever its name says " * 100)
    with pytest.raises(LedgerFailed, match=r"local\.db cannot be written"):
        parse_target(f"local:{path}", path.parent).open({}, 30.0, SystemClock()).connect()
