"""The Live page while calls arrive: nothing is lost, its memory is bounded, and a lost stream comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from km_cli.serve.running import RunningServer
from km_cli.standin import Store
from tests.support.browser import Browser, chromium
from tests.support.live import T, path_of, send, serving
from tests.test_live_page import has_text, is_listed, rows

MOST = 2000  # calls that the page holds

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for all tests of this file."""
    with chromium() as started:
        yield started


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server with an empty store."""
    with serving(tmp_path / "store.db") as running:
        yield running


def receive(store: Path, first: int, number: int) -> None:
    """Write calls into a store as `import --to local` does, in another connection than the server's."""
    with closing(Store(store)) as opened:
        for begin in range(first, first + number, 500):
            end = min(begin + 500, first + number)
            opened.receive(
                (path_of("e", f"user {at % 97}", f"Event {at}", T + at), b"") for at in range(begin, end)
            )


def received(browser: Browser, number: str) -> None:
    browser.wait("document.querySelector('.counts dd').textContent === arguments[0]", number)


def press(browser: Browser, text: str) -> None:
    """Press the button with this text, as soon as it is there."""
    browser.wait(
        "(() => { const found = [...document.querySelectorAll('button')].find(one => one.textContent"
        " === arguments[0] && one.offsetParent && !one.disabled); found?.click(); return found })()",
        text,
    )


def test_calls_show_as_they_arrive(browser: Browser, server: RunningServer) -> None:
    browser.open(server.url)
    for at, name in enumerate(("Signed Up", "Invited", "Upgraded")):
        send(server, path_of("e", "ada", name, T + at, plan="Free"))
        is_listed(browser, at + 1)
    assert rows(browser) == ["Upgraded", "Invited", "Signed Up"]
    received(browser, "3")
    first = browser.ask("return document.querySelector('.calls tbody tr').innerText")
    assert "ada" in first
    assert "2024-03-01 09:00:02" in first
    assert "plan Free" in first


def test_only_calls_that_fit_the_filter_are_added(browser: Browser, server: RunningServer) -> None:
    send(server, path_of("e", "ada", "Signed Up"))
    browser.open(f"{server.url}/#live?text=ada")
    is_listed(browser, 1)
    send(server, path_of("e", "bo", "Signed Up"), path_of("e", "Ada B", "Invited"))
    is_listed(browser, 2)
    received(browser, "3")
    assert rows(browser) == ["Invited", "Signed Up"]


def test_a_pause_holds_the_list_and_says_what_came(browser: Browser, server: RunningServer) -> None:
    send(server, path_of("e", "ada", "Signed Up"))
    browser.open(server.url)
    is_listed(browser, 1)
    browser.press("p")
    send(server, *(path_of("e", "ada", "Invited", T + at) for at in range(3)))
    has_text(browser, "Paused. 3 calls have arrived since.")
    assert rows(browser) == ["Signed Up"]
    browser.press("p")
    is_listed(browser, 4)


def test_other_views_say_that_calls_arrived(browser: Browser, server: RunningServer) -> None:
    send(server, path_of("e", "ada", "Signed Up"))
    browser.open(f"{server.url}/#people")
    received(browser, "1")
    browser.wait("document.querySelectorAll('.content .open').length === 1")
    send(server, path_of("e", "bo", "Signed Up"))
    has_text(browser, "1 call has arrived since.")
    press(browser, "Show the new state")
    browser.wait("document.querySelectorAll('.content .open').length === 2")
    has_no_text(browser, "arrived since")


def test_a_lost_stream_comes_back_and_missed_calls_can_be_listed(browser: Browser, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    with serving(store) as server:
        port = server.port
        receive(store, 0, 3)
        browser.open(server.url)
        is_listed(browser, 3)
    has_text_of(browser, "Connection lost")
    receive(store, 3, 4)
    with serving(store, port):
        has_text_of(browser, "Connected")
        received(browser, "7")
        has_text(browser, "4 calls are not listed")
        press(browser, "List the newest calls")
        is_listed(browser, 7)
        assert rows(browser) == [f"Event {at}" for at in reversed(range(7))]
        has_no_text(browser, "not listed")
        receive(store, 7, 1)
        is_listed(browser, 8)


def has_no_text(browser: Browser, text: str) -> None:
    browser.wait("!document.body.innerText.includes(arguments[0])", text)


def has_text_of(browser: Browser, text: str) -> None:
    browser.wait("document.getElementById('connection').textContent.startsWith(arguments[0])", text)


def test_all_calls_can_be_deleted(browser: Browser, server: RunningServer) -> None:
    send(server, path_of("e", "ada", "Signed Up"), path_of("e", "bo", "Signed Up"))
    browser.open(server.url)
    is_listed(browser, 2)
    press(browser, "Delete all…")
    press(browser, "Keep them")
    press(browser, "Delete all…")
    press(browser, "Delete all")
    has_text(browser, "No calls yet")
    received(browser, "0")
    send(server, path_of("e", "cy", "Invited"))
    is_listed(browser, 1)
    assert rows(browser) == ["Invited"]


def test_earlier_calls_are_loaded_and_all_are_searched(browser: Browser, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    with serving(store) as server:
        receive(store, 0, 2600)
        browser.open(server.url)
        is_listed(browser, 200)
        press(browser, "Load earlier calls")
        is_listed(browser, 700)
        browser.press("/", "Event 12")
        has_text(browser, "No call matches. The page holds the newest 700 of 2,600 calls.")
        press(browser, "Search all calls")
        is_listed(browser, 111)  # 12, 120 to 129, 1200 to 1299
        has_text(browser, "111 calls of all 2,600.")
        press(browser, "Back to the newest calls")
        has_text(browser, "No call matches.")


def test_60000_calls_go_through_an_open_page(browser: Browser, tmp_path: Path) -> None:
    """Each is counted, its memory does not grow, and the page answers while they arrive and afterwards."""
    store = tmp_path / "store.db"
    with serving(store) as server:
        browser.open(server.url)
        has_text(browser, "No calls yet")
        receive(store, 0, 20_000)
        received(browser, "20,000")
        before = memory(browser)
        receive(store, 20_000, 20_000)
        browser.press("j", "j", "p")
        has_text(browser, "Paused.")
        receive(store, 40_000, 19_000)
        browser.press("p")
        send(server, *(path_of("e", "ada", f"Event {at}", T + at) for at in range(59_000, 60_000)))
        received(browser, "60,000")
        after = memory(browser)
        has_text(browser, "not listed")
        press(browser, "List the newest calls")
        has_no_text(browser, "not listed")
        has_text(browser, f"200 of {MOST:,} calls.")
        for _ in range(MOST // 200 - 1):
            press(browser, "Show more")
        is_listed(browser, MOST)
        assert rows(browser) == [f"Event {at}" for at in reversed(range(60_000 - MOST, 60_000))]
        assert after["Nodes"] < 1.5 * before["Nodes"] + 5000
        assert after["JSHeapUsedSize"] < 1.5 * before["JSHeapUsedSize"] + 5_000_000
        assert browser.complaints() == []


def memory(browser: Browser) -> dict[str, float]:
    """Return the elements and bytes that the page holds, after what it no longer needs is gone."""
    browser.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    browser.driver.execute_cdp_cmd("Performance.enable", {})
    found = browser.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return {one["name"]: one["value"] for one in found}
