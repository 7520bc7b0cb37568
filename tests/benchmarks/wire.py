"""The wire alone, without files and ledger: `python -m tests.benchmarks.wire WAY URL CALLS IN_FLIGHT`.

WAY is one of km-cli's drivers (`curl`, `requests`), or what each is compared with: a bare loop over libcurl
(`multi`), and threads that have a `requests.Session` each (`sessions`). IN_FLIGHT is a number, or `auto` for
a driver. Prints the calls, their seconds, and their CPU seconds as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from random import Random

import requests

from km_cli.config.environment import Environment
from km_cli.delivery import Concurrency, Courier, Driver, OneThread, Policy, Pool
from km_cli.destinations.http import TrackerDestination
from km_cli.model import PlannedCall
from km_cli.run.clock import SystemClock
from km_cli.run.process import look_for_cycles_seldom, stay_on_one_core

KEY = "0123456789abcdef0123456789abcdef01234567"
_SECOND = 1_700_000_000
_BATCH, _WINDOW = 500, 2000


def payloads(count: int) -> Iterator[str]:
    """Yield the paths and queries of calls, as those of the generated log."""
    for number in range(count):
        yield (
            f"/e?_p=user{number % 30_000}%40example.com&_n=Signed%20Up&_t={1_600_000_000 + number}&_d=1"
            f"&plan=pro&amount={number % 997}&browser=chrome&page=%2Fp%2F{number % 300}"
        )


def by_driver(url: str, count: int, in_flight: str, *, by_curl: bool) -> None:
    """Send by one of km-cli's drivers; the calls come in batches, as the pipeline hands them over."""
    destination, clock = TrackerDestination(url, {"main": KEY}), SystemClock()
    calls = [
        PlannedCall("main", "user", payload.encode(), b"", _SECOND, _SECOND, b"", b"", number, number)
        for number, payload in enumerate(payloads(count), start=1)
    ]
    most = int(in_flight) if in_flight != "auto" else (OneThread if by_curl else Pool).most
    least = 1 if in_flight == "auto" else most if by_curl else min(most, Pool.most)
    concurrency = Concurrency(most, least)
    courier = Courier(Policy(), Random(0), clock.monotonic(), concurrency)
    process = Environment({}, sys.stdin, sys.stdout, sys.stderr, clock, Random(0), 0, owns_process=True)
    look_for_cycles_seldom(process)
    driver: Driver
    if by_curl:
        driver = OneThread(destination.transfers(most), courier, clock, window=_WINDOW)
    else:
        stay_on_one_core(process)
        driver = Pool(destination, courier, clock, window=_WINDOW)
    done = 0
    for at in range(0, count, _BATCH):
        driver.submit(calls[at : at + _BATCH])
        while not driver.has_room():
            done += len(driver.receipts(0.2))
    while not driver.is_idle:
        done += len(driver.receipts(0.2))
    done += len(driver.close())
    assert done == count, driver.failure
    if in_flight == "auto":
        print(f"in flight at the end: {courier.limit}", file=sys.stderr)


def by_multi(url: str, count: int, in_flight: str) -> None:
    """Send by a bare loop over libcurl."""
    import pycurl

    multi, left = pycurl.CurlMulti(), payloads(count)
    multi.setopt(pycurl.M_MAXCONNECTS, int(in_flight))
    handles = [pycurl.Curl() for _ in range(int(in_flight))]
    done = 0

    def start(handle: pycurl.Curl) -> None:
        if (payload := next(left, None)) is not None:
            handle.setopt(pycurl.URL, url + payload.replace("?", f"?_k={KEY}&", 1))
            multi.add_handle(handle)

    for handle in handles:
        handle.setopt(pycurl.WRITEFUNCTION, lambda _: None)
        start(handle)
    while done < count:
        multi.perform()
        more = 1
        while more:
            more, good, bad = multi.info_read()
            assert not bad
            for handle in good:
                assert handle.getinfo(pycurl.RESPONSE_CODE) == 200
                done += 1
                multi.remove_handle(handle)
                start(handle)
        multi.perform()
        multi.select(1.0)


def by_sessions(url: str, count: int, in_flight: str) -> None:
    """Send by threads, each with a session that looks at no environment and keeps its connection."""
    left, lock = payloads(count), threading.Lock()

    def work() -> None:
        with requests.Session() as session:
            session.trust_env = False
            while True:
                with lock:
                    payload = next(left, None)
                if payload is None:
                    return
                answer = session.get(url + payload.replace("?", f"?_k={KEY}&", 1), timeout=30)
                assert answer.status_code == 200
                assert answer.content

    threads = [threading.Thread(target=work) for _ in range(int(in_flight))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


WAYS: dict[str, Callable[[str, int, str], None]] = {
    "curl": lambda url, count, in_flight: by_driver(url, count, in_flight, by_curl=True),
    "requests": lambda url, count, in_flight: by_driver(url, count, in_flight, by_curl=False),
    "multi": by_multi,
    "sessions": by_sessions,
}


def main() -> None:
    """Send, and print what it took."""
    way, url, count, in_flight = sys.argv[1:]
    began, cpu = time.perf_counter(), time.process_time()
    WAYS[way](url, int(count), in_flight)
    taken = (time.perf_counter() - began, time.process_time() - cpu)
    print(json.dumps({"calls": int(count), "seconds": taken[0], "cpu": taken[1]}))


if __name__ == "__main__":
    main()
