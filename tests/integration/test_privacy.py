"""A person can have all that is known of them, and can be forgotten: every table is walked to prove it."""

from __future__ import annotations

import base64
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

import notify
from notify.app import App, using
from notify.audience import erasure, suppressing
from notify.dev.mailbox import Mailbox
from notify.errors import InvalidRecipient, NotFound, StillSending
from notify.intake import fan_out
from notify.model import KeptMail
from notify.store import kept_mails, persons, tables, tracked_links
from notify.store.tables import metadata
from notify.store.tenants import DEFAULT_ID
from notify.store.tracked_links import Target
from tests.drain import drain
from tests.kinds import make_kind
from tests.unit.cli.running import install, notify_cli

KEY, ADDRESS, BEFORE = "zoë-77", "Zoe.Canary@example.org", "old.canary@example.org"
CANARIES = ("zoë-77", "zoe.canary", "old.canary", "quokka", "brittlebush", "wombat")
ZOE = {
    "key": KEY,
    "email": ADDRESS,
    "name": "Zoë Quokka",
    "locale": "nl",
    "attributes": {"plant": "brittlebush"},
    "tags": ["wombat"],
}


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
    make_kind(templates)
    make_kind(templates, "broken", html="<html lang='en'><body>{{ recipient.nothing.at_all }}</body></html>")


@pytest.fixture
def person(app: App, mailbox: Mailbox) -> UUID:
    """Somebody of whom every table that can tell of a person does."""
    notify.send_many("hello", [{**ZOE, "email": BEFORE}], {"word": "quokka"}, key=f"hello-{KEY}")
    drain(app)
    kept = notify.send("hello", ZOE, {"word": "brittlebush"}, attachments=[notify.Attachment("quokka.txt", b"wombat")])
    notify.send("broken", ZOE, {"word": "wombat"})
    notify.send_many("hello", [{**ZOE, "data": {"word": "quokka"}}, {"key": "eve", "email": "eve@example.org"}])
    notify.send_many("hello", notify.everyone(tags=["wombat"]))
    fan_out.run(app)
    drain(app)
    notify.suppressions.add(ADDRESS, reason="unsubscribed", note="Zoë Quokka rang")
    notify.suppressions.add(BEFORE, reason="bounced")
    now, posted = app.clock.now(), uuid7()
    common = {"tenant_id": DEFAULT_ID, "at": now}
    with app.store.begin() as connection:
        id_ = connection.scalar(sa.select(tables.recipients.c.id).where(tables.recipients.c.key == KEY))
        message = connection.scalar(sa.select(tables.messages.c.id).where(tables.messages.c.notification_id == kept.id))
        assert id_ is not None
        assert message is not None
        connection.execute(sa.update(tables.dead_letters).values(detail="'quokka' has no such attribute"))
        kept_mails.keep(
            connection, [KeptMail(message, DEFAULT_ID, "us", "quokka", "v", now, b"To: " + ADDRESS.encode())]
        )
        rows: list[tuple[sa.Table, dict[str, Any]]] = [
            (
                tables.recipient_changes,
                {"recipient_id": id_, "actor": "ada", "source": "web", "changes": {"email": [BEFORE, ADDRESS]}},
            ),
            (
                tables.consents,
                {
                    "recipient_id": id_,
                    "number": 1,
                    "category": "news",
                    "action": "granted",
                    "source": "form",
                    "wording": "Yes",
                    "proof": {"ip": "192.0.2.1", "name": "Quokka"},
                    "proof_digest": "d",
                    "previous": "0",
                    "digest": "1",
                },
            ),
            *(
                (
                    tables.events,
                    {
                        **named,
                        "type": "bounced",
                        "provider": "ses",
                        "provider_event_id": str(number),
                        "address": ADDRESS,
                        "diagnostic": f"550 {ADDRESS} unknown",
                        "detail": {"to": ADDRESS, "payload": str(posted)},
                        "received_at": now,
                    },
                )
                for number, named in enumerate(({"recipient_id": id_}, {"message_id": message}, {"bot": True}))
            ),
            (
                tables.consequences,
                {
                    **{"event_id": uuid7(), "message_id": message, "recipient_id": id_, "channel": "email"},
                    **{"address": ADDRESS, "effect": "suppressed", "scope": "all", "detail": f"of {ADDRESS}"},
                },
            ),
            (tables.soft_bounces, {"channel": "email", "address": ADDRESS.casefold(), "score": 1.5}),
            (
                tables.conversions,
                {
                    **{"recipient_id": id_, "name": "quokka", "key": f"order of {KEY}"},
                    **{"clicked_since": now, "recorded_at": now},
                },
            ),
            (
                tables.audit,
                {"actor": f"recipient:{KEY}", "action": "recipients.set", "subject": KEY, "detail": {"name": "quokka"}},
            ),
            (
                tables.audit,
                {"actor": "ada", "action": "x", "subject": "y", "detail": {"to": [KEY, f"<{ADDRESS}>"], KEY: "7"}},
            ),
        ]
        for table, row in rows:
            connection.execute(sa.insert(table), {"id": uuid7(), **common, **row})
        for number, named in enumerate(({"recipient_id": id_}, {"message_id": message}, {})):
            connection.execute(sa.insert(tables.incoming_mails), _mail(number, received_at=now, **named))
        target = Target(uuid7(), DEFAULT_ID, id_, f"https://example.org/{ADDRESS}")
        tracked_links.store(connection, [target], now)
        payload = {"id": posted, "tenant_id": DEFAULT_ID, "provider": "ses", "payload_id": "1", "state": "processed"}
        posting = {"headers": {}, "body": b"of " + ADDRESS.encode(), "received_at": now}
        connection.execute(sa.insert(tables.hook_payloads), {**payload, **posting})
    assert isinstance(id_, UUID)
    return id_


