"""How many calls `km-cli serve` takes: `python -m tests.benchmarks.serve [CALLS] [ROUNDS]`.

A bare loop over libcurl, with 32 requests in flight, sends the same calls to a bare uvicorn application that
answers with the image, and to `km-cli serve`: once without a reader of the event stream, once with one. Each
number is a ratio of two measurements of one round, because machines differ and are shared. Every call must be
in the store.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

IN_FLIGHT = "32"

_BARE = """
import asyncio, socket, sys, uvicorn
from km_cli.serve.tracker import GIF
HEADERS = [(b"content-type", b"image/gif"), (b"content-length", str(len(GIF)).encode())]
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": GIF})
listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
print(f"bare: http://127.0.0.1:{listening.getsockname()[1]}/", flush=True)
options = {"http": "h11", "loop": "asyncio", "ws": "none", "lifespan": "off"}
config = uvicorn.Config(app, log_config=None, access_log=False, **options)
asyncio.run(uvicorn.Server(config).serve([listening]))
"""


@contextmanager
def started(*words: str) -> Iterator[tuple[str, int]]:
    """Start a server in a process of its own; yield the URL of its first line, and its process number."""
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield (
                next(word for word in server.stdout.readline().split() if "://" in word).rstrip("/"),
                server.pid,
            )
        finally:
            server.terminate()


def sent(url: str, calls: int) -> float:
    """Send the calls; return the seconds that it took."""
    words = [sys.executable, "-m", "tests.benchmarks.wire", "multi", url, str(calls), IN_FLIGHT]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def summary(url: str) -> dict[str, int]:
    """Return the counts of the server."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.request("GET", "/api/summary")
    found: dict[str, int] = json.load(connection.getresponse())
    connection.close()
    return found


@contextmanager
def looking(url: str) -> Iterator[Callable[[], int]]:
    """Read the event stream meanwhile; yield a function that returns how many bytes came."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.request("GET", "/api/stream")
    answer, read = connection.getresponse(), 0

    def run() -> None:
        nonlocal read
        try:
            while part := answer.read1(1 << 16):
                read += len(part)
        except (OSError, ValueError, AttributeError):
            return  # the connection was closed

    reader = threading.Thread(target=run, daemon=True)
    reader.start()
    yield lambda: read


def memory(process: int) -> float:
    """Return the memory that a process took at most, in MiB."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def served(calls: int, *, is_watched: bool) -> tuple[float, float]:
    """Return the seconds in which `km-cli serve` took the calls, and its memory in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        words = ("-m", "km_cli", "serve", "--port", "0", "--store", f"{folder}/store.db")
        with started(*words) as (url, process):
            if is_watched:
                with looking(url) as read:
                    seconds = sent(url, calls)
                    assert read()
            else:
                seconds = sent(url, calls)
            assert summary(url)["received"] == calls
            return seconds, memory(process)


def main(calls: int = 20_000, rounds: int = 3) -> None:
    """Print the medians of the ratios, and the rates of the last round."""
    plain, watched, most = [], [], 0.0
    for _ in range(rounds):
        with started("-c", _BARE) as (url, _):
            bare = sent(url, calls)
        alone, memory_alone = served(calls, is_watched=False)
        open_, memory_open = served(calls, is_watched=True)
        plain.append(alone / bare)
        watched.append(open_ / bare)
        most = max(most, memory_alone, memory_open)
        rates = f"bare {calls / bare:,.0f}, kept {calls / alone:,.0f}, watched {calls / open_:,.0f}"
        print(f"{rates} calls a second")
    print(f"{calls:,} calls, {IN_FLIGHT} in flight, as a multiple of the time of a bare uvicorn application:")
    print(f"kept {median(plain):.2f}, with the stream open {median(watched):.2f}; {most:.0f} MiB at most")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
