"""The Live page of `km-cli serve` in a real browser: its views, keys, and hostile values that stay text."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from km_cli.serve.running import RunningServer
from tests.support.browser import ENTER, ESCAPE, Browser, chromium
from tests.support.command import Command
from tests.support.live import T, path_of, send, serving

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "\"><img src=x onerror='window.hacked = 1'>",
    "</td></table><svg onload=window.hacked=1>",
    "\u202efed\u202c & <b>bold</b>",
    "javascript:window.hacked=1",
    "constructor",
    "__proto__",
)
ODD_IDENTITY = "a+b/c=%41?d#e&f"
VIEWS = ("#live", "#people", "#person/ada", "#events", "#facts", "#funnel?step=Signed+Up&step=Upgraded")
HEADINGS = ("Live", "People and accounts", "ada", "Events", "Merged, changed, dropped", "Funnel")


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


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose store has two people, an alias, and one of each kind of fact. No test changes it."""
    with serving(tmp_path_factory.mktemp("filled") / "store.db") as running:
        send(
            running,
            path_of("e", "ada", "Signed Up", plan="Business", seats="12"),
            path_of("e", "ada", "Signed Up", plan="Business", seats="13"),  # D1 and D2
            path_of("e", "ada", "Upgraded", T + 86_400),
            path_of("s", "ada", second=T + 90_000, city="Graz"),
            path_of("a", "ada", ODD_IDENTITY),
            path_of("e", "bo", "Signed Up", T + 60),
            path_of("e", "bo", "Viewed, Page: tour", T + 120),  # D4
            path_of("e", "cy", "Signed Up", 1_000_000_000),  # D6
        )
        yield running


def rows(browser: Browser) -> list[str]:
    """Return the names of the calls that are listed, from the top."""
    return browser.ask(
        "return [...document.querySelectorAll('.calls tbody .open')].map(one => one.textContent)"
    )


def is_listed(browser: Browser, number: int) -> None:
    browser.wait("document.querySelectorAll('.calls tbody tr').length === arguments[0]", number)


def has_text(browser: Browser, text: str) -> None:
    browser.wait("document.getElementById('main').innerText.includes(arguments[0])", text)


@pytest.mark.slow
def test_an_empty_store_shows_commands_that_fill_it(
    browser: Browser, server: RunningServer, tmp_path: Path
) -> None:
    browser.open(server.url)
    has_text(browser, "No calls yet")
    commands = browser.ask("return [...document.querySelectorAll('pre')].map(one => one.textContent)")
    (tmp_path / "events.csv").write_text("timestamp,user,event\n2024-03-01T09:00:00Z,ada,Invited\n")
    words = [str(tmp_path / word) if word == "events.csv" else word for word in shlex.split(commands[0])]
    assert words[:2] == ["KM_API_KEY=test", "km-cli"]
    Command(tmp_path, environment={"KM_API_KEY": "test"})(*words[2:]).ended(0)
    is_listed(browser, 1)
    for command in commands[1:]:
        program, address = shlex.split(command)
        assert program == "curl"
        urlopen(address).close()
    is_listed(browser, 3)
    assert rows(browser) == ["Set properties", "Signed Up", "Invited"]
    assert "No calls yet" not in browser.ask("return document.body.innerText")
    assert browser.complaints() == []


@pytest.mark.slow
def test_filters_choose_calls_and_stay_in_the_address(browser: Browser, filled: RunningServer) -> None:
    browser.open(filled.url)
    is_listed(browser, 8)
    browser.press("/", "city")
    is_listed(browser, 1)
    assert rows(browser) == ["Set properties"]
    assert browser.driver.current_url.endswith("#live?text=city")
    browser.open(f"{filled.url}/#live?text=city")
    is_listed(browser, 1)
    browser.press("/", ESCAPE)
    is_listed(browser, 8)
    sites = browser.wait("[...document.querySelector('[aria-label=Site]').options].map(one => one.value)")
    assert len(sites) == 2, "all sites, and the one that calls were sent to"


@pytest.mark.slow
def test_an_address_with_a_bare_percent_sign_opens(browser: Browser, filled: RunningServer) -> None:
    """The identity was written into the address by hand."""
    browser.open(f"{filled.url}/#person/50%")
    has_text(browser, "the store has no person '50%'")
    browser.press("1")
    is_listed(browser, 8)


