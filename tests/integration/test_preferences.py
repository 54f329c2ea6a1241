"""What recipients choose is kept, told, and asked for before a message is stored and again before it is sent."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import notify
from notify.app import App
from notify.audience import preferences
from notify.dev.mailbox import Mailbox
from notify.errors import InvalidChoice, NotFound
from notify.model import Author, Channel, Message, MessageState, Quiet, Source
from notify.model.preferences import FOREVER
from notify.store import messages, recipient_history, tables
from notify.testing import capture
from tests.drain import drain
from tests.kinds import make_kind

ADA = {"key": "ada", "email": "ada@example.org"}
BY = Author("test", Source.PYTHON, "why not")
CATEGORIES = """
[test]
title = "Tests"

[security]
title = "Security"
required = true

[tips]
title = "Tips"
default = { email = false }
"""


def kind(templates: Path, name: str, category: str, toml: str = "") -> None:
    path = make_kind(templates, name, toml=toml) / "kind.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"test"', f'"{category}"'), encoding="utf-8")


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
    (templates / "categories.toml").write_text(CATEGORIES, encoding="utf-8")
    make_kind(templates)
    kind(templates, "reset", "security")
    kind(templates, "tip", "tips")
    kind(templates, "invoice", "test", "required = true")
    kind(templates, "hi", "test", "onboarding = true")


@pytest.fixture
def ada(app: App) -> str:
    notify.send("reset", ADA)
    drain(app)
    return "ada"


def only(sent: notify.Notification, app: App) -> Message:
    with app.store.read() as connection:
        (listed,) = messages.listing(connection, sent.tenant_id, notification_id=sent.id)
    return listed.message


def outcome(kind: str, app: App, to: Any = "ada") -> str:
    """The state of a message that is planned and delivered now, or the reason why it was not."""
    sent = notify.send(kind, to)
    drain(app)
    message = only(sent, app)
    return message.reason or message.state.value


def test_who_chose_nothing_gets_what_the_category_says(ada: str, app: App) -> None:
    matrix = notify.preferences.get(ada)
    rows = {row.category.name: row.cells[Channel.EMAIL] for row in matrix.rows}
    assert (rows["test"].chosen, rows["test"].default, rows["test"].effective) == (None, True, True)
    assert (rows["tips"].chosen, rows["tips"].default, rows["tips"].effective) == (None, False, False)
    assert [row.category.title for row in matrix.rows if row.category.required] == ["Security"]
    assert (outcome("hello", app), outcome("tip", app)) == ("sent", "preference")


def test_what_is_turned_off_is_skipped_with_the_reason_and_comes_again_when_turned_on(ada: str, app: App) -> None:
    assert notify.preferences.set(ada, "test", "email", False)
    assert not notify.preferences.set(ada, "test", "email", False)
    assert outcome("hello", app) == "preference"
    assert outcome("reset", app) == "sent"
    notify.preferences.set(ada, "test", "email", True)
    assert outcome("hello", app) == "sent"


def test_what_is_required_comes_though_its_category_is_turned_off(ada: str, app: App) -> None:
    notify.preferences.set(ada, "test", "email", False)
    assert outcome("invoice", app) == "sent"


def test_a_required_category_cannot_be_turned_off_and_nothing_else_of_the_call_is_kept(ada: str) -> None:
    with pytest.raises(InvalidChoice, match="security cannot be turned off, for it is required"):
        notify.preferences.choose(ada, {("test", "email"): False, ("security", "email"): False})
    assert all(cell.chosen is None for row in notify.preferences.get(ada).rows for cell in row.cells.values())


@pytest.mark.parametrize(
    ("category", "channel", "complaint"),
    [
        ("tets", "email", "no kind belongs to the category 'tets'; did you mean 'test'?"),
        ("test", "emial", "'emial' is not a channel; did you mean 'email'?"),
        ("test", "letter", "'letter' is not a channel; there are email, sms,"),
    ],
)
def test_a_choice_about_what_there_is_none_of_is_refused(ada: str, category: str, channel: str, complaint: str) -> None:
    with pytest.raises(InvalidChoice) as caught:
        notify.preferences.set(ada, category, channel, False)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("hours", ["22-7 o'clock", "22:00", "", "22:00-22:00", "22:00:30-07:00", "25:00-07:00"])
def test_hours_that_make_no_sense_are_refused(ada: str, hours: str) -> None:
    with pytest.raises(InvalidChoice):
        notify.preferences.quiet(ada, hours)


def test_a_pause_ends_in_the_future_at_a_moment_with_an_offset(ada: str, app: App) -> None:
    for until in (app.clock.now() - timedelta(seconds=1), datetime(2099, 1, 1)):
        with pytest.raises(InvalidChoice):
            notify.preferences.pause(ada, until)


def test_nobody_chooses_for_somebody_who_is_not_there(app: App) -> None:
    for change in (
        lambda: notify.preferences.get("nobody"),
        lambda: notify.preferences.set("nobody", "test", "email", False),
    ):
        with pytest.raises(NotFound, match="no recipient 'nobody'"):
            change()


def test_a_pause_holds_back_what_is_not_required_until_it_is_resumed(ada: str, app: App) -> None:
    notify.preferences.pause(ada)
    assert notify.preferences.get(ada).paused_until == FOREVER
    assert (outcome("hello", app), outcome("reset", app)) == ("paused", "sent")
    notify.preferences.resume(ada)
    assert notify.preferences.get(ada).paused_until is None
    assert outcome("hello", app) == "sent"


def test_quiet_hours_and_do_not_disturb_are_kept(ada: str, app: App) -> None:
    until = datetime(2099, 1, 1, tzinfo=UTC)
    notify.preferences.quiet(ada, "22:00-07:00")
    notify.preferences.do_not_disturb(ada, until)
    matrix = notify.preferences.get(ada)
    assert (matrix.quiet, matrix.undisturbed_until) == (Quiet.parse("22:00-07:00"), until)
    notify.preferences.reset(ada)
    matrix = notify.preferences.get(ada)
    assert (matrix.quiet, matrix.undisturbed_until) == (None, None)


def test_a_choice_made_after_the_planning_counts_when_it_is_sent(ada: str, app: App, mailbox: Mailbox) -> None:
    before = mailbox.count
    sent = notify.send("hello", ada)
    notify.preferences.set(ada, "test", "email", False)
    drain(app)
    message = only(sent, app)
    assert (message.state, message.reason, mailbox.count) == (MessageState.SKIPPED, "preference", before)


def test_the_tenants_choice_counts_for_who_chose_nothing(ada: str, app: App) -> None:
    notify.preferences.set_default("test", "email", False)
    assert outcome("hello", app) == "preference"
    notify.preferences.set(ada, "test", "email", True)
    assert outcome("hello", app) == "sent"
    notify.preferences.set_default("tips", "email", True)
    assert outcome("tip", app) == "sent"
    notify.preferences.set_default("tips", "email", None)
    assert outcome("tip", app) == "preference"


def test_another_tenants_choice_is_none_of_ours(ada: str, app: App) -> None:
    from notify.store import tenants

    with app.store.begin() as connection:
        tenants.add(connection, "acme", app.clock.now())
    notify.preferences.set_default("test", "email", False, tenant="acme")
    assert outcome("hello", app) == "sent"


def test_every_change_leaves_a_row_of_history_and_one_of_audit(ada: str, app: App) -> None:
    preferences.choose(app, ada, {("test", "email"): False}, by=BY)
    preferences.quiet(app, ada, "22:00-07:00", by=BY)
    with app.store.read() as connection:
        (recipient_id,) = connection.scalars(sa.select(tables.recipients.c.id))
        newest, first = recipient_history.read(connection, recipient_id, limit=2)
        rows = connection.execute(sa.select(tables.audit).order_by(tables.audit.c.id)).all()
    assert first.changes == {"preferences.test.email": (None, False)}
    assert newest.changes == {"preferences.quiet": (None, "22:00-07:00")}
    assert (first.actor, first.source, first.reason) == ("test", "python", "why not")
    assert [(row.actor, row.action, row.subject) for row in rows] == [
        ("test", "preferences.choose", str(recipient_id)),
        ("test", "preferences.quiet", str(recipient_id)),
    ]


def test_the_application_says_on_whose_behalf_it_chooses(ada: str, app: App) -> None:
    notify.preferences.set("ada", "test", "email", False, actor="support:eve", reason="asked by phone")
    notify.preferences.pause("ada")
    with app.store.read() as connection:
        recipient_id = connection.scalars(sa.select(tables.recipients.c.id)).one()
        paused, chosen = recipient_history.read(connection, recipient_id, limit=2)
    assert (chosen.actor, chosen.reason) == ("support:eve", "asked by phone")
    assert paused.actor == "application"


def test_nothing_is_written_down_where_nothing_changed(ada: str, app: App) -> None:
    assert not preferences.resume(app, ada, by=BY)
    assert not preferences.choose(app, ada, {("test", "email"): None}, by=BY)
    with app.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.audit)) == 0


def test_many_who_choose_at_once_lose_no_cell(ada: str, app: App) -> None:
    cells = list(itertools.product(("test", "tips"), ("email", "sms", "chat", "webhook")))

    def choose(cell: tuple[str, str]) -> None:
        preferences.choose(app, ada, {cell: False}, by=BY)

    with ThreadPoolExecutor(len(cells)) as pool:
        list(pool.map(choose, cells))
    with app.store.read() as connection:
        (stored,) = connection.scalars(sa.select(tables.recipients.c.preferences))
    assert stored["choices"] == {
        category: dict.fromkeys(("email", "sms", "chat", "webhook"), False) for category in ("test", "tips")
    }


def test_a_description_given_to_send_leaves_the_choices_alone(ada: str, app: App) -> None:
    notify.preferences.set(ada, "test", "email", False)
    assert outcome("hello", app, to={**ADA, "name": "Ada", "locale": "nl"}) == "preference"


# verification


@pytest.fixture
def strict(settings: Any, make_app: Any, redis_url: str) -> Any:
    from notify.app import using

    app = make_app(settings, require_verified=True)
    app.redis.flushall()
    with using(app):
        yield app


def verify(app: App, on: bool = True) -> None:
    with app.store.begin() as connection:
        connection.execute(sa.update(tables.addresses).values(verified=on))


def test_an_unverified_address_gets_onboarding_kinds_alone(strict: App) -> None:
    found = {kind: outcome(kind, strict, ADA) for kind in ("hello", "hi", "reset")}
    assert found == {"hello": "unverified", "hi": "sent", "reset": "unverified"}
    verify(strict)
    assert outcome("hello", strict) == "sent"


def test_verification_is_asked_for_again_before_sending(strict: App) -> None:
    notify.send("reset", ADA)
    verify(strict)
    sent = notify.send("hello", "ada")
    verify(strict, on=False)
    drain(strict)
    assert only(sent, strict).reason == "unverified"


def test_the_testing_kit_knows_preferences(templates: Path, settings: Any) -> None:
    with capture(settings) as outbox:
        notify.send("reset", ADA)
        notify.preferences.set("ada", "test", "email", False)
        notify.send("hello", "ada")
        outbox.assert_skipped("hello", "ada", reason="preference")
        outbox.assert_sent("reset", "ada", times=1)
