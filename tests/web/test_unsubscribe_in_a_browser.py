"""The unsubscribe page in a real Chromium: narrow and wide, light and dark, in four languages, without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from notify import web
from notify.app import App
from tests.browser import PHONE, SIGHTS, look, served, visit
from tests.kinds import make_kind
from tests.web.people import reaches, unsubscribe_path


@pytest.fixture
def database_url(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """One database is enough for looking at pages."""
    path = tmp_path / "notify.db"
    path.write_bytes(Path(request.getfixturevalue("_sqlite_template")).read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture
def root(app: App, templates: Path) -> Iterator[str]:
    folder = make_kind(templates, "news", toml="unsubscribe = true")
    toml = (folder / "kind.toml").read_text().replace('title = "news"', 'title = "Monthly newsletter"')
    (folder / "kind.toml").write_text(toml.replace('category = "test"', 'category = "newsletter"'))
    make_kind(templates, "new-password", toml="required = true")
    with served(web.make(app)) as root:
        yield root


def heading(page: Page) -> str:
    return page.locator("h1").inner_text()


@pytest.mark.parametrize(("viewport", "scheme"), SIGHTS)
def test_somebody_leaves_and_comes_back(
    app: App, root: str, browser: Browser, viewport: ViewportSize, scheme: str
) -> None:
    sight = f"{'phone' if viewport == PHONE else 'desktop'}-{scheme}"
    with visit(browser, viewport=viewport, scheme=scheme) as page:
        page.goto(root + unsubscribe_path(app))
        assert heading(page) == "Unsubscribe"
        look(page, f"unsubscribe-{sight}")
        page.get_by_label("Why?").select_option("too_many")
        page.get_by_role("button", name="Unsubscribe").click()
        assert heading(page) == "You are unsubscribed"
        look(page, f"left-{sight}")
        assert not reaches(app, "news")
        page.get_by_text("Stop something else as well").click()
        look(page, f"left-more-{sight}")
        page.get_by_role("button", name="Undo").click()
        assert heading(page) == "Your choice was taken back"
        look(page, f"undone-{sight}")
        assert reaches(app, "news")


def test_the_keyboard_is_enough(app: App, root: str, browser: Browser) -> None:
    with visit(browser) as page:
        page.goto(root + unsubscribe_path(app))
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowDown")
        assert page.get_by_role("radio", name="Only “Monthly newsletter”").is_checked()
        for _ in range(3):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector(".done")
        assert heading(page) == "You are unsubscribed"


def test_no_script_is_needed(app: App, root: str, browser: Browser) -> None:
    with visit(browser, javascript=False) as page:
        page.goto(root + unsubscribe_path(app))
        page.get_by_label("Only “Monthly newsletter”").check()
        page.get_by_role("button", name="Unsubscribe").click()
        assert heading(page) == "You are unsubscribed"
        page.get_by_text("Stop something else as well").click()
        page.get_by_role("button", name="Undo").click()
        assert heading(page) == "Your choice was taken back"


@pytest.mark.parametrize("language", ["en", "nl", "fr", "cs"])
def test_every_language_fits_on_a_phone(app: App, root: str, browser: Browser, language: str) -> None:
    with visit(browser, viewport=PHONE, locale=language) as page:
        page.goto(root + unsubscribe_path(app))
        assert page.locator("html").get_attribute("lang") == language
        look(page, f"unsubscribe-{language}")
        page.locator("form button").click()
        look(page, f"left-{language}")


@pytest.mark.parametrize(("viewport", "scheme"), SIGHTS)
def test_what_cannot_be_done_is_said_well(
    app: App, root: str, browser: Browser, viewport: ViewportSize, scheme: str
) -> None:
    sight = f"{'phone' if viewport == PHONE else 'desktop'}-{scheme}"
    required = unsubscribe_path(app, "new-password")
    with visit(browser, viewport=viewport, scheme=scheme) as page:
        page.goto(root + required)
        assert heading(page) == "This mail cannot be turned off"
        look(page, f"required-{sight}")
    context = browser.new_context(viewport=viewport, color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()  # a page with status 400 is an error of the console's: it is not listened to
    page.goto(f"{root}/unsubscribe?token=cut-in-two")
    assert heading(page) == "This link does not work"
    look(page, f"forged-{sight}")
    context.close()
