"""The page of `compare --html`, in a real browser: it draws charts, runs nothing and asks for nothing."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from km_cli.compare import page as page_module
from tests.conftest import SAMPLES
from tests.support.browser import Browser, chromium
from tests.support.command import Command

FUNNEL = ("--funnel", "Joined Account", "--funnel", "Logged In", "--funnel", "Completed Task")
HOSTILE = (
    "<script>window.hacked = 1</script>",
    "\"><img src=x onerror='window.hacked = 1'>",
    "</svg></style><svg onload=window.hacked=1>",
    "\u202efed\u202cabc & <b>bold</b>",
    "http://example.com/x?a=1&b=2",
    "javascript:window.hacked=1",
)
needs_report = pytest.mark.skipif(
    find_spec("altair") is None or find_spec("vl_convert") is None, reason="needs altair and vl-convert"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for all tests of this file."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the sample."""
    home = tmp_path_factory.mktemp("page")
    words = ("--by", "plan", "--html", home / "sample.html")
    Command(home)("compare", SAMPLES / "events.csv", *FUNNEL, *words).ended(65)
    return home / "sample.html"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a log whose names are made to break out of it."""
    home = tmp_path_factory.mktemp("hostile")
    with (home / "log.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("timestamp", "user", "account", "event", "plan"))
        for at, name in enumerate(HOSTILE):
            account = (
                name if name.isprintable() else "plain"
            )  # invisible characters in identities are refused
            for user in range(3):
                writer.writerow((f"2024-03-01T09:0{at}:00Z", f"{user} {account}", account, HOSTILE[0], name))
            writer.writerow((f"2024-03-02T09:0{at}:00Z", f"0 {account}", account, HOSTILE[1], name))
    funnel = ("--funnel", HOSTILE[0], "--funnel", HOSTILE[1], "--by", "plan", "--allow-id", "-")
    (home / "km.toml").write_text(
        '[[personas]]\nname = "user"\nprefix = "u "\n[[personas]]\nname = "account"\n'
    )
    words = ("--config", home / "km.toml", "--html", home / "hostile.html")
    Command(home)("compare", home / "log.csv", *funnel, *words).ended(0)
    return home / "hostile.html"


@needs_report
@pytest.mark.slow
def test_charts_are_drawn(browser: Browser, page: Path) -> None:
    """Funnel, times, users per account and cost: each chart has bars, numbers, and a table beside it."""
    browser.open(page)
    charts = browser.ask(
        "return [...document.querySelectorAll('svg')].map(svg => ({"
        " label: svg.getAttribute('aria-label'), text: svg.textContent,"
        " bars: [...svg.querySelectorAll('path')].filter(path => path.getBBox().width > 5).length,"
        " width: svg.getBoundingClientRect().width,"
        " tables: svg.closest('.pair').querySelectorAll('table').length}))"
    )
    assert len(charts) == 4
    assert all(one["bars"] and one["width"] > 200 and one["tables"] == 1 and one["label"] for one in charts)
    assert "Logged In" in charts[0]["text"]
    assert "94.7%" in charts[0]["text"]


@needs_report
@pytest.mark.slow
def test_hostile_names_are_text(browser: Browser, hostile: Path) -> None:
    browser.open(hostile)
    text = browser.ask("return document.body.textContent")
    assert all(name in text for name in HOSTILE)
    charts = browser.ask("return [...document.querySelectorAll('svg')].map(svg => svg.textContent).join()")
    assert HOSTILE[0][:10] in charts
    assert browser.ask("return window.hacked") is None
    odd = "script, img, iframe, object, embed, a, b, link, base, form"
    assert browser.ask("return document.querySelectorAll(arguments[0]).length", odd) == 0
    assert (
        browser.ask("return document.querySelectorAll('[onload], [onerror], [style], [href], [src]').length")
        == 0
    )
    assert browser.complaints() == []


@needs_report
@pytest.mark.slow
def test_the_page_asks_for_nothing(browser: Browser, page: Path, hostile: Path) -> None:
    for one in (page, hostile):
        browser.open(one)
        assert browser.requests() == [one.as_uri()]
        assert browser.complaints() == []


@needs_report
@pytest.mark.slow
def test_the_policy_lets_no_script_run(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.ask(
        "const script = document.createElement('script'); script.textContent = 'window.hacked = 1';"
        "document.body.append(script)"
    )
    assert browser.ask("return window.hacked") is None
    assert any("Content Security Policy" in message for message in browser.complaints())


@needs_report
@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 360), ("dark", 360)]
)
def test_nothing_stands_in_a_readers_way(browser: Browser, page: Path, scheme: str, width: int) -> None:
    """axe-core finds nothing, in each scheme; and a narrow page is not wider than its window."""
    axe = os.environ.get("AXE_SCRIPT", "")
    if not axe:
        pytest.skip("needs axe-core: AXE_SCRIPT names its axe.min.js")
    browser.open(page, scheme=scheme, width=width)
    assert browser.barriers(Path(axe)) == []
    assert browser.ask("return document.scrollingElement.scrollWidth") <= width


@needs_report
@pytest.mark.slow
def test_schemes_differ_and_the_page_can_be_printed(browser: Browser, page: Path) -> None:
    colours = set()
    for scheme in ("light", "dark"):
        browser.open(page, scheme=scheme)
        colours.add(browser.ask("return getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.ask("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert len(browser.driver.execute_cdp_cmd("Page.printToPDF", {})["data"]) > 10_000


@needs_report
def test_the_page_names_the_files_with_their_rows_and_times(km: Command, tmp_path: Path) -> None:
    log = tmp_path / "<b>up&.csv"
    log.write_text((SAMPLES / "upgrades.csv").read_text())
    funnel = ("--funnel", "Signed Up", "--funnel", "Upgraded")
    words = (log, SAMPLES / "teams.csv", *funnel, "--no-strategies", "--html", tmp_path / "page.html")
    km("compare", *words).ended(0)
    page = (tmp_path / "page.html").read_text()
    assert "&lt;b&gt;up&amp;.csv</bdi></th><td>6</td>" in page
    assert "teams.csv</bdi></th>" in page
    assert "rows of 2 files read, from 2024-03-01 to 2024-03-15 (UTC)" in page
    assert "<b>" not in page


@needs_report
def test_an_earlier_page_is_replaced_as_a_whole(km: Command, tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    target.write_text("earlier")
    shown = km("compare", SAMPLES / "upgrades.csv", "--no-strategies", "--html", target).ended(0)
    assert f"The page is in {target}." in shown.out
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir() if "page" in path.name] == ["page.html"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("page.txt", "the name does not end in .html"),
        ("no/page.html", "there is no folder"),
        ("folder.html", "it is a folder"),
        ("log.html", "would be both an input and the file of --html"),
    ],
)
def test_a_wrong_path_is_said_before_the_log_is_read(
    km: Command, tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "log.html").write_bytes((SAMPLES / "upgrades.csv").read_bytes())
    ended = km("compare", tmp_path / "log.html", "--html", tmp_path / name).ended(2)
    assert message in ended.err


def test_without_the_libraries_the_error_says_how_to_install_them(
    km: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "_LIBRARIES", ("no_such_library",))
    ended = km("compare", SAMPLES / "upgrades.csv", "--html", tmp_path / "page.html").ended(2)
    assert "-m pip install altair vl-convert-python; without --html" in ended.err
    km("compare", SAMPLES / "upgrades.csv", "--no-strategies").ended(0)
