"""`notify db`, `status` and `tenants` on a database of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from notify.settings import load
from notify.store import open_store, presence, schema
from notify.store.tables import audit
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