def _mail(number: int, **named: Any) -> dict[str, Any]:
    """A mail of hers that came back, or a report of nobody's message that names her."""
    row = {"id": uuid7(), "tenant_id": DEFAULT_ID, "mailbox": "box", "digest": str(number), "size": 1}
    said = {"sender": f"Zoë <{ADDRESS}>", "subject": "quokka", "header_id": f"<{ADDRESS}>", "text": "wombat"}
    report = {"recipients": [{"address": ADDRESS, "verdict": "hard"}]}
    body = b"To: " + ADDRESS.encode()
    return {**row, "kind": "bounce", "state": "unmatched", **said, "report": report, "body": body, **named}


def everything(app: App) -> Iterator[tuple[str, str, str]]:
    """Every value of every row of every table, as text that hides nothing."""
    with app.store.read() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(sa.select(table)):
                for column, value in row._mapping.items():
                    text = _text(
                        zlib.decompress(value) if column == "content" and table is tables.kept_mails else value
                    )
                    yield table.name, column, text


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def telling(app: App) -> set[tuple[str, str]]:
    """Tables and columns in which something tells of the person."""
    return {
        (table, column)
        for table, column, text in everything(app)
        if any(canary in text.casefold() for canary in CANARIES)
    }


def test_every_table_tells_of_somebody_or_of_nobody() -> None:
    theirs = {table.name for table in persons.THEIRS}
    assert not theirs & set(persons.NOBODYS)
    assert theirs | set(persons.NOBODYS) == set(metadata.tables)


def test_the_person_of_these_tests_is_known_to_every_table_that_can_tell_of_one(app: App, person: UUID) -> None:
    told = {table for table, _ in telling(app)}
    assert told == {table.name for table in persons.THEIRS} | {"fan_outs", "hook_payloads"}


def test_after_an_erasure_no_table_tells_of_the_person(app: App, person: UUID) -> None:
    erased = notify.privacy.erase(KEY, "asked by mail", actor="ada")
    assert telling(app) == {("fan_outs", "tags")}, "which the application chose, of many people"
    assert erased.id == person
    assert erased.tombstones == 2
    assert erased.audit_rows >= 4


def test_an_erasure_leaves_others_alone(app: App, person: UUID) -> None:
    with app.store.read() as connection:
        eve = persons.find(connection, DEFAULT_ID, "eve")
        assert eve is not None
        before = [(table, row) for table, row in persons.rows(connection, eve, ()) if table != "notifications"]
    notify.privacy.erase(KEY, "asked")
    with app.store.read() as connection:
        after = [(table, row) for table, row in persons.rows(connection, eve, ()) if table != "notifications"]
    assert after == before


def test_counts_and_an_anonymous_trail_stay(app: App, person: UUID) -> None:
    def counted() -> dict[str, int]:
        with app.store.read() as connection:
            return {
                table.name: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
                for table in (tables.messages, tables.attempts, tables.events, tables.consents, tables.suppressions)
            }

    before = counted()
    notify.privacy.erase(KEY, "asked by mail", actor="ada")
    assert counted() == before
    with app.store.read() as connection:
        last = connection.execute(sa.select(tables.audit).order_by(tables.audit.c.id.desc()).limit(1)).one()
        actors = set(connection.scalars(sa.select(tables.audit.c.actor)))
        history = connection.execute(
            sa.select(tables.recipient_changes).where(tables.recipient_changes.c.recipient_id == person)
        ).one()
        consent = connection.execute(sa.select(tables.consents)).one()
    assert (last.actor, last.action, last.subject) == ("ada", "recipients.erase", f"erased:{person}")
    assert f"recipient:erased:{person}" in actors
    assert (history.actor, history.reason) == ("ada", "asked by mail")
    assert (consent.proof, consent.proof_digest, consent.digest) == (None, "d", "1")


def test_what_an_erased_person_refused_stays_refused(app: App, person: UUID) -> None:
    notify.privacy.erase(KEY, "asked")
    [kept] = suppressing.show(app, ADDRESS).suppressions
    assert (kept.tombstone, kept.suppression.reason, kept.suppression.note) == (True, "unsubscribed", None)
    assert notify.send("hello", ZOE).messages == {"skipped": 1}


