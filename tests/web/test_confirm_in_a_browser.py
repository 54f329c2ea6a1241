"""The pages of confirmation and verification in a real Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, ViewportSize

from notify import web
from notify.app import App
from notify.model import Consent
from tests.browser import PHONE, SIGHTS, look, served, visit
from tests.web.people import confirm_path, verify_path


@pytest.fixture
def database_url(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """One database is enough for looking at pages."""
    path = tmp_path / "notify.db"
    path.write_bytes(Path(request.getfixturevalue("_sqlite_template")).read_bytes())
    return f"sqlite:///{path}"


@pytest.mark.parametrize(("viewport", "scheme"), SIGHTS)
def test_the_pages_are_pleasant_to_look_at(
    asking: App, asked: Consent, browser: Browser, viewport: ViewportSize, scheme: str
) -> None:
    sight = f"{'phone' if viewport == PHONE else 'desktop'}-{scheme}"
    with served(web.make(asking)) as root, visit(browser, viewport=viewport, scheme=scheme) as page:
        for name, path in (("verify", verify_path(asking)), ("confirm", confirm_path(asking, asked))):
            page.goto(root + path)
            look(page, f"{name}-{sight}")
            page.locator("form button").click()
            page.wait_for_selector(".done")
            look(page, f"{name}ed-{sight}")
