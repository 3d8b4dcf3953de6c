"""A real browser: headless Chromium, driven as a person would use it."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.needs import need

OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--lang=en-GB",
)  # fmt: skip
PATIENCE = 60  # seconds for anything to be seen, on a busy machine


class Browser:
    """A window; what is meant is found by the words that a person sees."""

    def __init__(self, chrome: Chrome) -> None:
        self.chrome = chrome

    def find(self, selector: str) -> WebElement:
        return self.chrome.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.chrome.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        return [one.text for one in self.all(selector)]

    def click(self, selector: str) -> None:
        """Wait for it and click on it."""

        def clicked() -> bool:
            found = [one for one in self.all(selector) if one.is_displayed()]
            if found:
                self.chrome.execute_script("arguments[0].scrollIntoView({block: 'center'})", found[0])
                found[0].click()
            return bool(found)

        self.until(clicked, f"there is no {selector}")

    def write(self, selector: str, words: str) -> None:
        """Into a field, in place of what is there."""

        def written() -> bool:
            field = self.find(selector)
            field.clear()
            field.send_keys(words)
            return True

        self.until(written, f"there is no {selector}")

    def open(self, view: str) -> None:
        self.find(f"nav a[href='#{view}']").click()
        self.until(lambda: self.find(f"#{view}").is_displayed(), f"the view {view} is not shown")

    def press(self, words: str, within: str = "body") -> None:
        """The first button with these words."""

        def pressed() -> bool:
            found = [one for one in self.all(f"{within} button") if one.is_displayed() and one.text == words]
            if not found or not found[0].is_enabled():
                return False
            self.chrome.execute_script("arguments[0].scrollIntoView({block: 'center'})", found[0])
            found[0].click()
            return True

        self.until(pressed, f"there is no button {words!r} in {within}")

    def until(self, true: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if true():
                    return
            except (StaleElementReferenceException, NoSuchElementException):  # it is being drawn anew
                pass
            if time.monotonic() > end:
                pytest.fail(
                    f"{what}; the page says {self.texts('#told') + self.texts('#trouble') + self.texts('#prompt')}"
                )
            time.sleep(0.05)

    def told(self, words: str) -> None:
        """Wait until the page says so."""
        self.until(lambda: words in self.find("#told").text, f"it does not say {words!r}")

    def complaints(self) -> list[str]:
        """What the browser found wrong: faults in scripts, forbidden content."""
        entries = self.chrome.get_log("browser")  # type: ignore[no-untyped-call]
        return [str(entry["message"]) for entry in entries if entry["level"] == "SEVERE"]


@contextmanager
def chromium(folder: Path, *options: str) -> Iterator[Browser]:
    """A fresh browser with a profile in ``folder``, as wide as a phone."""
    need("chromium", "chromedriver")
    settings = ChromeOptions()
    settings.binary_location = shutil.which("chromium") or ""
    for option in (*OPTIONS, f"--user-data-dir={folder / 'chromium'}", *options):
        settings.add_argument(option)
    settings.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options=settings, service=Service(shutil.which("chromedriver")))
    try:
        phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
        yield Browser(chrome)
    finally:
        chrome.quit()
