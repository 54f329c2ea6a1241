"""What was done stays on record: the database itself refuses to change or forget it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import notify
from notify.app import App
from notify.store import audit, tables
from notify.store.tenants import DEFAULT_ID
from tests.unit.cli.running import install, notify_cli

TAMPERINGS: dict[str, Callable[[], Any]] = {
    "changing": lambda: sa.update(tables.audit).values(actor="nobody"),
    "deleting": lambda: sa.delete(tables.audit),
    "emptying": lambda: sa.text("TRUNCATE audit"),
}


def kept(app: App) -> list[audit.Deed]:
    with app.store.read() as connection:
        return audit.listing(connection, DEFAULT_ID)


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_the_database_refuses_to_change_what_was_done(app: App, tampering: str) -> None:
    if tampering == "emptying" and app.store.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")
    notify.suppressions.add("ada@example.org")
    before = kept(app)
    with pytest.raises(sa.exc.IntegrityError, match="only ever added"), app.store.begin() as connection:
        connection.execute(TAMPERINGS[tampering]())
    assert kept(app) == before != []


def test_the_door_is_open_for_its_own_transaction_and_shut_again_after_it(app: App) -> None:
    notify.suppressions.add("ada@example.org")
    with app.store.begin() as connection, audit.door(connection, DEFAULT_ID, app.clock.now()):
        connection.execute(sa.update(tables.audit).values(actor="anonymous"))
    assert [deed.actor for deed in kept(app)] == ["anonymous"]
    with pytest.raises(sa.exc.IntegrityError), app.store.begin() as connection:
        connection.execute(sa.delete(tables.audit))


def test_a_recipient_is_found_by_key_and_by_id_and_forgotten_by_both(app: App) -> None:
    notify.recipients.add({"key": "u1", "email": "ada@example.org"})
    person = notify.recipients.set("u1", locale="nl", reason="asked by Ada")
    notify.preferences.pause("u1", app.clock.now() + timedelta(days=1), reason="asked by Ada")
    told = [("preferences.pause", str(person.id)), ("recipients.set", "u1"), ("recipients.add", "u1")]
    for name in ("u1", str(person.id)):
        assert [(deed.action, deed.subject) for deed in found(app, name)] == told
    assert found(app, "u2") == []
    notify.privacy.erase("u1", reason="asked")
    left = found(app, f"erased:{person.id}")
    assert [deed.action for deed in left] == ["recipients.erase", *(action for action, _ in told)]
    assert [deed.detail for deed in left[1:]] == [{"erased": True}] * 3


def found(app: App, subject: str) -> list[audit.Deed]:
    with app.store.read() as connection:
        return audit.listing(connection, DEFAULT_ID, subject=subject)


def test_the_command_lists_what_was_done_by_whom(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str
) -> None:
    install(monkeypatch, tmp_path, redis_url=redis_url)
    notify_cli("db", "upgrade")
    assert "Nothing was done" in notify_cli("audit", "list").out
    notify_cli("suppressions", "add", "ada@example.org")
    notify_cli("suppressions", "remove", "ada@example.org", "--reason", "a mistake")
    notify_cli("tenants", "add", "acme")
    listed = notify_cli("audit", "list", "--action", "suppressions.", "--json").json
    assert [row["action"] for row in listed] == ["suppressions.remove", "suppressions.add"]
    assert listed[0]["detail"]["reason"] == "a mistake"
    assert notify_cli("audit", "list", "--since", "2999-01-01T00:00Z", "--json").json == []
    assert "email:ada@example.org" in notify_cli("audit", "list", "--actor", listed[0]["actor"]).out
