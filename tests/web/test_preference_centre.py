"""The preference centre: what is chosen on the page holds, and nothing is set on it that is refused elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx2
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from pydantic import SecretStr

import notify
from notify import web
from notify.app import App
from notify.audience import consent, links, preferences, recipients, verification
from notify.dev.mailbox import Mailbox
from notify.model import Author, Channel, MessageState, Source, Suppression
from notify.settings import Settings
from notify.store import link_holders, messages, suppressions, tables, tenants
from tests.drain import drain
from tests.kinds import make_kind
from tests.mails import all_in
from tests.web.centre import ADA, Seen, Tab, history, page_of

BY_TEST = Author("test", Source.PYTHON)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"public_url": "http://localhost:8025"})


@pytest.fixture
def app(app: App, templates: Path) -> App:
    """A newsletter, job mails, a club that asks for consent, and an account that cannot be turned off."""
    for name, category, more in (
        ("news", "newsletter", ""),
        ("done", "work", ""),
        ("urgent", "work", "critical = true"),
        ("club-night", "club", "consent = true"),
        ("new-password", "security", "required = true"),
    ):
        folder = make_kind(templates, name, toml=more)
        toml = (folder / "kind.toml").read_text().replace('category = "test"', f'category = "{category}"')
        (folder / "kind.toml").write_text(toml)
    (templates / "categories.toml").write_text('[newsletter]\ntitle = "Newsletter"\ndescription = "Once a month."\n')
    return app


@pytest.fixture
def client(app: App) -> Iterator[TestClient]:
    with TestClient(web.make(app), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def ada(app: App) -> UUID:
    return recipients.add(app, ADA, by=BY_TEST).id


@pytest.fixture
def tab(app: App, client: TestClient, ada: UUID) -> Tab:
    return Tab(client, page_of(app, ada))


def state(app: App, kind: str) -> tuple[str, str | None]:
    """State and reason of a new message of this kind to Ada."""
    sent = notify.send(kind, to="ada")
    with app.store.read() as connection:
        rows = messages.listing(connection, tenants.DEFAULT_ID)
    found = next(row.message for row in rows if row.message.notification_id == sent.id)
    return found.state, found.reason


# ---- what the page shows


def test_the_page_shows_what_may_be_chosen_and_what_may_not(tab: Tab) -> None:
    form = tab.seen.forms["topics"]
    assert tab.seen.status == 200
    assert form.boxes["newsletter/email"] is True
    assert form.boxes["work/email"] is True
    assert form.boxes["club/email"] is False  # never agreed to
    assert "security/email" not in form.boxes
    assert form.disabled >= 1
    assert "the service does not work without it" in tab.seen.html
    assert "Once a month." in tab.seen.html


def test_looking_at_the_page_changes_nothing(app: App, client: TestClient, ada: UUID) -> None:
    def everything() -> list[object]:
        with app.store.read() as connection:
            return [connection.execute(sa.select(table)).all() for table in tables.metadata.sorted_tables]

    before = everything()
    assert client.get(page_of(app, ada)).status_code == 200
    assert client.head(page_of(app, ada)).status_code == 200
    assert everything() == before


def test_the_page_lets_nothing_else_run_and_is_kept_nowhere(client: TestClient, app: App, ada: UUID) -> None:
    headers = client.get(page_of(app, ada)).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "noindex" in headers["x-robots-tag"]
    assert "set-cookie" not in headers


@pytest.mark.parametrize(
    ("locale", "heading"),
    [("nl-BE", "Uw meldingen"), ("fr", "Vos notifications"), ("cs", "Vaše upozornění"), ("de", "Your notifications")],
)
def test_the_page_speaks_the_language_of_whose_it_is(app: App, client: TestClient, locale: str, heading: str) -> None:
    one = recipients.add(app, {"key": "one", "email": "one@example.org", "locale": locale}, by=BY_TEST)
    seen = Seen(client.get(page_of(app, one.id)))
    assert seen.marks["h1"] == heading
    assert "None" not in seen.html


# ---- topics


def test_a_choice_is_saved_and_holds(app: App, tab: Tab) -> None:
    assert state(app, "news")[0] == MessageState.QUEUED
    seen = tab.send("topics", untick=["newsletter/email"])
    assert seen.said == "Your choices are saved."
    assert seen.forms["topics"].boxes["newsletter/email"] is False
    assert state(app, "news") == (MessageState.SKIPPED, "preference")
    assert state(app, "done")[0] == MessageState.QUEUED
    tab.send("topics", tick=["newsletter/email"])
    assert state(app, "news")[0] == MessageState.QUEUED
    assert [source for source, _ in history(app)] == ["page", "page"]


def test_the_second_of_two_tabs_leaves_alone_what_the_first_one_changed(app: App, client: TestClient, tab: Tab) -> None:
    other = Tab(client, tab.path)
    tab.send("topics", untick=["newsletter/email"])
    other.send("topics", untick=["work/email"])
    boxes = other.reload().forms["topics"].boxes
    assert (boxes["newsletter/email"], boxes["work/email"]) == (False, False)


def test_saving_what_was_not_changed_leaves_no_trace(app: App, tab: Tab) -> None:
    assert tab.send("topics").said == "Your choices are saved."
    assert history(app) == []


def test_what_is_required_cannot_be_turned_off_by_a_forged_form(app: App, tab: Tab) -> None:
    tab.seen.forms["topics"].fields.append(("was", "on security/email"))
    seen = tab.send("topics", untick=["newsletter/email"])
    assert (seen.status, seen.wrong.partition(".")[0]) == (422, "This cannot be saved")
    assert seen.forms["topics"].boxes["newsletter/email"] is True  # all of it was refused
    assert state(app, "new-password")[0] == MessageState.QUEUED


@pytest.mark.parametrize("cell", ["nothing/email", "newsletter/pigeon", "newsletter", "", "/"])
def test_a_cell_that_there_is_none_of_is_refused(app: App, tab: Tab, cell: str) -> None:
    tab.seen.forms["topics"].fields.append(("was", f"on {cell}"))
    assert tab.send("topics").status == 422
    assert history(app) == []


def test_ticking_what_needs_consent_is_to_agree_and_unticking_it_is_to_withdraw(app: App, tab: Tab, ada: UUID) -> None:
    assert state(app, "club-night") == (MessageState.SKIPPED, "no_consent")
    tab.send("topics", tick=["club/email"])
    given = consent.state(app, ada)["club"]
    assert (given.action, given.source) == ("granted", "page")
    assert given.proof is not None
    assert given.proof["user_agent"] == "testclient"
    assert state(app, "club-night")[0] == MessageState.QUEUED
    tab.send("topics", untick=["club/email"])
    assert consent.state(app, ada)["club"].action == "withdrawn"
    assert state(app, "club-night")[0] == MessageState.SKIPPED


def suppress(app: App, scope: str, reason: str) -> None:
    row = Suppression(Channel.EMAIL, "ada@example.org", reason, "page", scope)
    with app.store.begin() as connection:
        suppressions.add(connection, tenants.DEFAULT_ID, [row], app.clock.now())


def test_who_unsubscribed_from_a_category_finds_it_off_and_may_come_back(app: App, tab: Tab) -> None:
    suppress(app, "newsletter", "unsubscribed")
    assert tab.reload().forms["topics"].boxes["newsletter/email"] is False
    tab.send("topics", tick=["newsletter/email"])
    assert state(app, "news")[0] == MessageState.QUEUED
    assert all(source == "page" for source, _ in history(app))


def test_who_left_one_kind_finds_it_and_may_have_it_again(app: App, tab: Tab) -> None:
    suppress(app, "kind:news", "unsubscribed")
    assert "You unsubscribed from these alone." in tab.reload().html
    assert tab.seen.forms["topics"].boxes["newsletter/email"] is True
    assert tab.seen.forms["topics"].boxes["email/kind:news"] is False
    tab.send("topics", tick=["email/kind:news"])
    assert state(app, "news")[0] == MessageState.QUEUED
    assert "You unsubscribed from these alone." not in tab.reload().html


def test_who_ticks_a_category_gets_the_kinds_again_that_they_left_alone(app: App, tab: Tab) -> None:
    suppress(app, "kind:news", "unsubscribed")
    suppress(app, "newsletter", "unsubscribed")
    tab.reload()
    tab.send("topics", tick=["newsletter/email"])
    assert state(app, "news")[0] == MessageState.QUEUED


@pytest.mark.parametrize("cell", ["email/kind:nothing", "email/all", "nowhere/kind:news", "email"])
def test_a_forged_kind_brings_nothing_back(app: App, tab: Tab, cell: str) -> None:
    suppress(app, "all", "unsubscribed")
    tab.client.post(tab.path, data={"section": "topics", "on": cell})
    assert state(app, "news") == (MessageState.SKIPPED, "suppressed")


def test_who_unsubscribed_from_everything_is_told_and_may_come_back(app: App, tab: Tab) -> None:
    suppress(app, "all", "unsubscribed")
    assert "You unsubscribed ada@example.org from everything." in tab.reload().html
    assert tab.send("subscribe").said == "You are subscribed again."
    assert state(app, "news")[0] == MessageState.QUEUED
    assert history(app) == [("page", {"suppressed.email.all": ["unsubscribed", None]})]


@pytest.mark.parametrize("reason", ["complained", "bounced"])
def test_what_others_said_of_an_address_is_not_taken_back_here(app: App, tab: Tab, reason: str) -> None:
    suppress(app, "all", reason)
    seen = tab.reload()
    assert "Nothing is sent to ada@example.org at present." in seen.html
    assert "subscribe" not in seen.forms
    tab.client.post(tab.path, data={"section": "subscribe"})
    assert state(app, "news") == (MessageState.SKIPPED, "suppressed")


def test_the_way_to_leave_everything_is_at_the_foot_of_the_page(app: App, client: TestClient, tab: Tab) -> None:
    path = tab.seen.html.partition('class="leave"')[2].partition('href="')[2].partition('"')[0].replace("&amp;", "&")
    assert client.get(f"/{path}").status_code == 200
    assert state(app, "news")[0] == MessageState.QUEUED  # looking is not leaving
    client.post(f"/{path}", data={"scope": "all"})
    assert state(app, "news") == (MessageState.SKIPPED, "suppressed")
    assert "You unsubscribed" in tab.reload().html


# ---- quiet hours, do not disturb, pause


def test_quiet_hours_are_saved_shown_again_and_taken_away(app: App, tab: Tab, ada: UUID) -> None:
    assert "quiet" in tab.seen.forms
    assert "none" not in tab.seen.forms["quiet"].acts
    seen = tab.send("quiet", start="21:30", end="06:45")
    assert seen.said == "Your quiet hours are saved."
    assert (seen.forms["quiet"].value("start"), seen.forms["quiet"].value("end")) == ("21:30", "06:45")
    assert str(preferences.get(app, ada).quiet) == "21:30-06:45"
    tab.send("quiet", "none")
    assert preferences.get(app, ada).quiet is None
    assert [source for source, _ in history(app)] == ["page", "page"]


@pytest.mark.parametrize(
    ("hours", "field"),
    [(("", "07:00"), "start"), (("22:00", "later"), "end"), (("25:00", "07:00"), "start"), (("08:00", "08:00"), "end")],
)
def test_hours_that_are_none_are_refused_beside_their_field(
    app: App, tab: Tab, ada: UUID, hours: tuple[str, str], field: str
) -> None:
    seen = tab.send("quiet", start=hours[0], end=hours[1])
    assert seen.status == 422
    assert seen.wrong
    blamed = seen.html.partition('aria-invalid="true"')[0].rpartition("<input")[2]
    assert f'id="{field}"' in blamed
    assert 'aria-describedby="wrong quiet-zone"' in seen.html
    assert seen.forms["quiet"].value("end") == hours[1]  # what was typed is not lost
    assert preferences.get(app, ada).quiet is None


def test_do_not_disturb_holds_what_can_wait_and_once_it_is_off_it_is_delivered(
    app: App, tab: Tab, mailbox: Mailbox
) -> None:
    seen = tab.send("disturb", "on", span="4h")
    assert seen.said == "You will not be disturbed."
    assert "On until" in seen.html
    notify.send("done", to="ada", data={"word": "held"})
    notify.send("urgent", to="ada", data={"word": "urgent"})
    drain(app)
    assert [mail["Subject"] for mail in all_in(mailbox.folder)] == ["urgent"]
    assert tab.send("disturb", "off").said.startswith("Do not disturb is off.")
    drain(app)
    assert sorted(mail["Subject"] for mail in all_in(mailbox.folder)) == ["held", "urgent"]


def test_what_is_brought_forward_into_quiet_hours_is_held_by_these(app: App, tab: Tab, mailbox: Mailbox) -> None:
    here = app.clock.now().astimezone(ZoneInfo("Europe/Amsterdam"))
    hours = {"start": f"{here - timedelta(hours=1):%H:%M}", "end": f"{here + timedelta(hours=1):%H:%M}"}
    tab.send("quiet", **hours)
    tab.send("disturb", "on", span="4h")
    notify.send("done", to="ada")
    tab.send("disturb", "off")
    drain(app)
    assert all_in(mailbox.folder) == []
    tab.send("quiet", "none")
    drain(app)
    assert len(all_in(mailbox.folder)) == 1


def test_what_waits_for_its_time_is_not_brought_forward(app: App, tab: Tab, mailbox: Mailbox) -> None:
    notify.send("done", to="ada", at=app.clock.now() + timedelta(hours=1))
    tab.send("disturb", "on", span="1h")
    tab.send("disturb", "off")
    drain(app)
    assert all_in(mailbox.folder) == []


@pytest.mark.parametrize("until", ["", "tomorrow", "2001-01-01T10:00", "2999-01-01T10:00"])
def test_a_time_that_cannot_be_waited_for_is_refused(app: App, tab: Tab, ada: UUID, until: str) -> None:
    seen = tab.send("disturb", "on", span="until", until=until)
    assert (seen.status, preferences.get(app, ada).undisturbed_until) == (422, None)
    assert seen.wrong


def test_a_day_and_time_is_one_of_the_visitors_own_clock(app: App, tab: Tab, ada: UUID) -> None:
    day = (app.clock.now() + timedelta(days=40)).strftime("%Y-%m-%d")
    tab.send("disturb", "on", span="until", until=f"{day}T09:30")
    until = preferences.get(app, ada).undisturbed_until
    assert until is not None
    assert until.astimezone(UTC).hour in (7, 8)  # 09:30 in Amsterdam


@pytest.mark.parametrize(("length", "days"), [("day", 1), ("week", 7), ("month", 30)])
def test_a_pause_holds_as_long_as_was_said(app: App, tab: Tab, ada: UUID, length: str, days: int) -> None:
    assert tab.send("pause", "pause", length=length).said == "Everything is paused."
    until = preferences.get(app, ada).paused_until
    assert until is not None
    assert timedelta(days=days) - timedelta(minutes=5) < until - app.clock.now() <= timedelta(days=days)
    assert state(app, "news") == (MessageState.SKIPPED, "paused")
    assert state(app, "new-password")[0] == MessageState.QUEUED
    tab.send("pause", "resume")
    assert state(app, "news")[0] == MessageState.QUEUED


def test_a_pause_without_an_end_ends_when_it_is_resumed(app: App, tab: Tab) -> None:
    seen = tab.send("pause", "pause", length="always")
    assert "Paused until you resume." in seen.html
    assert tab.send("pause", "resume").said == "Nothing is paused any more."


@pytest.mark.parametrize(("form", "field"), [("pause", "length"), ("disturb", "span")])
def test_a_length_that_is_none_is_refused(app: App, tab: Tab, form: str, field: str) -> None:
    assert tab.send(form, "on", **{field: "eternity"}).status == 422
    assert history(app) == []


# ---- language and time zone


def test_language_and_time_zone_are_saved_and_the_page_follows(app: App, tab: Tab) -> None:
    seen = tab.send("language", locale="nl", timezone="Asia/Kolkata")
    assert seen.said == "Uw taal en tijdzone zijn opgeslagen."
    profile = recipients.get(app, "ada")
    assert (profile.locale, profile.timezone) == ("nl", "Asia/Kolkata")
    assert history(app) == [("page", {"locale": ["en", "nl"], "timezone": ["Europe/Amsterdam", "Asia/Kolkata"]})]
    assert {"locale", "timezone"} <= set(profile.overrides)  # no import takes it back


def test_a_tab_that_changed_the_zone_alone_leaves_the_language_of_another(
    app: App, client: TestClient, tab: Tab
) -> None:
    other = Tab(client, tab.path)
    tab.send("language", locale="fr")
    other.send("language", timezone="America/New_York")
    profile = recipients.get(app, "ada")
    assert (profile.locale, profile.timezone) == ("fr", "America/New_York")


@pytest.mark.parametrize(("field", "value"), [("locale", "tlh"), ("timezone", "Mars/Olympus"), ("timezone", "")])
def test_a_language_or_zone_that_is_not_in_the_list_is_refused(app: App, tab: Tab, field: str, value: str) -> None:
    seen = tab.send("language", **{field: value})
    assert seen.status == 422
    assert f'id="{field}"' in seen.html.partition('aria-invalid="true"')[0].rpartition("<select")[2]
    assert history(app) == []


def test_a_zone_of_old_that_a_recipient_has_stays_theirs(app: App, client: TestClient) -> None:
    one = recipients.add(app, {"key": "one", "email": "o@example.org", "timezone": "Asia/Calcutta"}, by=BY_TEST)
    tab = Tab(client, page_of(app, one.id))
    assert tab.seen.forms["language"].value("timezone") == "Asia/Calcutta"
    assert tab.send("language").status == 200
    assert recipients.get(app, "one").timezone == "Asia/Calcutta"


# ---- addresses


def addresses(app: App) -> list[tuple[str, bool, bool]]:
    """Value, primary and verified of Ada's addresses."""
    return sorted((one.value, one.primary, one.verified) for one in recipients.get(app, "ada").addresses)