@pytest.mark.slow
def test_a_person_named_like_a_folder_opens(browser: Browser, server: RunningServer) -> None:
    send(server, path_of("e", "..", "Signed Up"))
    browser.open(f"{server.url}/#person/..")
    has_text(browser, "Signed Up")


@pytest.mark.slow
def test_keys_walk_through_the_list(browser: Browser, filled: RunningServer) -> None:
    browser.open(filled.url)
    is_listed(browser, 8)
    browser.press("j", "j", "k", "j", ENTER)
    assert browser.ask("return document.getElementById('panel-title').textContent") == "Viewed, Page: tour"
    browser.press("j")
    assert browser.ask("return document.getElementById('panel-title').textContent") == "Signed Up"
    browser.press(ESCAPE)
    assert browser.ask("return document.getElementById('panel').hidden")
    assert browser.ask("return document.activeElement.textContent") == "Signed Up", (
        "the focus stays in the list"
    )
    browser.press(*"kkkkkkkk")
    assert browser.ask("return document.querySelector('.chosen .open').textContent") == rows(browser)[0]
    browser.press("?")
    assert browser.ask("return document.getElementById('help').open")
    browser.press("p", ESCAPE)
    assert not browser.ask("return document.getElementById('help').open")
    assert "Paused" not in browser.ask("return document.body.innerText"), "keys rest while a dialog is open"
    browser.press("/", "jp?")
    assert browser.ask("return document.querySelector('[type=search]').value") == "jp?"
    browser.press(ESCAPE)
    for key, heading in zip("2345", HEADINGS[1:2] + HEADINGS[3:], strict=True):
        browser.press(key)
        browser.wait("document.querySelector('h1').textContent === arguments[0]", heading)


@pytest.mark.slow
def test_a_person_has_a_timeline(browser: Browser, filled: RunningServer) -> None:
    """By any of the person's identities, also one that an address has to escape."""
    for identity in ("ada", ODD_IDENTITY):
        browser.open(f"{filled.url}/#person/{quote(identity, safe='')}")
        has_text(browser, "Timeline")
        text = browser.ask("return document.getElementById('main').innerText")
        assert (ODD_IDENTITY if identity == "ada" else "ada") in text.partition("Events")[0]
        assert re.search(r"Upgraded\s+1\s+2024-03-02 09:00:00", text)
        timeline = " ".join(text.partition("Timeline")[2].split())
        days = ("March 2, 2024", "10:00:00 city Graz", "09:00:00 Upgraded", "March 1, 2024")
        assert [timeline.index(one) for one in days] == sorted(timeline.index(one) for one in days)
    browser.open(f"{filled.url}/#person/nobody")
    browser.wait("document.querySelector('[role=alert]')?.textContent.includes('nobody')")


@pytest.mark.slow
def test_people_and_events_are_counted(browser: Browser, filled: RunningServer) -> None:
    browser.open(f"{filled.url}/#people")
    browser.wait("document.querySelectorAll('tbody .open').length === 2")
    browser.press("/", "bo")
    browser.wait("document.querySelectorAll('.content .open').length === 1")
    browser.driver.find_element("css selector", ".content .open").click()
    browser.wait("document.querySelector('h1').textContent === 'bo'")
    browser.open(f"{filled.url}/#events")
    found = browser.wait(
        "document.querySelector('.content tbody') &&"
        " [...document.querySelectorAll('.content tbody tr')].map(row => row.innerText.split('\\t'))"
    )
    assert found[0] == ["Signed Up", "2", "2"]


@pytest.mark.slow
def test_facts_have_their_rule_their_cure_and_their_calls(browser: Browser, filled: RunningServer) -> None:
    browser.open(f"{filled.url}/#facts")
    browser.wait("document.querySelectorAll('.card').length >= 4")
    text = browser.ask("return document.getElementById('main').innerText")
    assert all(one in text for one in ("merged D1", "merged D2", "changed D4", "dropped D6", "To do:"))
    browser.ask("document.querySelector('[data-rule=D1]').click()")
    browser.wait("document.querySelectorAll('.card').length === 1")
    card = browser.ask("return document.querySelector('.card').innerText")
    assert "First call, number 1" in card
    assert "Second call, number 2" in card
    assert browser.ask("return document.activeElement.dataset.rule") == "D1"


