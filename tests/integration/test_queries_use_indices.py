"""No hot query reads a whole table: the statements that the code really sends are put before the planner."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import (
    Author,
    Batch,
    Channel,
    Death,
    ErrorClass,
    Event,
    EventType,
    FanOut,
    Filter,
    Lane,
    MessageState,
    Mode,
    Notification,
    Replay,
    ReplayState,
    Source,
)
from notify.store import (
    Store,
    attempts,
    batches,
    dead_letters,
    fan_out_slices,
    fan_outs,
    kept_mails,
    messages,
    notifications,
    open_store,
    owners,
    profiles,
    recipient_history,
    recipient_overrides,
    recipients,
    replays,
    schema,
    suppressions,
    tables,
    tallies,
    waiting,
    work,
)
from notify.store.fan_out_slices import Share, Terms
from notify.store.fan_outs import Slice
from notify.store.profiles import Wanted
from notify.store.recipients import Change
from notify.store.tenants import DEFAULT_ID

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PAST, FUTURE = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
BATCHES, PER_BATCH = 2000, 10
COUNT = BATCHES * PER_BATCH
SUPPRESSED = 3 * COUNT  # these only ever grow
WAITING = 20  # batches that are under way, of all that ever were
DEAD = 2000
LARGE = {
    "dead_letters",
    "kept_mails",
    "messages",
    "batches",
    "recipients",
    "addresses",
    "suppressions",
    "attempts",
    "notifications",
}

Captured = list[tuple[str, Any]]


@dataclass(frozen=True)
class Filled:
    """A store after some weeks of work, and one row of each table to ask for."""

    store: Store
    batch: Batch
    message: UUID
    notification: UUID

    @property
    def fan_out(self) -> FanOut:
        """One that has come some way."""
        notification = Notification(self.notification, DEFAULT_ID, "hello", Mode.LIVE, NOW)
        return FanOut(notification, (Channel.EMAIL,), (), None, cursor="user-2", recipients=0, messages=0)

    @property
    def death(self) -> Death:
        """Of a message."""
        return Death(DEFAULT_ID, self.message, ErrorClass.REJECTED, "x", None, NOW)

    @property
    def replay(self) -> Replay:
        """One that has come some way."""
        with self.store.read() as connection:
            middle, last = (
                connection.scalar(
                    sa.select(tables.dead_letters.c.id).order_by(tables.dead_letters.c.id).offset(place).limit(1)
                )
                for place in (DEAD // 2, DEAD - 1)
            )
        assert middle is not None
        assert last is not None
        return Replay(
            id=uuid7(),
            tenant_id=DEFAULT_ID,
            actor="test",
            filter=Filter(),
            as_was=False,
            possibly_sent=False,
            state=ReplayState.RUNNING,
            cursor=middle,
            up_to=last,
            total=DEAD,
            replayed=0,
            passed_over={},
            created_at=NOW,
            updated_at=NOW,
        )


def fill(store: Store) -> Filled:
    """Most work is done, a little is under way: what a day's database looks like."""
    ids = {name: [uuid7() for _ in range(COUNT)] for name in ("messages", "recipients", "notifications")}
    made = [uuid7() for _ in range(BATCHES)]
    common = {"tenant_id": DEFAULT_ID, "created_at": NOW}
    email = {**common, "channel": Channel.EMAIL}
    with store.begin() as connection:

        def put(table: sa.Table, rows: Iterator[dict[str, Any]]) -> None:
            connection.execute(sa.insert(table), list(rows))

        put(tables.recipients, (_recipient(common, one, number) for number, one in enumerate(ids["recipients"])))
        put(tables.addresses, (_address(email, one, number) for number, one in enumerate(ids["recipients"])))
        put(tables.suppressions, (_suppression(email, number) for number in range(SUPPRESSED)))
        put(
            tables.notifications,
            (_notification(common, one, number) for number, one in enumerate(ids["notifications"])),
        )
        put(tables.attachments, (_attachment(one) for one in ids["notifications"]))
        put(tables.batches, (_batch(email, one, number) for number, one in enumerate(made)))
        put(
            tables.messages,
            (
                {
                    **email,
                    "id": ids["messages"][number],
                    "notification_id": ids["notifications"][number],
                    "recipient_id": ids["recipients"][number],
                    "batch_id": made[number // PER_BATCH],
                    "state": MessageState.QUEUED if number < WAITING * PER_BATCH else MessageState.SENT,
                    "attempts": 0,
                    "due_at": PAST,
                    "updated_at": NOW,
                }
                for number in range(COUNT)
            ),
        )
        put(tables.attempts, (_attempt(one) for one in ids["messages"]))
        put(tables.dead_letters, (_dead_letter(one) for one in ids["messages"][-DEAD:]))
        put(tables.kept_mails, (_kept_mail(one) for one in ids["messages"][-DEAD:]))
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    batch = Batch(made[3], DEFAULT_ID, Channel.EMAIL, Lane.NORMAL, PAST, epoch=1)
    return Filled(store, batch, ids["messages"][77], ids["notifications"][77])


def _recipient(common: dict[str, Any], one: UUID, number: int) -> dict[str, Any]:
    return {**common, "id": one, "key": f"user-{number}", "attributes": {}, "tags": [], "updated_at": NOW}


def _address(email: dict[str, Any], one: UUID, number: int) -> dict[str, Any]:
    value = f"user-{number}@example.org"
    return {**email, "id": uuid7(), "recipient_id": one, "value": value, "folded": value, "verified": False}


def _dead_letter(message: UUID) -> dict[str, Any]:
    words = {"kind": "hello", "channel": "email", "error": "rejected", "reason": "x", "fingerprint": message.hex[-4:]}
    return {"id": uuid7(), "tenant_id": DEFAULT_ID, "message_id": message, **words, "died_at": NOW}


def _kept_mail(message: UUID) -> dict[str, Any]:
    words = {"sender": "a@example.org", "subject": "x", "template_version": "x", "content": bytes(1000)}
    return {"message_id": message, "tenant_id": DEFAULT_ID, "rendered_at": NOW, **words}


def _suppression(email: dict[str, Any], number: int) -> dict[str, Any]:
    address = f"user-{number}@example.org"
    return {**email, "id": uuid7(), "address": address, "scope": "all", "reason": "bounced", "source": "feedback"}


def _notification(common: dict[str, Any], one: UUID, number: int) -> dict[str, Any]:
    known = {"kind": "hello", "mode": "live", "request_hash": "-", "data": {}}
    return {**common, **known, "id": one, "idempotency_key": f"key-{number}"}


def _attachment(notification: UUID) -> dict[str, Any]:
    file = {"position": 0, "name": "a.txt", "content_type": "text/plain", "content": b"a"}
    return {**file, "id": uuid7(), "tenant_id": DEFAULT_ID, "notification_id": notification}


def _batch(email: dict[str, Any], one: UUID, number: int) -> dict[str, Any]:
    state = "done" if number >= WAITING else "leased" if number % 2 else "ready"
    lease = {"state": state, "epoch": 1, "lease_until": PAST if state == "leased" else None}
    return {**email, **lease, "id": one, "lane": Lane.NORMAL, "size": PER_BATCH, "due_at": PAST, "published_at": None}


def _attempt(message: UUID) -> dict[str, Any]:
    known = {"tenant_id": DEFAULT_ID, "number": 1, "epoch": 1, "outcome": "accepted", "at": NOW}
    return {**known, "id": uuid7(), "message_id": message}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """One filled database of each kind for the whole module: every question to it is rolled back."""
    if request.param == "sqlite":
        store = open_store(f"sqlite:///{tmp_path_factory.mktemp('indices') / 'notify.db'}")
        schema.upgrade(store)
        yield fill(store)
        store.close()
        return
    server = open_store(request.getfixturevalue("postgresql_server"))
    name = f"notify_indices_{uuid7().hex}"
    with server.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        store = open_store(server.engine.url.set(database=name).render_as_string(hide_password=False))
        schema.upgrade(store)
        yield fill(store)
        store.close()
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    server.close()


@contextmanager
def captured(store: Store) -> Iterator[Captured]:
    """The statements that are sent inside the block, with their parameters."""
    sent: Captured = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if re.match(r"\s*(SELECT|UPDATE|DELETE|WITH)\b", statement):
            sent.append((statement, parameters[0] if many else parameters))

    sa.event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(store.engine, "before_cursor_execute", note)


def plans(store: Store, ask: Callable[[sa.Connection], object]) -> list[tuple[str, list[str]]]:
    """For each statement that `ask` sends: its text, and the large tables that the planner would read as a whole."""
    with store.engine.connect() as connection:
        with captured(store) as sent:
            ask(connection)
        explained = [(statement, _whole(connection, statement, parameters)) for statement, parameters in sent]
        connection.rollback()
    assert explained, "nothing was asked"
    return explained


def _whole(connection: sa.Connection, statement: str, parameters: Any) -> list[str]:
    if connection.dialect.name == "sqlite":
        lines = [str(row[-1]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        scans = [match[1] for line in lines if (match := re.match(r"SCAN (\w+)(?! USING)", line))]
        return [table for table in scans if table in LARGE]
    found = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    plan = found if isinstance(found, list) else json.loads(found)
    whole = [node["Relation Name"] for node in _nodes(plan[0]["Plan"]) if node["Node Type"] == "Seq Scan"]
    return [table for table in whole if table != "tenants"]  # there are few of them


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


KEYS = [f"user-{number}" for number in range(0, COUNT, COUNT // 500)][:500]
ADDRESSES = [f"{key}@example.org" for key in KEYS]

MOVING = [Change(key, addresses={Channel.EMAIL: f"{key}@example.net"}) for key in KEYS]
BY = Author("test", Source.SEND)
BOUNCED = Event(EventType.BOUNCED, NOW, "mail", "x", address="USER-77@example.org")
BY_ADDRESS = Wanted(address="USER-77@example.org")

SLICE = Slice("user-205", 500, last=False)
TERMS = Terms(Channel.EMAIL, Lane.BULK, 500, [Share(NOW)], NOW)
BY_ZONE = replace(TERMS, shares=[Share(NOW, zones=("",)), Share(FUTURE, "quiet", "by rule", ("Asia/Tokyo",))])

HOT: dict[str, Callable[[Filled, sa.Connection], object]] = {
    "batches.claim": lambda on, c: batches.claim(c, on.batch.id, worker="w", now=NOW, due_by=NOW, lease_until=FUTURE),
    "batches.renew": lambda on, c: batches.renew(c, on.batch, FUTURE),
    "batches.finish": lambda on, c: batches.finish(c, on.batch, NOW),
    "batches.due": lambda on, c: batches.due(c, NOW, unclaimed_since=PAST, limit=500),
    "batches.oldest_due": lambda on, c: batches.oldest_due(c),
    "batches.overdue": lambda on, c: batches.overdue(c, NOW, limit=10),
    "batches.unattended": lambda on, c: batches.unattended(c, NOW),
    "work.half_way": lambda on, c: work.half_way(c, on.batch),
    "work.take": lambda on, c: work.take(c, on.batch, due_by=NOW, at=NOW),
    "work.release": lambda on, c: work.release(c, on.batch, NOW),
    "work.rebatch": lambda on, c: work.rebatch(c, on.batch, NOW),
    "work.overdue": lambda on, c: work.overdue(c, on.batch, NOW),
    "work.note_deadlines": lambda on, c: work.note_deadlines(c, [on.batch]),
    "batches.bring_forward": lambda on, c: batches.bring_forward(c, "provider_paused", PAST),
    "messages.move": lambda on, c: messages.move(c, [on.message], MessageState.SENT, MessageState.DELIVERED, at=NOW),
    "messages.cancel": lambda on, c: messages.cancel(c, on.notification, NOW),
    "messages.unwritten": lambda on, c: messages.unwritten(c, on.fan_out.notification, Channel.EMAIL, KEYS),
    "messages.find": lambda on, c: messages.find(c, on.message),
    "attempts.of_message": lambda on, c: attempts.of_message(c, on.message),
    "notifications.request_hash_of": lambda on, c: notifications.request_hash_of(c, DEFAULT_ID, "key-7"),
    "notifications.find by key": lambda on, c: notifications.find(c, DEFAULT_ID, "key-7"),
    "notifications.find by id": lambda on, c: notifications.find(c, DEFAULT_ID, on.notification),
    "tallies.put_off": lambda on, c: tallies.put_off(c),
    "waiting.retries": lambda on, c: waiting.retries(c, DEFAULT_ID, Filter(), limit=500, lock=True),
    "waiting.count_retries": lambda on, c: waiting.count_retries(c, DEFAULT_ID, Filter(kind="hello")),
    "dead_letters.bury": lambda on, c: dead_letters.bury(c, [on.death]),
    "dead_letters.listing": lambda on, c: dead_letters.listing(c, DEFAULT_ID, Filter(), after=on.message),
    "replays.candidates": lambda on, c: replays.candidates(c, on.replay, 100),
    "replays.any_left": lambda on, c: replays.any_left(c, on.replay),
    "kept_mails.forget_settled": lambda on, c: kept_mails.forget_settled(c, on.batch.id),
    "fan_outs.cut": lambda on, c: fan_outs.cut(c, on.fan_out, 500),
    "fan_out_slices.write": lambda on, c: fan_out_slices.write(c, on.fan_out, SLICE, TERMS),
    "fan_out_slices.write by zone": lambda on, c: fan_out_slices.write(c, on.fan_out, SLICE, BY_ZONE),
    "fan_out_slices.zones": lambda on, c: fan_out_slices.zones(c, on.fan_out, SLICE),
    "notifications.with_cancellation_key": lambda on, c: notifications.with_cancellation_key(c, DEFAULT_ID, "key-7"),
    "fan_out_slices.everyone": lambda on, c: fan_out_slices.everyone(c, on.fan_out, SLICE, Channel.EMAIL),
    "recipients.by_keys": lambda on, c: recipients.by_keys(c, DEFAULT_ID, KEYS),
    "recipients.ids_by_key": lambda on, c: recipients.ids_by_key(c, DEFAULT_ID, KEYS),
    "recipient_overrides.of": lambda on, c: recipient_overrides.of(c, DEFAULT_ID, KEYS),
    "recipients.apply": lambda on, c: recipients.apply(c, DEFAULT_ID, MOVING, NOW, by=BY),
    "profiles.one": lambda on, c: profiles.one(c, DEFAULT_ID, "user-77"),
    "profiles.page": lambda on, c: profiles.page(c, DEFAULT_ID, Wanted(), after="user-77", limit=100),
    "profiles.page by address": lambda on, c: profiles.page(c, DEFAULT_ID, BY_ADDRESS, after=None, limit=100),
    "profiles.count by address": lambda on, c: profiles.count(c, DEFAULT_ID, BY_ADDRESS),
    "recipient_history.read": lambda on, c: recipient_history.read(c, on.message, limit=100),
    "owners.by_address": lambda on, c: owners.by_address(c, BOUNCED, NOW),
    "suppressions.of_addresses": lambda on, c: suppressions.of_addresses(c, DEFAULT_ID, Channel.EMAIL, ADDRESSES, ()),
}


@pytest.mark.parametrize("question", HOT)
def test_a_hot_query_reads_no_whole_table(filled: Filled, question: str) -> None:
    asked = plans(filled.store, lambda connection: HOT[question](filled, connection))
    assert [(statement, tables) for statement, tables in asked if tables] == []


def test_this_test_would_notice_a_whole_table_being_read(filled: Filled) -> None:
    unindexed = sa.select(tables.messages.c.id).where(tables.messages.c.reason == "x")
    assert [whole for _, whole in plans(filled.store, lambda c: c.execute(unindexed).all())] == [["messages"]]


def test_the_questions_found_what_they_asked_for(filled: Filled) -> None:
    """A plan for no rows proves nothing."""
    with filled.store.engine.connect() as connection:
        assert len(recipients.by_keys(connection, DEFAULT_ID, KEYS)) == 500
        assert len(suppressions.of_addresses(connection, DEFAULT_ID, Channel.EMAIL, ADDRESSES, ())) == 500
        assert len(batches.due(connection, NOW, unclaimed_since=PAST, limit=500)) == WAITING
        assert len(work.take(connection, filled.batch, due_by=NOW, at=NOW)) == PER_BATCH
        assert len(attempts.of_message(connection, filled.message)) == 1
        assert batches.oldest_due(connection) == PAST
        connection.rollback()
