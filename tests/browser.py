"""A real Chromium looks at a page as people do: on a phone and a desk, by day and by night, and without JavaScript."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize, expect, sync_playwright

PHONE: ViewportSize = {"width": 375, "height": 720}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
SIGHTS = [(PHONE, "light"), (PHONE, "dark"), (DESKTOP, "light"), (DESKTOP, "dark")]
"""Widths and colour schemes that every page is to be looked at in."""

SHOTS = os.environ.get("BROWSER_SHOTS")
"""A folder for screenshots; unset, none is taken."""

WCAG = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],  # what a page does well is not asked for, and is most of an answer
}

PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium. It ends with the module: while it lives, an event loop runs that lets no other one run."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium is installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def visit(
    browser: Browser,
    *,
    viewport: ViewportSize = DESKTOP,
    scheme: str = "light",
    locale: str = "en",
    javascript: bool = True,
    refused: int | None = None,
) -> Iterator[Page]:
    """A page of a visitor's own. Leaving it fails when anything was written to the console, or any script failed.

    With `refused`, answers of that status are expected: Chromium notes each on the console.
    """
    context: BrowserContext = browser.new_context(
        viewport=viewport,
        color_scheme="dark" if scheme == "dark" else "light",
        locale=locale,
        java_script_enabled=javascript,
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    page = context.new_page()

    def heard(message: ConsoleMessage) -> None:
        expected = refused is not None and f"responded with a status of {refused}" in message.text
        if message.type in ("error", "warning") and not expected:
            complaints.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def look(page: Page, name: str) -> None:
    """axe finds nothing on this page, nothing is wider than the window; a screenshot is taken where they are wanted."""
    found = Axe().run(page, options=WCAG)
    assert found.violations_count == 0, found.generate_report()
    width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(width) == 0, "the page can be scrolled sideways"
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


@contextmanager
def served(server: FastAPI) -> Iterator[str]:
    """The server behind a real uvicorn on a port of its own; gives its root, such as `http://127.0.0.1:40123`."""
    listener = socket.create_server(("127.0.0.1", 0))
    web = uvicorn.Server(uvicorn.Config(server, log_config=None, access_log=False, lifespan="off"))
    thread = threading.Thread(target=web.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"  # the socket listens already: who is early waits
    finally:
        web.should_exit = True
        thread.join()
        listener.close()
