"""A conversion is recorded once, and belongs to the last link that a person followed before it."""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import notify
from notify.app import App
from notify.cli.conversions import conversions as command
from notify.errors import IdempotencyConflict, InvalidData, NotFound
from notify.feedback.record import record
from notify.model import Event, EventType
from notify.store import conversions, messages
from notify.store.conversions import Attributed, Conversion
from notify.store.tables import recipients
from notify.store.tenants import DEFAULT_ID
from tests.drain import drain
from tests.kinds import make_kind


@pytest.fixture(autouse=True)
def _kinds(app: App, templates: Path) -> None:
    make_kind(templates)
    make_kind(templates, "news")


def sent(app: App, kind: str = "hello") -> UUID:
    note = notify.send(kind, {"key": "ada", "email": "ada@example.org"})
    drain(app)
    with app.store.read() as connection:
        [found] = messages.listing(connection, DEFAULT_ID, notification_id=note.id)
    return found.message.id


def clicked(app: App, message_id: UUID, at: datetime, *, bot: bool = False) -> None:
    event = Event(EventType.CLICKED, at, "tracking", str(uuid4()), message_id=message_id, bot=bot)
    record(app, DEFAULT_ID, [event])


def listed(app: App, kind: str | None = None) -> list[Attributed]:
    with app.store.read() as connection:
        return conversions.listing(connection, DEFAULT_ID, kind=kind, limit=10)


def test_it_belongs_to_the_last_click_of_a_person_within_the_window(app: App) -> None:
    hello, news, now = sent(app), sent(app, "news"), app.clock.now()
    for days, message_id, bot in ((-8, hello, False), (-3, hello, False), (-2, news, False), (-1, hello, True)):
        clicked(app, message_id, now + timedelta(days=days), bot=bot)
    notify.converted("ada", "order", 49.9, now)
    notify.converted("ada", "order", at=now - timedelta(days=2, hours=12))
    notify.converted("ada", "order", at=now - timedelta(days=10))
    notify.converted("ada", "order", at=now + timedelta(days=20))
    found = listed(app)
    assert [one.message_id for one in found] == [None, news, hello, None]
    assert [one.kind for one in found] == [None, "news", "hello", None]
    assert found[1].conversion.value == 49.9
    assert [one.message_id for one in listed(app, "news")] == [news]


def test_a_click_that_comes_late_is_found_all_the_same(app: App) -> None:
    message_id, now = sent(app), app.clock.now()
    notify.converted("ada", "order", at=now)
    assert listed(app)[0].message_id is None
    clicked(app, message_id, now - timedelta(seconds=1))
    assert listed(app)[0].message_id == message_id


def test_the_same_key_counts_once_and_another_conversion_under_it_is_refused(app: App) -> None:
    sent(app)
    first = notify.converted("ada", "order", 49.9, key="order-1")
    assert notify.converted("ada", "order", 49.9, key="order-1").id == first.id
    assert len(listed(app)) == 1
    with pytest.raises(IdempotencyConflict, match=r"order, value 49.9, .* UTC\nNext: give this one a key"):
        notify.converted("ada", "order", 50, key="order-1")


def test_what_cannot_be_kept_is_refused(app: App) -> None:
    sent(app)
    for name, value, at in (
        ("", None, None),
        ("x" * 201, None, None),
        ("order", float("nan"), None),
        ("order", 1e14, None),
        ("order", 1, datetime(2031, 5, 1)),
    ):
        with pytest.raises(InvalidData):
            notify.converted("ada", name, value, at)
    with pytest.raises(NotFound):
        notify.converted("nobody", "order")
    assert listed(app) == []


def test_nothing_is_recorded_of_who_is_erased_meanwhile(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    sent(app)
    add, erasing = conversions.add, []

    def late(*given: Any) -> Conversion:
        thread = threading.Thread(target=notify.privacy.erase, args=("ada", "asked"))
        erasing.append(thread)
        thread.start()
        if app.store.engine.dialect.name == "postgresql":
            _until_somebody_waits(app)
        return add(*given)

    with monkeypatch.context() as patched:
        patched.setattr(conversions, "add", late)
        notify.converted("ada", "order", key="ada@example.org 1")
    erasing[0].join(30)
    assert not erasing[0].is_alive()
    assert listed(app) == []
    with app.store.read() as connection:
        key = connection.scalar(sa.select(recipients.c.key))
    for name in ("ada", str(key)):
        with pytest.raises(NotFound):
            notify.converted(name, "order")


def _until_somebody_waits(app: App) -> None:
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    for _ in range(1000):
        with app.store.read() as connection:
            if connection.scalar(waiting):
                return
        time.sleep(0.02)
    raise AssertionError("the erasure does not wait for the conversion")


def test_the_command_records_and_lists(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    message_id = sent(app)
    clicked(app, message_id, app.clock.now() - timedelta(minutes=1))
    monkeypatch.setenv("NOTIFY_DATABASE_URL", app.settings.database)
    arguments = ["record", "ada", "order", "--value", "49.90", "--key", "order-1"]
    for new in (True, False):
        ran = CliRunner().invoke(command, [*arguments, "--json"], catch_exceptions=False)
        assert (ran.exit_code, json.loads(ran.stdout)["new"]) == (0, new)
    again = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert again.stdout.startswith("It was recorded before: order of ada, key order-1")
    [one] = json.loads(CliRunner().invoke(command, ["list", "--json"], catch_exceptions=False).stdout)
    assert (one["message"], one["value"], one["kind"]) == (str(message_id), 49.9, "hello")
    assert "order" in CliRunner().invoke(command, ["list"], catch_exceptions=False).stdout
