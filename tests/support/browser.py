"""A headless Chromium that looks at a page: its requests, its console, and its barriers for readers."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.support.patience import PATIENCE

_ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
)

ENTER, ESCAPE = "\ue007", "\ue00c"
"""Keys by their codes in the WebDriver standard, so that tests need no Selenium to be collected."""

_PATIENCE = 120
"""Seconds until a state that a page has to reach is given up. Only a test that fails waits that long."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium. The test is skipped if it, its driver or Selenium is missing."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("needs chromium and chromedriver")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        pytest.skip("needs selenium")
    with TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for argument in (*_ARGUMENTS, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        started = webdriver.Chrome(options=options, service=Service(driver))
        started.set_script_timeout(PATIENCE)
        try:
            yield Browser(started)
        finally:
            started.quit()


class Browser:
    """One window of a browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path | str, *, scheme: str = "light", width: int = 1200) -> None:
        """Open a file or an address in a colour scheme, in a window so many pixels wide."""
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get("about:blank")  # what the page before still asks for is not this page's doing
        for kind in ("performance", "browser"):
            self.driver.get_log(kind)
        self.driver.get(page.as_uri() if isinstance(page, Path) else page)

    def ask(self, script: str, *arguments: object) -> Any:
        """Run a script of the test in the page, and return its answer."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str, *arguments: object) -> Any:
        """Wait until a script has an answer that is true, and return it. A failure shows the page's text."""
        end = time.monotonic() + _PATIENCE
        while not (answer := self.ask(f"return {script}", *arguments)):
            text = self.ask("return document.body.innerText")
            assert time.monotonic() < end, f"in vain: {script}\n{text}\n{self.complaints()}"
            time.sleep(0.02)
        return answer

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is.

        The page may replace the element that has the focus at any moment, so it is not asked for.
        """
        from selenium.webdriver import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def requests(self) -> list[str]:
        """Return the addresses that the page has asked for since it was opened."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [
            one["params"]["request"]["url"]
            for one in messages
            if one["method"] == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """Return the messages of the browser's console."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def barriers(self, axe: Path) -> list[str]:
        """Return what axe-core finds, each with the element concerned. The page's policy stays in force."""
        self.ask(axe.read_text(encoding="utf-8") + "; window.axe = axe;")
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "window.axe.run().then(done, error => done({error: `${error}`}));"
        )
        assert "error" not in found, found["error"]
        return [f"{one['id']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]]
