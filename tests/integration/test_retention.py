"""What is kept no longer goes, slice by slice; what still waits, and what keeps things from happening twice, stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

import notify
from notify.app import App
from notify.audience import retention
from notify.dev.mailbox import Mailbox
from notify.store import ageing, audit, tables
from notify.store.tenants import DEFAULT_ID
from notify.tasks import ticks
from notify.testing import MovableClock
from tests.drain import drain
from tests.kinds import make_kind

LATER = timedelta(days=40)


@pytest.fixture
def later(app: App, make_app: Callable[..., App], templates: object, monkeypatch: pytest.MonkeyPatch) -> App:
    """The same installation forty days on, which keeps everything for thirty; its slices are of two rows."""
    monkeypatch.setattr(retention, "SLICE", {"postgresql": 2, "sqlite": 2})
    keeps = {f"retention_{name}_days": 30 for name in ageing.POLICIES}
    opened = make_app(app.settings, **keeps)
    clock = MovableClock(app.clock.now())
    clock.move(LATER)
    object.__setattr__(opened, "clock", clock)
    return opened


@pytest.fixture(autouse=True)
def _kinds(templates: object) -> None:
    make_kind(templates)  # type: ignore[arg-type]  # the folder of the test
    make_kind(templates, "broken", html="<html lang='en'><body>{{ recipient.nothing.at_all }}</body></html>")  # type: ignore[arg-type]


def rows(app: App, table: sa.Table) -> int:
    with app.store.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_what_is_done_goes_and_its_idempotency_key_stays(app: App, later: App, mailbox: Mailbox) -> None:
    people = [{"key": f"user-{number}", "email": f"user-{number}@example.org"} for number in range(5)]
    file = notify.Attachment("a.txt", b"a")
    sent = notify.send_many("hello", people, {"word": "secret"}, key="once", attachments=[file])
    drain(app)
    assert retention.run(later) == 5
    assert [rows(app, table) for table in (tables.messages, tables.attempts, tables.attachments, tables.batches)] == [
        0
    ] * 4
    with app.store.read() as connection:
        assert connection.scalar(sa.select(tables.notifications.c.data)) == {}
    again = notify.send_many("hello", people, {"word": "secret"}, key="once", attachments=[file])
    assert (again.id, again.repeated, rows(app, tables.messages)) == (sent.id, True, 0)


def test_what_waits_or_may_be_replayed_stays(app: App, later: App) -> None:
    waiting = notify.send("hello", {"key": "ada", "email": "ada@example.org"}, {"word": "later"})
    notify.send("broken", {"key": "eve", "email": "eve@example.org"})
    with app.store.begin() as connection:
        theirs = tables.messages.c.notification_id == waiting.id
        connection.execute(
            sa.update(tables.batches)
            .where(tables.batches.c.id.in_(sa.select(tables.messages.c.batch_id).where(theirs)))
            .values(due_at=app.clock.now() + 2 * LATER)
        )
    drain(app)
    later = _keeping(later, dead=None)
    assert retention.run(later) == 0
    assert (rows(app, tables.messages), rows(app, tables.dead_letters)) == (2, 1)


def _keeping(app: App, **days: int | None) -> App:
    changed = {f"retention_{name}_days": value for name, value in days.items()}
    object.__setattr__(app, "settings", app.settings.model_copy(update=changed))
    return app


def test_dead_letters_go_first_and_their_messages_after_them(app: App, later: App) -> None:
    notify.send("broken", {"key": "eve", "email": "eve@example.org"})
    drain(app)
    retention.run(later)
    assert (rows(app, tables.dead_letters), rows(app, tables.messages)) == (0, 1)
    retention.run(later)
    assert rows(app, tables.messages) == 0


def test_the_audit_goes_by_its_own_door_and_consents_never_go(app: App, later: App) -> None:
    for number in range(5):
        notify.suppressions.add(f"user-{number}@example.org")
    notify.send("hello", {"key": "ada", "email": "ada@example.org"})
    now = app.clock.now()
    with app.store.begin() as connection:
        id_ = connection.scalar(sa.select(tables.recipients.c.id))
        common = {"id": uuid7(), "tenant_id": DEFAULT_ID, "recipient_id": id_, "at": now, "source": "form"}
        words = {"category": "news", "action": "granted", "wording": "Yes", "previous": "0", "digest": "1"}
        connection.execute(
            sa.insert(tables.consents), {**common, **words, "number": 1, "proof": {}, "proof_digest": "d"}
        )
        connection.execute(sa.insert(tables.recipient_changes), {**common, "actor": "ada", "changes": {}})
        event = {"id": uuid7(), "tenant_id": DEFAULT_ID, "type": "opened", "provider": "ses", "detail": {}}
        times = {"at": now, "received_at": now, "provider_event_id": "1"}
        connection.execute(sa.insert(tables.events), {**event, **times})
    retention.run(later)
    gone = (tables.audit, tables.recipient_changes, tables.events)
    assert [rows(app, table) for table in gone] == [0, 0, 0]
    assert (rows(app, tables.consents), rows(app, tables.suppressions)) == (1, 5)


def test_what_followed_from_events_goes_with_them_and_an_open_hold_stays(app: App, later: App) -> None:
    now = app.clock.now()
    common = {"tenant_id": DEFAULT_ID}
    hold = {"scope": "provider", "measure": "bounced", "bad": 5, "sent": 9, "began_at": now}
    happened = {"event_id": uuid7(), "channel": "email", "address": "ada@example.org", "effect": "stood", "at": now}
    bought = {"recipient_id": uuid7(), "name": "order", "at": now, "clicked_since": now, "recorded_at": now}
    with app.store.begin() as connection:
        for table, row in (
            *((tables.consequences, happened) for _ in range(3)),
            *((tables.conversions, {**bought, "key": str(number)}) for number in range(3)),
            (tables.guard_holds, {**hold, "subject": "ses", "ended_at": now}),
            (tables.guard_holds, {**hold, "subject": "resend"}),
        ):
            connection.execute(sa.insert(table), {"id": uuid7(), **common, **row})
    assert retention.run(later) == 7
    assert [rows(app, table) for table in (tables.consequences, tables.conversions, tables.guard_holds)] == [0, 0, 1]


def test_a_soft_bounce_goes_once_it_weighs_next_to_nothing(app: App) -> None:
    now = app.clock.now()
    told = {"one": (1.0, 99), "three": (3.0, 99), "old": (3.0, 130), "new": (1.0, 80)}
    with app.store.begin() as connection:
        for name, (score, days) in told.items():
            row = {"channel": "email", "address": name, "score": score, "at": now - timedelta(days=days)}
            connection.execute(sa.insert(tables.soft_bounces), {"id": uuid7(), "tenant_id": DEFAULT_ID, **row})
    assert retention.run(app) == 2
    with app.store.read() as connection:
        assert set(connection.scalars(sa.select(tables.soft_bounces.c.address))) == {"three", "new"}


def test_nothing_goes_before_its_time_or_where_nothing_is_set(app: App, make_app: Callable[..., App]) -> None:
    notify.suppressions.add("ada@example.org")
    assert retention.run(make_app(app.settings, retention_audit_days=30)) == 0
    assert retention.run(app) == 0
    with app.store.read() as connection:
        assert len(audit.listing(connection, DEFAULT_ID)) == 1


def test_beat_runs_it_every_hour() -> None:
    entry = ticks.timetable(None)["retention"]
    assert (entry["task"], entry["schedule"]) == ("notify.retention", timedelta(hours=1))
