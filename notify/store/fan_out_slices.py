"""Messages for a slice of the roster, written by the database itself: one statement for each slice and channel.

Only for recipients about whom there is nothing to decide one by one. All others are named, to be asked about.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import uuid_utils
from sqlalchemy.dialects.postgresql import ARRAY
from uuid_utils.compat import uuid7

from notify.model import Batch, Channel, FanOut, Lane
from notify.store.engine import any_of
from notify.store.fan_outs import Slice
from notify.store.tables import UtcDateTime, messages

# Addresses and suppressions are looked up one by one, by their unique indices: for a join the planner would read both
# tables as a whole, for every slice again.
PART = """
    SELECT r.id, r.key, a.value,
           a.value IS NULL OR (
               SELECT 1 FROM suppressions s
               WHERE s.tenant_id = :tenant AND s.channel = :channel AND s.address = a.folded LIMIT 1
           ) IS NOT NULL AS special
    FROM recipients r {address}
    WHERE r.tenant_id = :tenant AND r.key > :after AND r.key <= :until {tagged}
    ORDER BY r.key
"""
KEYS = "SELECT key FROM ({part}) AS part"

# One statement, and so one picture of the roster: nobody slips through between who is planned and who is named.
# Somebody who came into the slice since it was cut may find no id left, and is named.
POSTGRESQL_WRITE = """
    WITH part AS MATERIALIZED ({part}),
    plain AS MATERIALIZED (SELECT id, key, value, row_number() OVER (ORDER BY key) AS n FROM part WHERE NOT special),
    made AS (
        INSERT INTO messages (id, tenant_id, notification_id, recipient_id, batch_id, channel, address, state, reason,
                              attempts, due_at, created_at, updated_at)
        SELECT CAST(encode(substring(:ids FROM CAST(16 * n - 15 AS integer) FOR 16), 'hex') AS uuid), :tenant,
               :notification, id, (:batches)[1 + (n - 1) / :size], :channel, value, 'queued', :reason, 0, :due_at,
               :now, :now
        FROM plain WHERE n <= :count
        ON CONFLICT (notification_id, recipient_id, channel) DO NOTHING
        RETURNING batch_id
    )
    SELECT batch_id, count(*) AS size, NULL AS key FROM made GROUP BY batch_id
    UNION ALL SELECT NULL, 1, key FROM part WHERE special
    UNION ALL SELECT NULL, 1, key FROM plain WHERE n > :count
"""
POSTGRESQL = {
    "{address}": """
        LEFT JOIN LATERAL (
            SELECT value, folded FROM addresses WHERE recipient_id = r.id AND channel = :channel LIMIT 1
        ) a ON true
    """,
    "{tagged}": "AND r.tags ?| :tags",
}

# SQLite has one writer at a time: two statements see the same roster.
SQLITE_WRITE = """
    INSERT INTO messages (id, tenant_id, notification_id, recipient_id, batch_id, channel, address, state, reason,
                          attempts, due_at, created_at, updated_at)
    SELECT notify_uuid7(), :tenant, :notification, id, json_extract(:batches, '$[' || ((n - 1) / :size) || ']'),
           :channel, value, 'queued', :reason, 0, :due_at, :now, :now
    FROM (SELECT id, value, row_number() OVER (ORDER BY key) AS n FROM ({part}) WHERE NOT special)
    WHERE true
    ON CONFLICT (notification_id, recipient_id, channel) DO NOTHING
"""
SQLITE_SPECIAL = "SELECT key FROM ({part}) WHERE special"
SQLITE = {
    "{address}": "LEFT JOIN addresses a ON a.recipient_id = r.id AND a.channel = :channel",
    "{tagged}": """
        AND EXISTS (SELECT 1 FROM json_each(r.tags) has JOIN json_each(:tags) wanted ON wanted.value = has.value)
    """,
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What all messages of a statement have in common."""

    channel: Channel
    lane: Lane
    batch_size: int
    due_at: datetime
    reason: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """The batches that got messages, to be stored yet; and the keys of who got none, to be asked about one by one."""

    batches: list[Batch]
    special: list[str]


