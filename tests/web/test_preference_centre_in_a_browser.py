"""The preference centre in a real Chromium: what is changed stays so, a keyboard is enough, and axe finds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from notify import web
from notify.app import App
from notify.audience import preferences, recipients
from notify.audience.correction import Edit
from notify.dev.mailbox import Mailbox
from notify.model import Author, Channel, Source, Suppression
from notify.settings import Settings
from notify.store import suppressions, tenants
from tests.browser import DESKTOP, PHONE, SIGHTS, look, served, visit
from tests.drain import drain
from tests.kinds import make_kind
from tests.mails import all_in
from tests.web.centre import ADA, page_of

BY_TEST = Author("test", Source.PYTHON)
SMALL: ViewportSize = {"width": 360, "height": 720}


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """One database is enough for what a browser sees."""
    import shutil

    shutil.copy(request.getfixturevalue("_sqlite_template"), tmp_path / "notify.db")
    return f"sqlite:///{tmp_path / 'notify.db'}"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"public_url": "http://localhost:8025", "email_from": "Lumen Studies <hello@example.org>"}
    )


@pytest.fixture
def app(app: App, templates: Path) -> App:
    for name, category in (("news", "newsletter"), ("done", "work"), ("new-password", "security")):
        folder = make_kind(templates, name, toml="required = true" if category == "security" else "")
        toml = (folder / "kind.toml").read_text().replace('category = "test"', f'category = "{category}"')
        (folder / "kind.toml").write_text(toml)
    (templates / "categories.toml").write_text(
        '[newsletter]\ntitle = "Newsletter"\ndescription = "News of the studies, once a month."\n'
        '[work]\ntitle = "Your work"\ndescription = "When something that you started is done."\n'
        '[security]\ntitle = "Security"\ndescription = "New passwords and sign-ins."\n'
    )
    return app


@pytest.fixture
def ada(app: App) -> UUID:
    one = recipients.add(app, {**ADA, "phone": "+31612345678"}, by=BY_TEST)
    recipients.add_address(app, "ada", Channel.EMAIL, "ada.lovelace-byron@department.example.net", by=BY_TEST)
    return one.id


@pytest.fixture
def address(app: App, ada: UUID) -> Iterator[str]:
    """Where Ada's page is."""
    with served(web.make(app)) as root:
        yield root + page_of(app, ada)


@pytest.mark.parametrize("javascript", [True, False])
def test_a_change_is_there_after_a_reload(browser: Browser, address: str, javascript: bool) -> None:
    with visit(browser, javascript=javascript) as page:
        page.goto(address)
        newsletter = page.get_by_role("group", name="Newsletter").get_by_label("E-mail")
        expect(newsletter).to_be_checked()
        newsletter.uncheck()
        page.get_by_role("button", name="Save choices").click()
        expect(page.get_by_role("status")).to_have_text("Your choices are saved.")
        page.get_by_label("From").fill("21:15")
        page.get_by_role("button", name="Save quiet hours").click()
        page.get_by_label("Language", exact=True).select_option("nl")
        page.get_by_role("button", name="Save language and time zone").click()
        expect(page.get_by_role("status")).to_have_text("Uw taal en tijdzone zijn opgeslagen.")
        page.goto(address)
        expect(page.get_by_role("group", name="Newsletter").get_by_label("E-mail")).not_to_be_checked()
        expect(page.get_by_label("Van", exact=True)).to_have_value("21:15")
        expect(page.get_by_label("Taal", exact=True)).to_have_value("nl")


def test_a_keyboard_is_enough_and_what_was_done_has_the_focus(browser: Browser, address: str) -> None:
    with visit(browser) as page:
        page.goto(address)
        walk_to(page, "newsletter/email")
        page.keyboard.press("Space")
        page.keyboard.press("Enter")  # a form is sent from any of its fields
        expect(page.get_by_role("status")).to_be_focused()
        expect(page.get_by_role("group", name="Newsletter").get_by_label("E-mail")).not_to_be_checked()
        walk_to(page, "week")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_have_text("Everything is paused.")


