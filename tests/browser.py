"""Pages in Chromium or Chrome, for the tests of `make browser`."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FAULTS = ("serious", "critical", "moderate")


@contextmanager
def opened_browser(*arguments: str) -> Iterator[Any]:
    """A browser, with further arguments of its command line."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert program is not None, f"These tests need a browser: install one of {', '.join(PROGRAMS)}."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", *arguments]
        )
        yield browser
        browser.close()


def faults(page: Any) -> list[str]:
    """What axe finds fault with, and a page that is wider than its window."""
    from axe_playwright_python.sync_playwright import Axe

    width, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    found = [f"{width} px wide in a window of {window} px"] if width > window else []
    return found + [
        f"{fault['impact']}: {fault['id']}: {fault['nodes'][0]['html'][:200]}"
        for fault in Axe().run(page).response["violations"]
        if fault["impact"] in FAULTS
    ]