def link_in(mailbox: Mailbox) -> tuple[str, str]:
    """Whom the one mail went to, and the path of the link in it."""
    (mail,) = all_in(mailbox.folder)
    body = mail.get_body(("plain",))
    assert body is not None
    return mail["To"].addresses[0].addr_spec, body.get_content().partition("http://localhost:8025")[2].split()[0]


def test_an_added_address_is_written_to_and_becomes_the_main_one_only_when_verified(
    app: App, tab: Tab, mailbox: Mailbox
) -> None:
    seen = tab.send("addresses", "add", email="ada@example.net")
    assert seen.said.startswith("A message is on its way there.")
    assert addresses(app) == [("ada@example.net", False, False), ("ada@example.org", True, False)]
    refused = tab.client.post(
        tab.path, data={"section": "addresses", "act": "primary", "address": "email/ada@example.net"}
    )
    assert refused.status_code == 422
    drain(app)
    written_to, path = link_in(mailbox)
    assert (written_to, path.partition("?")[0]) == ("ada@example.net", "/verify")
    named = links.verify(app, "verify", path.partition("token=")[2])
    assert named is not None
    assert verification.confirm(app, *named)
    assert addresses(app) == [("ada@example.net", False, True), ("ada@example.org", True, False)]


def test_only_one_verification_mail_goes_out_in_a_minute(app: App, tab: Tab) -> None:
    tab.send("addresses", "add", email="ada@example.net")
    with app.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.messages)) == 1
    seen = Seen(
        tab.client.post(tab.path, data={"section": "addresses", "act": "verify", "address": "email/ada@example.org"})
    )
    assert (seen.status, seen.wrong) == (
        422,
        "We sent such a message less than a minute ago. Wait a little before the next.",
    )
    with app.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.messages)) == 1