@pytest.mark.slow
def test_the_funnel_is_counted(browser: Browser, filled: RunningServer) -> None:
    browser.open(f"{filled.url}/#funnel")
    browser.wait("document.querySelectorAll('#event-names option').length >= 3")
    for at, step in enumerate(("Signed Up", "Upgraded")):
        browser.driver.find_element("id", f"step-{at}").send_keys(step)
    browser.press(ENTER)
    browser.wait("document.querySelectorAll('.funnel tbody tr').length === 2")
    text = browser.ask("return document.querySelector('.funnel').innerText")
    assert "50.0% of 2" in text
    assert "1 day" in text
    browser.driver.find_element("id", "within").send_keys("soon")
    browser.press(ENTER)
    browser.wait("document.querySelector('[role=alert]')?.textContent.includes('soon')")


@pytest.mark.slow
def test_hostile_values_are_text(browser: Browser, server: RunningServer) -> None:
    """In every view, as a person, an alias, an event, a property and a value."""
    for at, value in enumerate(HOSTILE):
        send(
            server,
            path_of("e", value, value, T + at, **{f"{value} ": value, "long": "x" * 5000}),
            path_of("e", value, value, T + at),
            path_of("a", value, f"{value} again"),
        )
    views = [view.replace("ada", quote(HOSTILE[1], safe="")) for view in VIEWS]
    views[-1] = f"#funnel?step={quote(HOSTILE[0])}&step={quote(HOSTILE[1])}"
    browser.open(server.url)
    is_listed(browser, 3 * len(HOSTILE))
    browser.press(*"jjj", ENTER)
    for view in views:
        browser.ask("window.location.hash = arguments[0]", view)
        has_text(
            browser, HOSTILE[1] if "person" in view else HOSTILE[0]
        ) if "funnel" not in view else has_text(browser, "Counted by")
        assert browser.ask("return window.hacked") is None
        odd = "#main script, #main img, #main svg, #main iframe, #main b, [onload], [onerror]"
        assert browser.ask("return document.querySelectorAll(arguments[0]).length", odd) == 0
        hrefs = browser.ask("return [...document.querySelectorAll('#main a')].map(one => one.href)")
        assert all(href.startswith(f"{server.url}/#") for href in hrefs)
        assert browser.ask("return document.scrollingElement.scrollWidth") <= 1200
    assert browser.complaints() == []


@pytest.mark.slow
def test_the_page_asks_no_other_server(browser: Browser, filled: RunningServer) -> None:
    browser.open(filled.url)
    is_listed(browser, 8)
    for view, heading in zip(VIEWS[1:], HEADINGS[1:], strict=True):
        browser.ask("window.location.hash = arguments[0]", view)
        browser.wait("document.querySelector('h1').textContent === arguments[0]", heading)
        browser.wait("document.querySelector('.content').getAttribute('aria-busy') === 'false'")
    asked = [one for one in browser.requests() if not one.startswith("data:")]
    assert [one for one in asked if not one.startswith(f"{filled.url}/")] == []
    assert len(asked) > 10
    assert browser.complaints() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 375), ("dark", 375)]
)
def test_nothing_stands_in_a_readers_way(
    browser: Browser, filled: RunningServer, scheme: str, width: int
) -> None:
    """axe-core finds nothing in any view, and a narrow page is not wider than its window."""
    axe = os.environ.get("AXE_SCRIPT", "")
    if not axe:
        pytest.skip("needs axe-core: AXE_SCRIPT names its axe.min.js")
    for view in VIEWS:
        browser.open(f"{filled.url}/{view}", scheme=scheme, width=width)
        if view == "#live":
            is_listed(browser, 8)
            browser.press("j", "j", ENTER)
        else:
            browser.wait("document.querySelector('.content')?.getAttribute('aria-busy') === 'false'")
        assert browser.barriers(Path(axe)) == [], view
        assert browser.ask("return document.scrollingElement.scrollWidth") <= width, view


def test_no_script_of_the_page_takes_markup() -> None:
    """Values reach the page as text nodes: no script writes HTML, and the page has no script of its own."""
    folder = files("km_cli.serve") / "page"
    scripts = {
        one.name: one.read_text(encoding="utf-8") for one in folder.iterdir() if one.name.endswith(".js")
    }
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setHTML|DOMParser"
    assert {name for name, text in scripts.items() if re.search(markup, text)} == set()
    assert max(text.count("\n") for text in scripts.values()) < 300
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert re.search(r"<script(?![^>]* src=)|<style| on[a-z]+=| style=", page) is None
    assert not re.findall(r"(?:src|href)=\"(?!#|live\.|data:)[^\"]*\"", page)