def write(connection: sa.Connection, fan_out: FanOut, part: Slice, terms: Terms) -> Written:
    """Queue a message for each of the slice who has an address on the channel that no suppression names.

    Batches are filled in the order of keys.
    """
    ids = [uuid7() for _ in range(0, part.size, terms.batch_size)]
    given = {
        **_range(fan_out, part, terms.channel),
        "notification": fan_out.notification.id,
        "batches": ids,
        "size": terms.batch_size,
        "reason": terms.reason,
        "due_at": terms.due_at,
        "now": terms.now,
    }
    on = _on_sqlite if connection.dialect.name == "sqlite" else _on_postgresql
    sizes, special = on(connection, given, part.size, bool(fan_out.tags))
    note = fan_out.notification
    common = (note.tenant_id, terms.channel, terms.lane, terms.due_at)
    filled = [Batch(one, *common, size=sizes[one], expires_at=note.expires_at) for one in ids if one in sizes]
    return Written(filled, special)


def everyone(connection: sa.Connection, fan_out: FanOut, part: Slice, channel: Channel) -> Written:
    """Write nothing: all of the slice are special."""
    statement = _bound(KEYS, connection.dialect.name, bool(fan_out.tags))
    return Written([], list(connection.scalars(statement, _range(fan_out, part, channel))))


Given = dict[str, Any]
Found = tuple[dict[UUID, int], list[str]]
"""How many messages each batch got, and the keys of who got none."""


def _on_postgresql(connection: sa.Connection, given: Given, count: int, tagged: bool) -> Found:
    # PostgreSQL itself makes such ids only since version 18; octets in a row cost a tenth of an array of them
    ids = b"".join([uuid_utils.uuid7().bytes for _ in range(count)])
    rows = connection.execute(
        _bound(POSTGRESQL_WRITE, "postgresql", tagged), {**given, "ids": ids, "count": count}
    ).all()
    return {row.batch_id: row.size for row in rows if row.batch_id}, [row.key for row in rows if row.key]


def _on_sqlite(connection: sa.Connection, given: Given, _count: int, tagged: bool) -> Found:
    batches = given["batches"]
    driver: Any = connection.connection.driver_connection
    driver.create_function("notify_uuid7", 0, lambda: uuid7().hex)
    connection.execute(_bound(SQLITE_WRITE, "sqlite", tagged), {**given, "batches": [one.hex for one in batches]})
    counted = (
        sa.select(messages.c.batch_id, sa.func.count())
        .where(any_of(connection, messages.c.batch_id, batches))
        .group_by(messages.c.batch_id)
    )
    sizes = {row[0]: row[1] for row in connection.execute(counted)}
    return sizes, list(connection.scalars(_bound(SQLITE_SPECIAL, "sqlite", tagged), given))


def _range(fan_out: FanOut, part: Slice, channel: Channel) -> dict[str, Any]:
    place = {"tenant": fan_out.notification.tenant_id, "after": fan_out.cursor, "until": part.until}
    return {**place, "channel": channel, **({"tags": list(fan_out.tags)} if fan_out.tags else {})}


@cache
def _bound(sql: str, dialect: str, tagged: bool) -> sa.TextClause:
    """The statement with the types of its parameters. A list is an array, or JSON on SQLite."""
    sqlite = dialect == "sqlite"
    pieces = {"{part}": PART, **(SQLITE if sqlite else POSTGRESQL)}
    for name, piece in pieces.items():
        sql = sql.replace(name, piece if tagged or name != "{tagged}" else "")
    types: dict[str, Any] = {
        "tenant": sa.Uuid,
        "notification": sa.Uuid,
        "reason": sa.Text,
        "due_at": UtcDateTime,
        "now": UtcDateTime,
        "ids": sa.LargeBinary,
        "batches": sa.JSON if sqlite else ARRAY(sa.Uuid),
        "tags": sa.JSON if sqlite else ARRAY(sa.Text),
    }
    return sa.text(sql).bindparams(*(sa.bindparam(name, type_=types[name]) for name in types if f":{name}" in sql))