def test_a_verified_address_may_become_the_main_one_and_the_other_may_go(app: App, tab: Tab) -> None:
    recipients.add_address(app, "ada", Channel.EMAIL, "ada@example.net", by=BY_TEST)
    with app.store.begin() as connection:
        connection.execute(sa.update(tables.addresses).values(verified=True, verified_at=app.clock.now()))
    form = next(name for name, form in tab.reload().forms.items() if "primary" in form.acts)
    assert tab.send(form, "primary").said == "Your main address is changed."
    assert addresses(app) == [("ada@example.net", True, True), ("ada@example.org", False, True)]
    form = next(name for name, form in tab.seen.forms.items() if "remove" in form.acts)
    assert tab.send(form, "remove").said == "The address is removed."
    assert addresses(app) == [("ada@example.net", True, True)]
    assert [source for source, _ in history(app)][-2:] == ["page", "page"]


def test_the_main_address_cannot_be_removed(app: App, tab: Tab) -> None:
    given = {"section": "addresses", "act": "remove", "address": "email/ada@example.org"}
    assert tab.client.post(tab.path, data=given).status_code == 422
    assert addresses(app) == [("ada@example.org", True, False)]


@pytest.mark.parametrize("email", ["", "ada", "ada@@example.org", "a b@example.org", "ada@example.org\r\nBcc: x@y.z"])
def test_what_is_no_address_is_refused_beside_its_field(app: App, tab: Tab, email: str) -> None:
    seen = tab.send("addresses", "add", email=email) if "addresses" in tab.seen.forms else tab.seen
    assert seen.status == 422
    assert 'aria-describedby="wrong email-about"' in seen.html
    assert addresses(app) == [("ada@example.org", True, False)]