def test_nothing_goes_out_after_an_erasure(app: App, mailbox: Mailbox) -> None:
    sent = notify.send("hello", ZOE)
    assert notify.privacy.erase(KEY, "asked").cancelled == 1
    drain(app)
    assert mailbox.count == 0
    [message] = states_of(app, sent.id)
    assert message == ("cancelled", "erased", None)
    with pytest.raises(InvalidRecipient, match="no recipient"):
        notify.send("hello", KEY)


def states_of(app: App, notification_id: UUID) -> list[tuple[Any, ...]]:
    row = tables.messages.c
    with app.store.read() as connection:
        chosen = sa.select(row.state, row.reason, row.address).where(row.notification_id == notification_id)
        return [tuple(one) for one in connection.execute(chosen)]


def test_an_erasure_waits_for_the_worker_that_has_a_message_in_hand(
    app: App, mailbox: Mailbox, make_app: Callable[..., App]
) -> None:
    """The worker hangs while it renders; the erasure begins meanwhile, and leaves nothing of what was sent."""
    worker = make_app(app.settings, failpoints=f"render[{KEY}]=hang:1.5@1")
    sent = notify.send("hello", ZOE, {"word": "quokka"})
    began = threading.Event()

    def work() -> None:
        began.set()
        drain(worker)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        began.wait(30)
        while states_of(app, sent.id)[0][0] == "queued":
            began.wait(0.01)
        erased = notify.privacy.erase(KEY, "asked")
        done.result(60)
    assert (erased.cancelled, mailbox.count) == (0, 1)
    assert states_of(app, sent.id) == [("sent", None, None)]
    assert telling(app) == set()


def test_a_message_that_stays_in_hand_keeps_the_erasure_from_beginning(
    app: App, monkeypatch: pytest.MonkeyPatch, make_app: Callable[..., App]
) -> None:
    hasty = make_app(app.settings, lease_seconds=1.0)
    held, waiting = notify.send("hello", ZOE), notify.send("hello", ZOE)
    with app.store.begin() as connection:
        chosen = tables.messages.c.notification_id == held.id
        connection.execute(sa.update(tables.messages).where(chosen).values(state="sending"))
    with using(hasty), pytest.raises(StillSending, match="in a worker's hands"):
        notify.privacy.erase(KEY, "asked")
    assert states_of(app, waiting.id)[0][0] == "cancelled"
    assert ("recipients", "key") in telling(app)


def test_what_slipped_in_meanwhile_is_taken_out_by_the_next_tick(app: App, person: UUID) -> None:
    notify.privacy.erase(KEY, "asked")
    with app.store.begin() as connection:
        theirs = tables.messages.c.recipient_id == person
        connection.execute(sa.update(tables.messages).where(theirs).values(address=ADDRESS, state="queued"))
        connection.execute(sa.update(tables.attempts).values(subject="quokka"))
    assert erasure.mop_up(app) == 1
    assert ("messages", "address") not in telling(app)
    with app.store.read() as connection:
        waiting = connection.scalar(
            sa.select(sa.func.count()).select_from(tables.messages).where(theirs, tables.messages.c.state == "queued")
        )
    assert waiting == 0


def test_nobody_unknown_is_erased(app: App) -> None:
    with pytest.raises(NotFound, match="no recipient 'nobody'"):
        notify.privacy.erase("nobody", "asked")


def test_an_export_holds_a_row_of_every_table_that_tells_of_the_person(app: App, person: UUID) -> None:
    told = notify.privacy.export_person(KEY)
    text = json.dumps(told, ensure_ascii=False).casefold()
    assert set(told["tables"]) == {table.name for table in persons.THEIRS}
    for canary in CANARIES:
        assert canary in text
    [mail] = told["tables"]["kept_mails"]
    assert base64.b64decode(mail["content"]) == b"To: " + ADDRESS.encode()
    assert {row["address"] for row in told["tables"]["suppressions"]} == {ADDRESS.casefold(), BEFORE}
    with app.store.read() as connection:
        for table, rows in told["tables"].items():
            everyone = {str(row[0]) for row in connection.execute(sa.select(metadata.tables[table]))}
            assert {str(next(iter(row.values()))) for row in rows} <= everyone
    assert "eve@example.org" not in text


def test_the_commands_export_and_erase(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str) -> None:
    install(monkeypatch, tmp_path, redis_url=redis_url, templates_dir=tmp_path / "templates")
    notify_cli("db", "upgrade")
    notify_cli("send", "hello", "--to", json.dumps(ZOE))
    assert notify_cli("recipients", "export-person", KEY).json["key"] == KEY
    assert "Wrote" in notify_cli("recipients", "export-person", KEY, "--file", "zoe.json").out
    assert json.loads(Path("zoe.json").read_text())["tables"]["addresses"][0]["value"] == ADDRESS
    assert Path("zoe.json").stat().st_mode & 0o777 == 0o600
    assert notify_cli("recipients", "erase", KEY).code == 3
    assert notify_cli("recipients", "erase", KEY, "--reason", "asked", given="n\n").code == 130
    ran = notify_cli("recipients", "erase", KEY, "--reason", "asked", "--yes")
    assert (ran.code, "Erased." in ran.out) == (0, True)
    assert notify_cli("recipients", "erase", KEY, "--reason", "asked", "--yes").code == 1
