"""`notify db`, `status` and `tenants` on a database of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from notify.feedback.mailboxes import configured
from notify.model import Event, EventType, Hold, HoldScope, Measure
from notify.settings import load
from notify.store import events, guarding, mailboxes, open_store, presence, schema
from notify.store.events import Told
from notify.store.tables import audit
from notify.store.tenants import DEFAULT_ID
from tests.unit.cli.running import install, notify_cli


@pytest.fixture(autouse=True)
def _installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str) -> None:
    install(monkeypatch, tmp_path, redis_url=redis_url)


def test_the_schema_goes_up_and_a_second_time_changes_nothing() -> None:
    head = schema.head()
    first = notify_cli("db", "upgrade")
    assert first.code == 0
    assert f"went from empty to revision {head}, the head." in first.out
    assert f"is at revision {head}, the head: nothing to do." in notify_cli("db", "upgrade").out


def test_current_says_whether_the_database_is_at_the_head() -> None:
    before = notify_cli("db", "current", "--json").json
    assert (before["current"], before["head"], before["up_to_date"]) == (None, schema.head(), False)
    assert "Next: notify db upgrade" in notify_cli("db", "current").out
    notify_cli("db", "upgrade")
    after = notify_cli("db", "current", "--json").json
    assert (after["current"], after["up_to_date"]) == (schema.head(), True)


def test_a_downgrade_asks_first() -> None:
    notify_cli("db", "upgrade")
    refused = notify_cli("db", "downgrade", "base", given="n\n")
    assert refused.code == 1
    assert "deletes data" in refused.err
    assert "Nothing was changed" in refused.err
    assert notify_cli("db", "current", "--json").json["current"] == schema.head()
    assert notify_cli("db", "downgrade", "base", given="y\n").code == 0
    assert notify_cli("db", "current", "--json").json["current"] is None


def test_a_downgrade_with_yes_does_not_ask() -> None:
    notify_cli("db", "upgrade")
    ran = notify_cli("db", "downgrade", "base", "--yes")
    assert ran.code == 0
    assert "went from" in ran.out


def test_an_unknown_revision_is_an_operators_matter() -> None:
    ran = notify_cli("db", "upgrade", "9999")
    assert ran.code == 2
    assert "Next: notify db current" in ran.err


def test_status_is_unhealthy_until_beat_and_a_worker_were_seen() -> None:
    notify_cli("db", "upgrade")
    before = notify_cli("status")
    assert before.code == 2
    assert "beat has never run" in before.out
    assert "Next: notify worker" in before.out
    _seen()
    after = notify_cli("status")
    assert after.code == 0
    assert "All is well." in after.out
    assert "lanes bulk, system" in after.out
    assert notify_cli("status", "--json").json["healthy"] is True


def test_status_names_a_mailbox_that_fails_and_what_the_guard_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_MAILBOXES", "imaps://bounces:s3cret@mail.example.org/INBOX")
    notify_cli("db", "upgrade")
    _seen()
    [box] = configured(load())
    now = datetime.now(UTC)
    held = Hold(uuid4(), DEFAULT_ID, HoldScope.PROVIDER, "main", Measure.BOUNCED, 20, 200, "main", now)
    store = open_store(load().database)
    with store.begin() as connection:
        mailboxes.begin(connection, box.name, now)
        mailboxes.fail(connection, box.name, "refuses the password")
        guarding.hold(connection, held)
    store.close()
    ran = notify_cli("status", "--json")
    assert (ran.code, ran.json["healthy"]) == (2, False)
    hold, mailbox = ran.json["problems"]
    assert "Next: " in hold
    assert "notify providers resume main" in hold
    assert "mailbox mail.example.org:993/INBOX cannot be read: refuses the password. Next: notify doctor" in mailbox


@pytest.mark.parametrize(("waits", "told"), [(True, "1 wait for it"), (False, "1 were given up")])
def test_status_counts_the_events_without_a_message(waits: bool, told: str) -> None:
    notify_cli("db", "upgrade")
    _seen()
    now = datetime.now(UTC)
    event = Event(EventType.DELIVERED, now, "ses", "event-1", provider_message_id="unknown")
    store = open_store(load().database)
    with store.begin() as connection:
        [one] = events.insert(connection, DEFAULT_ID, [Told(event, None, now)], now)
        events.park(connection, {one.id: now if waits else None})
    store.close()
    ran = notify_cli("status", "--json")
    assert (ran.code, ran.json["parked"], ran.json["given_up"]) == (0, int(waits), int(not waits))
    assert told in notify_cli("status").out


def test_status_names_a_redis_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    notify_cli("db", "upgrade")
    _seen()
    monkeypatch.setenv("NOTIFY_REDIS_URL", "redis://:s3cret@127.0.0.1:1/0")
    ran = notify_cli("status", "--json")
    assert ran.code == 2
    [problem] = ran.json["problems"]
    assert problem.startswith("Redis redis://:***@127.0.0.1:1/0 does not answer")
    assert "Next: " in problem


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_status_of_a_database_that_is_away_is_a_problem_too(form: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_DATABASE_URL", "postgresql://notify:s3cret@127.0.0.1:1/notify")
    ran = notify_cli("status", *form)
    assert ran.code == 2
    assert "does not answer" in ran.out
    assert "s3cret" not in ran.out + ran.err
    if form:
        assert ran.json["healthy"] is False


def test_status_of_an_empty_database_asks_for_the_migration() -> None:
    ran = notify_cli("status")
    assert ran.code == 2
    assert "Next: notify db upgrade" in ran.out


def test_a_command_on_an_empty_database_asks_for_the_migration() -> None:
    ran = notify_cli("tenants", "list")
    assert (ran.code, ran.out) == (2, "")
    assert "Next: notify db upgrade" in ran.err


def test_a_tenant_is_added_once_and_the_audit_says_by_whom() -> None:
    notify_cli("db", "upgrade")
    assert notify_cli("tenants", "add", "acme").out == "Added tenant acme.\n"
    assert "was there already" in notify_cli("tenants", "add", "acme").out
    assert notify_cli("tenants", "list").out == "acme\ndefault\n"
    assert notify_cli("tenants", "list", "--json").json == [{"key": "acme"}, {"key": "default"}]
    store = open_store(load().database)
    with store.read() as connection:
        rows = connection.execute(sa.select(audit.c.actor, audit.c.action, audit.c.subject)).all()
    store.close()
    assert [row.action for row in rows] == ["tenants.add"]
    assert rows[0].subject == "acme"
    assert rows[0].actor.startswith("cli:")


@pytest.mark.parametrize("key", ["", "a\nb", "x" * 256])
def test_a_key_that_cannot_be_a_tenants_is_refused(key: str) -> None:
    notify_cli("db", "upgrade")
    assert notify_cli("tenants", "add", key).code == 3
    assert notify_cli("tenants", "list").out == "default\n"


def _seen() -> None:
    """Beat's relay ran, and a worker said that it lives."""
    now, store = datetime.now(UTC), open_store(load().database)
    with store.begin() as connection:
        presence.claim_slot(connection, "relay", 1, now)
        presence.heartbeat(connection, "host:1", "email.bulk,sms.bulk,system", now)
    store.close()