def test_somebody_elses_address_gets_the_answer_that_any_other_gets(app: App, tab: Tab, mailbox: Mailbox) -> None:
    recipients.add(app, {"key": "bob", "email": "bob@example.org"}, by=BY_TEST)
    taken = add(tab, "bob@example.org")
    app.redis.delete(*app.redis.keys("notify:page:*"))
    free = add(tab, "nobody@example.org")
    assert (taken.status_code, taken.headers["location"]) == (free.status_code, free.headers["location"])
    assert ("bob@example.org", False, False) not in addresses(app)
    drain(app)
    assert [mail["To"] for mail in all_in(mailbox.folder)] == ["Ada <nobody@example.org>"]


def add(tab: Tab, email: str) -> httpx2.Response:
    """What the page answers to who adds an address."""
    given = {"section": "addresses", "act": "add", "email": email}
    return tab.client.post(tab.path, data=given, follow_redirects=False)


def test_nobody_tries_many_addresses_or_writes_to_many_strangers(app: App, tab: Tab) -> None:
    recipients.add(app, {"key": "bob", "email": "bob@example.org"}, by=BY_TEST)
    assert [add(tab, "bob@example.org").status_code for _ in range(2)] == [303, 422], "a look costs as much as a mail"
    for number in range(6):
        [minute] = [key for key in app.redis.keys("notify:page:verify-address:*") if ":day" not in str(key)]
        app.redis.delete(minute)  # a minute has passed
        add(tab, f"stranger{number}@example.net")
        forget = {"section": "addresses", "act": "remove", "address": f"email/stranger{number}@example.net"}
        tab.client.post(tab.path, data=forget)
    with app.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.messages)) == 4
    assert addresses(app) == [("ada@example.org", True, False)]
    [minute] = [key for key in app.redis.keys("notify:page:verify-address:*") if ":day" not in str(key)]
    app.redis.delete(minute)
    assert tab.send("addresses", "add", email="stranger@example.net").wrong == (
        "No more such messages go out today. Try again tomorrow."
    )


