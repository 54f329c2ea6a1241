"""What the database itself refuses: words that are no states, channels or outcomes; times without a zone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from notify.model import (
    AlertState,
    BatchState,
    BounceClass,
    Channel,
    ConsentAction,
    Effect,
    EventType,
    FanOutState,
    HoldScope,
    HookState,
    IncomingKind,
    IncomingState,
    Lane,
    Measure,
    MessageState,
    Mode,
    Outcome,
    ReplayState,
)
from notify.store import Store, open_store
from notify.store.tables import UtcDateTime, batches, metadata, recipient_changes

NOW = datetime(2026, 3, 29, 0, 59, 59, 123456, tzinfo=UTC)  # a second before the clocks in Europe go forward
WORDS: Mapping[str, tuple[str, ...]] = {
    "alerts.state": tuple(AlertState),
    "addresses.channel": tuple(Channel),
    "attempts.outcome": tuple(Outcome),
    "batches.channel": tuple(Channel),
    "batches.lane": tuple(Lane),
    "batches.state": tuple(BatchState),
    "consents.action": tuple(ConsentAction),
    "consequences.channel": tuple(Channel),
    "consequences.effect": tuple(Effect),
    "events.bounce": tuple(BounceClass),
    "events.type": tuple(EventType),
    "fan_outs.state": tuple(FanOutState),
    "guard_holds.measure": tuple(Measure),
    "guard_holds.scope": tuple(HoldScope),
    "hook_payloads.state": tuple(HookState),
    "incoming_mails.kind": tuple(IncomingKind),
    "incoming_mails.state": tuple(IncomingState),
    "messages.channel": tuple(Channel),
    "messages.state": tuple(MessageState),
    "notifications.mode": tuple(Mode),
    "replays.state": tuple(ReplayState),
    "soft_bounces.channel": tuple(Channel),
    "suppressions.channel": tuple(Channel),
}


IMPLIED = {"tenant_id": "tenants", "notification_id": "notifications", "batch_id": "batches", "message_id": "messages"}
"""What a column refers to also where no foreign key says so."""


def populate(connection: sa.Connection, tables: sa.MetaData) -> dict[str, Mapping[str, Any]]:
    """Put one row in every table, those first that others refer to; returns the rows by table.

    Nothing is known of the tables but what the database tells: it serves for the schema of any revision.
    """
    rows: dict[str, Mapping[str, Any]] = {}
    ids = {table.name: uuid4() for table in tables.sorted_tables}
    for table in tables.sorted_tables:
        allowed = _first_words(connection, table)
        row = {column.name: _value(column, allowed, rows, ids) for column in table.columns}
        connection.execute(sa.insert(table), row)
        rows[table.name] = row
    return rows


def _first_words(connection: sa.Connection, table: sa.Table) -> dict[str, str]:
    checks = [str(check["sqltext"]) for check in sa.inspect(connection).get_check_constraints(table.name)]
    return {match[1]: match[2] for text in checks if (match := re.search(r"(\w+)\)? .*?'(\w+)'", text))}


def _value(
    column: sa.Column[Any],
    allowed: Mapping[str, str],
    rows: Mapping[str, Mapping[str, Any]],
    ids: Mapping[str, UUID],
) -> Any:
    for key in column.foreign_keys:
        return rows[key.column.table.name][key.column.name]
    kind = getattr(column.type, "impl", column.type)
    if column.name in allowed:
        return allowed[column.name]
    named = ids[column.table.name if column.name == "id" else IMPLIED.get(column.name, column.table.name)]
    if isinstance(kind, sa.Uuid):
        return named
    if isinstance(kind, sa.CHAR) and kind.length == 32:
        return named.hex  # how SQLite tells of a UUID
    values: dict[type, Any] = {bool: True, int: 7, float: 0.5, bytes: b"\x00\xff", datetime: NOW, dict: {"a": [1, "ž"]}}
    return values.get(kind.python_type, f"{column.name} ž")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store(database_url)
    yield opened
    opened.close()


@pytest.fixture
def populated(store: Store) -> Store:
    """A store with a row in every table."""
    with store.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.delete(table))
        populate(connection, metadata)
    return store


def test_every_column_of_words_is_known_to_this_test() -> None:
    checked = {
        f"{table.name}.{str(check.name).removeprefix(f'{table.name}_').removesuffix('_check')}"
        for table in metadata.sorted_tables
        for check in table.constraints
        if isinstance(check, sa.CheckConstraint)
    }
    assert checked == set(WORDS)


@pytest.mark.parametrize("column", WORDS)
def test_a_column_of_words_takes_each_word_of_its_enum_and_no_other(populated: Store, column: str) -> None:
    table, name = column.split(".")
    statement = sa.update(metadata.tables[table])
    with populated.begin() as connection:
        for word in WORDS[column]:
            assert connection.execute(statement.values({name: word})).rowcount == 1
    for wrong in ("nonsense", "", WORDS[column][0].upper()):
        with pytest.raises(sa.exc.IntegrityError, match=f"{table}_{name}_check"), populated.begin() as connection:
            connection.execute(statement.values({name: wrong}))


OWNED = [table for table in metadata.sorted_tables if table.name != "tenants"]


@pytest.mark.parametrize("table", [table for table in OWNED if table.name not in ("messages", "attempts")], ids=str)
def test_every_row_belongs_to_a_tenant_that_exists(populated: Store, table: sa.Table) -> None:
    with pytest.raises(sa.exc.IntegrityError), populated.begin() as connection:
        connection.execute(sa.update(table).values(tenant_id=uuid4()))


@pytest.mark.parametrize("table", OWNED, ids=str)
def test_every_row_names_its_tenant(populated: Store, table: sa.Table) -> None:
    with pytest.raises(sa.exc.IntegrityError), populated.begin() as connection:
        connection.execute(sa.update(table).values(tenant_id=None))


def test_no_recipient_of_a_message_can_be_deleted(populated: Store) -> None:
    """Its message would wait for ever: what is sent is loaded together with whom it goes to."""
    with pytest.raises(sa.exc.IntegrityError), populated.begin() as connection:
        connection.execute(sa.delete(metadata.tables["recipients"]))


def test_a_message_of_one_notification_recipient_and_channel_exists_once(populated: Store) -> None:
    messages = metadata.tables["messages"]
    with populated.read() as connection:
        row = connection.execute(sa.select(messages)).mappings().one()
    with pytest.raises(sa.exc.IntegrityError), populated.begin() as connection:
        connection.execute(sa.insert(messages), {**row, "id": uuid4()})


def test_an_idempotency_key_is_taken_once_per_tenant(populated: Store) -> None:
    notifications, tenants = metadata.tables["notifications"], metadata.tables["tenants"]
    with populated.begin() as connection:
        row = connection.execute(sa.select(notifications)).mappings().one()
        other = {"id": uuid4(), "key": "other", "created_at": NOW}
        connection.execute(sa.insert(tenants), other)
        connection.execute(sa.insert(notifications), {**row, "id": uuid4(), "tenant_id": other["id"]})
        for _ in range(2):
            connection.execute(sa.insert(notifications), {**row, "id": uuid4(), "idempotency_key": None})
    with pytest.raises(sa.exc.IntegrityError), populated.begin() as connection:
        connection.execute(sa.insert(notifications), {**row, "id": uuid4()})


# times


def test_a_time_without_a_zone_is_refused(populated: Store) -> None:
    with pytest.raises(sa.exc.StatementError, match="naive datetime"), populated.begin() as connection:
        connection.execute(sa.update(batches).values(due_at=datetime(2026, 1, 1)))


def test_a_time_without_a_zone_is_refused_in_a_question_too(populated: Store) -> None:
    with pytest.raises(sa.exc.StatementError, match="naive datetime"), populated.read() as connection:
        connection.execute(sa.select(batches.c.id).where(batches.c.due_at < datetime(2026, 1, 1)))


@pytest.mark.parametrize(
    "zone", [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-9))], ids=str
)
def test_a_time_comes_back_as_the_same_moment_in_utc(populated: Store, zone: timezone) -> None:
    with populated.begin() as connection:
        connection.execute(sa.update(recipient_changes).values(at=NOW.astimezone(zone)))
        found = connection.scalar(sa.select(recipient_changes.c.at))
        asked = connection.scalar(sa.select(sa.func.count()).where(recipient_changes.c.at == NOW.astimezone(zone)))
    assert found == NOW
    assert found is not None
    assert found.tzinfo is UTC
    assert asked == 1


def test_no_time_is_no_time(populated: Store) -> None:
    with populated.begin() as connection:
        connection.execute(sa.update(batches).values(finished_at=None))
        assert connection.scalar(sa.select(batches.c.finished_at)) is None


def test_every_time_in_the_tables_is_of_the_kind_that_refuses_naive_ones() -> None:
    plain = [
        str(column)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, sa.DateTime) and not isinstance(column.type, UtcDateTime)
    ]
    assert plain == []
