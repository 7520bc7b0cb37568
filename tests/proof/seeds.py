"""The inputs that fuzzing begins with, by target: the fuzzer changes them, and finds more by coverage."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.make_bad import SHAPE, TIME
from tests.make_bad_values import VALUES
from tests.support.command import Command
from tests.support.packing import PACKS
from tests.support.tracker import GIF

CORPUS = Path(__file__).parent / "corpus"
"""Inputs that fuzzing has found, in a folder for each target."""

ROWS = (
    b"user,account,event,timestamp,plan\nada,Acme,In,1704067200,pro\nbob,Acme,Out,1704067260,free\n"
    b"ada,,In,2024-01-01T00:00:00Z,\nguest,Acme,In,never,1\n"
)
_LINES = (
    b'{"user": "ada", "account": {"id": 7}, "event": "In", "timestamp": 1704067200, "tags": ["a", 1.5]}\n'
    b'{"user": "bob", "event": "Out", "timestamp": "2024-01-01T00:00:00+01:00", "plan": null}\n'
)
_BAD = (*SHAPE, *TIME, *VALUES)
_LONGEST = 4_000
_SAMPLES = Path(__file__).parents[2] / "samples"
_ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: %d\r\n\r\n%s" % (len(GIF), GIF),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(GIF), GIF),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\n" + GIF,
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 302 Found KEY\r\nLocation: http://example.com/?_k=KEY\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 429 Slow down\r\nRetry-After: 1\r\nContent-Length: 3\r\n\r\nKEY",
    b"HTTP/1.1 503 KEY\r\nRetry-After: Wed, 21 Oct 2035 07:28:00 GMT\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 400 Bad\r\nSet-Cookie: a=KEY\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"220 mail.example ESMTP\r\n",
)


def seeds(target: str) -> Iterator[bytes]:
    """Yield the first inputs of a target, and those that fuzzing has found."""
    make = _MAKERS.get(target, partial(_packed, target))
    yield from (data for data in make() if len(data) <= _LONGEST)
    yield from (path.read_bytes() for path in sorted((CORPUS / target).glob("*")))


def _logs(ending: str = "") -> Iterator[bytes]:
    yield from (ROWS, _LINES)
    yield from (bad.content for bad in _BAD if bad.name.endswith(ending))


def _packed(ending: str) -> Iterator[bytes]:
    yield PACKS[ending](ROWS)
    yield from (bad.content for bad in _BAD if bad.name.endswith(ending))


def _km_tomls() -> Iterator[bytes]:
    yield from (path.read_bytes() for path in sorted(_SAMPLES.rglob("*.toml")))
    yield b'[columns]\nuser = "user"\ntimezone = "Europe/Berlin"\nhash = ["user"]\nrename = { plan = "p" }\n'
    yield b'[[personas]]\nname = "user"\ncolumn = "user"\nset = ["plan"]\n[delivery]\nconcurrency = 32\n'


@cache
def base_ledger() -> bytes:
    """Return a ledger that has calls, rejects and a run."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "log.csv").write_bytes(ROWS)
        Command(folder)("import", folder / "log.csv", "--to", f"file:{folder}/calls.json", "--yes")
        return (folder / "state" / "km-cli" / "ledger.db").read_bytes()


def changed_ledger(data: bytes) -> bytes:
    """Return the base ledger with changes. Of a change four bytes are the place, one is the length."""
    ledger, changes = bytearray(base_ledger()), io.BytesIO(data)
    while head := changes.read(5):
        place = int.from_bytes(head[:4], "big") % len(ledger)
        put = changes.read(head[-1])
        ledger[place : place + len(put)] = put
    return bytes(ledger)


def _changes() -> Iterator[bytes]:
    yield b""
    yield from (place.to_bytes(4, "big") + b"\x04\xff\x00\x7f\x80" for place in range(0, 40_000, 1_021))


def _plans() -> Iterator[bytes]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "log.csv").write_bytes(ROWS)
        Command(folder)("dry-run", folder / "log.csv", "--out", folder / "plan")
        yield (folder / "plan").read_bytes()


def _rejected(ending: str) -> Iterator[bytes]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "log.csv").write_bytes(ROWS)
        rejects = folder / f"rejects{ending}"
        Command(folder)("import", folder / "log.csv", "--to", "local", "--rejects", rejects)
        yield rejects.read_bytes()
    yield from _logs(ending)


_MAKERS: dict[str, Callable[[], Iterator[bytes]]] = {
    "csv": partial(_logs, ".csv"),
    "jsonl": partial(_logs, ".jsonl"),
    "any": _logs,
    "init": _logs,
    "kmtoml": _km_tomls,
    "ledger": _changes,
    "plan": _plans,
    "rejects": partial(_rejected, ".jsonl"),
    "table": partial(_rejected, ".csv"),
    "answer": lambda: iter(_ANSWERS),
    "curl": lambda: iter(_ANSWERS),
}