def test_nobody_collects_addresses_on_this_page(app: App, tab: Tab) -> None:
    for number in range(4):
        recipients.add_address(app, "ada", Channel.EMAIL, f"ada{number}@example.org", by=BY_TEST)
    seen = tab.send("addresses", "add", email="one-too-many@example.org")
    assert seen.wrong == "You have 5 addresses already. Remove one first."


def test_without_a_public_address_of_ours_nothing_can_be_verified_and_nothing_is_offered(
    settings: Settings, make_app: Callable[..., App], app: App, ada: UUID
) -> None:
    bare = make_app(settings, public_url=None)
    with TestClient(web.make(bare)) as client:
        seen = Seen(client.get(page_of(bare, ada)))
        assert "Add an e-mail address" not in seen.html
        assert client.post(page_of(bare, ada), data={"section": "addresses", "act": "add"}).status_code == 422


# ---- the test


def test_the_button_sends_exactly_one_mail_that_is_marked_as_a_test(app: App, tab: Tab, mailbox: Mailbox) -> None:
    assert tab.send("test", "send").said.startswith("The test is on its way.")
    again = tab.send("test", "send")
    assert (again.status, again.wrong.partition(".")[0]) == (422, "We sent a test less than a minute ago")
    drain(app)
    (mail,) = all_in(mailbox.folder)
    assert mail["To"].addresses[0].addr_spec == "ada@example.org"
    assert mail["Subject"].startswith("[Test]")


