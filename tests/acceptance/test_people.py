"""People have their say, from `send()` to the mailbox: what they left, chose or asked for holds, by their own clock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

import notify
from notify.app import App, using
from notify.audience.roster import importing
from notify.dev.mailbox import Mailbox
from notify.intake import fan_out
from notify.settings import Settings
from notify.testing import MovableClock
from tests.drain import drain
from tests.kinds import make_kind
from tests.mails import all_in
from tests.processes import environment, notify_process, until
from tests.providers import free_port
from tests.web.centre import Tab

ADDRESS = "Ada@example.org"
ADA = {"key": "ada", "email": ADDRESS, "name": "Ada", "locale": "en"}
PAGES = "https://notify.example.org"
LINKS = (
    "<html lang='en'><head><title>x</title></head><body>Hello {{ unsubscribe_url }} {{ preferences_url }}</body></html>"
)


@dataclass(frozen=True)
class Town:
    """An installation with a newsletter and a password reset, and what came out of it."""

    app: App
    mailbox: Mailbox

    def got(self) -> list[str]:
        """The subjects of all mails so far, once everything that is due went out."""
        fan_out.run(self.app)
        drain(self.app)
        return sorted(mail["subject"] for mail in all_in(self.mailbox.folder))

    def link(self, page: str) -> str:
        """Path and query of a link in the last newsletter."""
        news = next(mail for mail in all_in(self.mailbox.folder) if mail["subject"] == "news")
        body = news.get_body(("html",))
        assert body is not None
        found = re.search(rf"{PAGES}(/{page}\?token=[\w.-]+)", body.get_content())
        assert found
        return found[1]


@pytest.fixture
def town(
    settings: Settings, app: App, make_app: Callable[..., App], templates: Path, mailbox: Mailbox
) -> Iterator[Town]:
    for name, category, toml in (
        ("news", "newsletter", "unsubscribe = true"),
        ("reset", "security", "transactional = true\ncritical = true"),
    ):
        folder = make_kind(templates, name, toml=toml, subject=name, html=LINKS if name == "news" else "<p>Reset</p>")
        declared = (folder / "kind.toml").read_text().replace('category = "test"', f'category = "{category}"')
        (folder / "kind.toml").write_text(declared)
    opened = make_app(settings, public_url=PAGES)
    with using(opened):
        yield Town(opened, mailbox)


@contextmanager
def pages(settings: Settings, folder: Path) -> Iterator[str]:
    """The web process; where it listens."""
    port = free_port()
    env = environment(settings, NOTIFY_PUBLIC_URL=PAGES, NOTIFY_WEB_PORT=str(port))
    with notify_process("web", env=env, cwd=folder):
        until(lambda: answers(f"http://127.0.0.1:{port}/health"), 30, "the web process answers")
        yield f"http://127.0.0.1:{port}"


def answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.TransportError:
        return False


def test_leaving_the_newsletter_does_not_block_a_password_reset(town: Town, settings: Settings, tmp_path: Path) -> None:
    notify.send("news", to=ADA)
    assert town.got() == ["news"]
    with pages(settings, tmp_path) as root:
        looked = httpx2.get(root + town.link("unsubscribe"))
        assert looked.status_code == 200
        notify.send("news", to="ada")
        assert town.got() == ["news", "news"], "who only looks has not left"
        left = httpx2.post(root + town.link("unsubscribe"), data={"List-Unsubscribe": "One-Click"})
        assert left.status_code == 200
    notify.send("news", to="ada")
    notify.send_many("news", to=notify.everyone())
    notify.send("reset", to="ada")
    assert town.got() == ["news", "news", "reset"]


def test_a_wish_made_on_the_page_holds_from_the_next_message_on(town: Town, settings: Settings, tmp_path: Path) -> None:
    notify.send("news", to=ADA)
    assert town.got() == ["news"]
    with pages(settings, tmp_path) as root:
        notify.send("news", to="ada")  # planned before the wish, and asked again before it is sent
        with httpx2.Client(base_url=root, follow_redirects=True) as browser:
            seen = Tab(browser, town.link("preferences")).send("topics", untick=["newsletter/email"])
        assert seen.said
    notify.send("news", to="ada")
    notify.send("reset", to="ada")
    assert town.got() == ["news", "reset"]


def test_an_import_never_brings_anyone_back(town: Town, tmp_path: Path) -> None:
    roster = tmp_path / "roster.csv"
    roster.write_text("key,email,status\nada,ada@example.org,active\nbob,bob@example.org,active\n")
    importing.import_roster(town.app, roster, actor="test")
    notify.suppressions.add("ada@example.org", reason="unsubscribed", scope="newsletter")
    notify.recipients.deactivate("bob", reason="on leave")
    notify.suppressions.add("dora@example.org", reason="complained")
    roster.write_text(roster.read_text() + "dora,dora@example.org,active\neve,eve@example.org,active\n")
    importing.import_roster(town.app, roster, actor="test")
    notify.send_many("news", to=notify.everyone())
    town.got()
    assert [mail["to"] for mail in all_in(town.mailbox.folder)] == ["eve@example.org"]


def test_nobody_is_written_to_who_was_erased(town: Town) -> None:
    notify.send("news", to=ADA)
    assert town.got() == ["news"]
    notify.suppressions.add(ADDRESS, reason="unsubscribed")
    waiting = notify.send("news", to={"key": "bob", "email": "bob@example.org"}, delay="1h")
    assert waiting.messages == {"queued": 1}
    for key in ("ada", "bob"):
        notify.privacy.erase(key, "asked")
    notify.send_many("news", to=notify.everyone())
    notify.send("news", to={"key": "ada-again", "email": "ada@example.org"})
    later = replace(town.app, clock=MovableClock(datetime.now(UTC) + timedelta(hours=2)))
    drain(later)
    assert town.got() == ["news"], "what was waiting is gone, and what she refused stays refused under another key"


def test_half_past_eleven_in_kolkata_is_kept_while_amsterdam_changes_its_clocks(town: Town) -> None:
    clock = MovableClock(datetime(2026, 10, 24, 12, tzinfo=UTC))
    moved = replace(town.app, clock=clock, publish=lambda _: None)
    people = [{"key": "chandra", "email": "chandra@example.org", "timezone": "Asia/Kolkata"}]
    people += [{"key": "anna", "email": "anna@example.org", "timezone": "Europe/Amsterdam"}]
    with using(moved):
        notify.send_many("news", people, at=notify.local("2026-10-25T23:30"))
        there = Town(moved, town.mailbox)
        for moment, reached in (
            (datetime(2026, 10, 25, 17, 59, 59, tzinfo=UTC), 0),  # Amsterdam put its clocks back at 01:00 UTC
            (datetime(2026, 10, 25, 18, 0, tzinfo=UTC), 1),  # 23:30 in Kolkata, always UTC+05:30
            (datetime(2026, 10, 25, 22, 29, 59, tzinfo=UTC), 1),  # 23:29:59 in Amsterdam, UTC+01:00 by now
            (datetime(2026, 10, 25, 22, 30, tzinfo=UTC), 2),
        ):
            clock.move(to=moment)
            assert len(there.got()) == reached, moment
    assert all_in(town.mailbox.folder)[0]["to"].startswith("chandra")