def walk_to(page: Page, value: str) -> None:
    """Press Tab until the control of this value has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.value") == value:
            return
    raise AssertionError(f"{value} is not reached by a keyboard")


def test_a_field_that_was_refused_has_the_focus_and_says_why(browser: Browser, address: str) -> None:
    with visit(browser, refused=422) as page:
        page.goto(address)
        page.get_by_label("Add an e-mail address").fill("ada@nowhere")
        page.get_by_role("button", name="Add", exact=True).click()
        field = page.get_by_label("Add an e-mail address")
        expect(field).to_be_focused()
        expect(field).to_have_value("ada@nowhere")
        expect(field).to_have_accessible_description(
            "ada@nowhere cannot be used here. Look for a slip, or give another one. "
            "We send a message there with a link that verifies it."
        )


def test_a_refusal_without_a_field_is_in_sight_and_has_the_focus(browser: Browser, address: str) -> None:
    with visit(browser, viewport=PHONE, refused=422) as page:
        page.goto(address)
        for _ in range(2):
            page.get_by_role("button", name="Send the test").click()
        alert = page.get_by_role("alert")
        expect(alert).to_be_focused()
        expect(alert).to_be_in_viewport()


def test_the_test_button_sends_one_mail(app: App, browser: Browser, address: str, mailbox: Mailbox) -> None:
    with visit(browser) as page:
        page.goto(address)
        page.get_by_role("button", name="Send the test").click()
        expect(page.get_by_role("status")).to_contain_text("on its way")
        drain(app)
        assert [mail["Subject"] for mail in all_in(mailbox.folder)] == ["[Test] Messages reach you"]


@pytest.mark.parametrize("name", ["plain", "saved", "wrong", "stopped", "left", "old", "sent"])
def test_axe_finds_nothing_in_any_light_and_nothing_is_too_wide(
    app: App, browser: Browser, address: str, ada: UUID, name: str
) -> None:
    if name == "stopped":
        preferences.pause(app, ada, None, by=BY_TEST)
        preferences.do_not_disturb(app, ada, app.clock.now() + timedelta(hours=4), by=BY_TEST)
        preferences.quiet(app, ada, "22:00-07:00", by=BY_TEST)
    if name == "left":
        row = Suppression(Channel.EMAIL, "ada@example.org", "unsubscribed", "page", "all")
        with app.store.begin() as connection:
            suppressions.add(connection, tenants.DEFAULT_ID, [row], app.clock.now())
    if name in ("old", "sent"):
        root = address.partition("/preferences")[0]
        address = root + page_of(app, ada, expires=app.clock.now() - timedelta(days=1))
    refused = {"wrong": 422, "old": 410, "sent": 410}.get(name)
    for viewport, scheme in [*SIGHTS, (SMALL, "light")]:
        with visit(browser, viewport=viewport, scheme=scheme, refused=refused) as page:
            page.goto(address)
            if name == "saved":
                page.get_by_role("button", name="Save choices").click()
            if name == "wrong":
                page.get_by_label("From").fill("07:00")
                page.get_by_role("button", name="Save quiet hours").click()
                expect(page.get_by_role("alert")).to_be_visible()
            if name == "sent":
                page.get_by_role("button", name="Mail me a fresh link").click()
            look(page, f"preferences-{name}-{viewport['width']}-{scheme}")


@pytest.mark.parametrize("locale", ["nl", "fr", "cs"])
def test_axe_finds_nothing_in_any_language(app: App, browser: Browser, address: str, locale: str) -> None:
    recipients.edit(app, "ada", Edit(said={"locale": locale}), by=BY_TEST)
    for viewport in (SMALL, DESKTOP):
        with visit(browser, viewport=viewport) as page:
            page.goto(address)
            look(page, f"preferences-{locale}-{viewport['width']}")


def test_the_page_can_be_read_from_right_to_left(browser: Browser, address: str) -> None:
    for viewport in (PHONE, DESKTOP):
        with visit(browser, viewport=viewport) as page:
            page.goto(address)
            page.evaluate("document.documentElement.dir = 'rtl'")
            look(page, f"preferences-rtl-{viewport['width']}")