def test_a_test_reaches_who_paused_everything_and_wants_no_disturbance(app: App, tab: Tab, mailbox: Mailbox) -> None:
    tab.send("pause", "pause")
    tab.send("disturb", "on", span="4h")
    tab.send("test", "send")
    drain(app)
    assert len(all_in(mailbox.folder)) == 1


def test_a_test_that_cannot_go_out_is_not_said_to_be_on_its_way(app: App, tab: Tab) -> None:
    suppress(app, "all", "bounced")
    seen = tab.send("test", "send")
    assert (seen.status, seen.wrong.partition(",")[0]) == (422, "It was not sent")
    assert tab.send("test", "send").wrong == seen.wrong  # and it may be tried again


def test_a_test_is_not_sent_while_nobody_can_tell_when_the_last_one_was(
    settings: Settings, make_app: Callable[..., App], app: App, ada: UUID
) -> None:
    lonely = make_app(settings, redis_url=SecretStr("redis://127.0.0.1:1/0"))
    with TestClient(web.make(lonely), raise_server_exceptions=False) as client:
        answer = client.post(page_of(lonely, ada), data={"section": "test", "act": "send"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    with app.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.messages)) == 0


# ---- links


def test_a_forged_link_opens_nothing(app: App, client: TestClient, ada: UUID) -> None:
    good = page_of(app, ada)
    for path in ("/preferences", "/preferences?token=", f"{good}x", good[:-1], good.replace("token=", "token=A")):
        for answer in (client.get(path), client.post(path, data={"section": "topics"})):
            assert answer.status_code == 400
            assert "ada" not in answer.text


def test_a_link_for_something_else_opens_nothing(app: App, client: TestClient, ada: UUID) -> None:
    assert client.get(f"/preferences?token={links.sign(app, 'unsubscribe', ada, ada)}").status_code == 400
    assert client.get(f"/preferences?token={links.sign(app, 'verify', ada)}").status_code == 400


def test_an_old_link_offers_a_fresh_one_to_the_main_address(
    app: App, client: TestClient, ada: UUID, mailbox: Mailbox
) -> None:
    old = page_of(app, ada, expires=app.clock.now() - timedelta(days=1))
    seen = Seen(client.get(old))
    assert (seen.status, seen.marks["h1"]) == (410, "This link is no longer valid")
    assert "ada@" not in seen.html
    for _ in range(2):
        sent = Seen(client.post(old, data={"section": "link"}))
        assert (sent.status, sent.marks["h1"]) == (410, "Look in your mail")
        assert "ada@" not in sent.html
    drain(app)
    assert link_in(mailbox)[0] == "ada@example.org"  # and once in ten minutes only
    assert client.get(link_in(mailbox)[1]).status_code == 200


def test_an_old_link_saves_nothing(app: App, client: TestClient, ada: UUID) -> None:
    old = page_of(app, ada, expires=app.clock.now() - timedelta(days=1))
    answer = client.post(old, data={"section": "pause", "act": "pause", "length": "week"})
    assert (answer.status_code, history(app)) == (410, [])


def test_an_old_link_of_nobody_looks_like_any_other(app: App, client: TestClient, ada: UUID) -> None:
    then = app.clock.now() - timedelta(days=1)
    known, unknown = page_of(app, ada, expires=then), page_of(app, UUID(int=7), expires=then)
    assert client.get(known).text == client.get(unknown).text
    assert client.post(known, data={"section": "link"}).text == client.post(unknown, data={"section": "link"}).text


def test_the_link_of_somebody_who_was_erased_is_gone(app: App, client: TestClient, ada: UUID, tab: Tab) -> None:
    with app.store.begin() as connection:
        connection.execute(sa.update(tables.recipients).values(erased_at=app.clock.now()))
    assert client.get(tab.path).status_code == 410
    assert client.post(tab.path, data={"section": "test", "act": "send"}).status_code == 410
    with app.store.read() as connection:
        assert link_holders.find(connection, ada) is None


def test_a_link_belongs_to_its_tenant(app: App, client: TestClient) -> None:
    with app.store.begin() as connection:
        tenants.add(connection, "acme", app.clock.now())
    for tenant in (None, "acme"):
        recipients.add(app, ADA, by=BY_TEST, tenant=tenant)
    theirs = recipients.get(app, "ada", tenant="acme")
    Tab(client, page_of(app, theirs.id)).send("language", locale="nl")
    assert recipients.get(app, "ada", tenant="acme").locale == "nl"
    assert recipients.get(app, "ada").locale == "en"


# ---- forms of elsewhere, and forms that are none


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
    ],
)
def test_a_form_that_another_site_sent_is_refused(app: App, tab: Tab, headers: dict[str, str]) -> None:
    given = {"section": "pause", "act": "pause", "length": "week"}
    assert tab.client.post(tab.path, data=given, headers=headers).status_code == 403
    assert history(app) == []


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "same-origin", "Origin": "null"}, {"Origin": "null"}, {"Origin": "http://testserver"}, {}],
)
def test_a_form_of_our_own_page_is_taken(app: App, tab: Tab, headers: dict[str, str]) -> None:
    given = {"section": "pause", "act": "pause", "length": "week"}
    assert tab.client.post(tab.path, data=given, headers=headers).status_code == 200
    assert len(history(app)) == 1


@pytest.mark.parametrize("section", ["", "everything", "link"])
def test_a_form_that_there_is_none_of_changes_nothing(app: App, tab: Tab, section: str) -> None:
    answer = tab.client.post(tab.path, data={"section": section})
    assert (answer.status_code, history(app)) == (422, [])


def test_a_body_that_is_too_large_is_not_read(app: App, tab: Tab) -> None:
    assert tab.client.post(tab.path, data={"section": "x" * 100_000}).status_code == 413


def test_an_address_cannot_make_the_page_say_what_it_likes(tab: Tab) -> None:
    seen = Seen(tab.client.get(f"{tab.path}&done=<script>alert(1)</script>"))
    assert (seen.status, seen.said) == (200, "")
    assert "<script>" not in seen.html


def test_a_moment_of_the_past_is_not_shown(app: App, tab: Tab, ada: UUID) -> None:
    with app.store.begin() as connection:
        gone = datetime(2001, 1, 1, tzinfo=UTC).isoformat()
        stored = {"paused_until": gone, "undisturbed_until": gone}
        connection.execute(sa.update(tables.recipients).values(preferences=stored))
    seen = tab.reload()
    assert "Paused until" not in seen.html
    assert "On until" not in seen.html


def test_who_would_wait_long_for_somebody_elses_lock_is_told_to_come_again(app: App, tab: Tab) -> None:
    if app.store.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time, and waits for that one alone")
    app.store.give_up_locks_after(0.1)
    given = {"section": "language", "locale": "nl", "was_locale": "en", "timezone": "UTC", "was_timezone": "UTC"}
    with app.store.begin() as held:
        held.execute(sa.select(tables.recipients.c.id).with_for_update())
        answer = tab.client.post(tab.path, data=given, follow_redirects=False)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert tab.client.post(tab.path, data=given, follow_redirects=False).status_code == 303
