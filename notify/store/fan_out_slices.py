"""Messages for a slice of the roster, written by the database itself: one statement for each slice and channel.

Only for recipients about whom there is nothing to decide one by one. All others are named, to be asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import uuid_utils
from sqlalchemy.dialects.postgresql import ARRAY
from uuid_utils.compat import uuid7

from notify.model import Batch, Channel, FanOut, Lane
from notify.store.dialect import any_of, list_of
from notify.store.fan_outs import Slice
from notify.store.tables import UtcDateTime, messages, recipients

# Addresses and suppressions are looked up one by one, by their unique indices: for a join the planner would read both
# tables as a whole, for every slice again.
PART = """
    SELECT r.id, r.key, a.value, {turn} AS turn,
           a.value IS NULL OR r.preferences <> {nothing} OR r.deactivated_at IS NOT NULL {doubtful} OR (
               SELECT 1 FROM suppressions s
               WHERE s.tenant_id = :tenant AND s.channel = :channel AND s.address = a.folded LIMIT 1
           ) IS NOT NULL AS special
    FROM recipients r {address}
    WHERE r.tenant_id = :tenant AND r.key > :after AND r.key <= :until AND r.erased_at IS NULL {tagged} {chosen}
    ORDER BY r.key
"""
KEYS = "SELECT key FROM ({part}) AS part"
ZONES = """
    SELECT DISTINCT coalesce(r.timezone, '') FROM recipients r
    WHERE r.tenant_id = :tenant AND r.key > :after AND r.key <= :until AND r.erased_at IS NULL {tagged} {chosen}
"""

# One statement, and so one picture of the roster: nobody slips through between who is planned and who is named.
# Somebody who came into the slice since it was cut may find no id left, and is named.
POSTGRESQL_WRITE = """
    WITH part AS MATERIALIZED ({part}),
    plain AS MATERIALIZED (
        SELECT id, key, value, turn, row_number() OVER (ORDER BY key) AS n {placed} FROM part WHERE NOT special
    ),
    made AS (
        INSERT INTO messages (id, tenant_id, notification_id, recipient_id, batch_id, channel, address, state, reason,
                              rule, attempts, due_at, created_at, updated_at)
        SELECT CAST(encode(substring(:ids FROM CAST(16 * n - 15 AS integer) FOR 16), 'hex') AS uuid), :tenant,
               :notification, id, (:batches)[1 + {which} * :each + ({place} - 1) / :size], :channel, value, 'queued',
               (:reasons)[1 + {which}], (:rules)[1 + {which}], 0, (:dues)[1 + {which}], :now, :now
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
            SELECT value, folded, verified FROM addresses
            WHERE recipient_id = r.id AND channel = :channel AND is_primary LIMIT 1
        ) a ON true
    """,
    "{tagged}": "AND r.tags ?| :tags",
    "{chosen}": "AND r.id = ANY(:chosen)",
    "{nothing}": "CAST('{}' AS jsonb)",
    "{zoned}": "(:turns)[array_position(:zones, coalesce(r.timezone, ''))]",
}

# SQLite has one writer at a time: two statements see the same roster.
SQLITE_WRITE = """
    INSERT INTO messages (id, tenant_id, notification_id, recipient_id, batch_id, channel, address, state, reason,
                          rule, attempts, due_at, created_at, updated_at)
    SELECT notify_uuid7(), :tenant, :notification, id,
           json_extract(:batches, '$[' || (turn * :each + ({place} - 1) / :size) || ']'),
           :channel, value, 'queued', json_extract(:reasons, '$[' || turn || ']'),
           json_extract(:rules, '$[' || turn || ']'), 0, json_extract(:dues, '$[' || turn || ']'), :now, :now
    FROM (SELECT id, value, turn, row_number() OVER (ORDER BY key) AS n {placed} FROM ({part}) WHERE NOT special)
    WHERE true
    ON CONFLICT (notification_id, recipient_id, channel) DO NOTHING
"""
SQLITE_SPECIAL = "SELECT key FROM ({part}) WHERE special"
SQLITE = {
    "{address}": "LEFT JOIN addresses a ON a.recipient_id = r.id AND a.channel = :channel AND a.is_primary",
    "{tagged}": """
        AND EXISTS (SELECT 1 FROM json_each(r.tags) has JOIN json_each(:tags) wanted ON wanted.value = has.value)
    """,
    "{chosen}": "AND r.id IN (SELECT value FROM json_each(:chosen))",
    "{nothing}": "'{}'",
    "{zoned}": "notify_turn(coalesce(r.timezone, ''))",
}


ANYWHERE = {"{turn}": "0", "{which}": "0", "{place}": "n", "{placed}": "", "{doubtful}": "{unverified}"}
BY_ZONE = {
    "{turn}": "{zoned}",
    "{which}": "turn",
    "{place}": "place",
    "{placed}": ", row_number() OVER (PARTITION BY turn ORDER BY key) AS place",
    "{doubtful}": "OR {zoned} IS NULL {unverified}",
}


@dataclass(frozen=True, slots=True)
class Share:
    """One fate of many: when their messages are due, and why not at once. Of those in `zones`; None: of everyone."""

    due_at: datetime
    reason: str | None = None
    rule: str | None = None
    zones: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What all messages of a statement have in common. Who has no share, or no address `verified`, is named."""

    channel: Channel
    lane: Lane
    batch_size: int
    shares: Sequence[Share]
    now: datetime
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """The batches that got messages, to be stored yet; and the keys of who got none, to be asked about one by one."""

    batches: list[Batch]
    special: list[str]


def write(connection: sa.Connection, fan_out: FanOut, part: Slice, terms: Terms) -> Written:
    """Queue a message for each of the slice about whom nothing is to be decided one by one.

    They have an address on the channel that no suppression names, chose nothing, and were not deactivated. Batches are
    filled in the order of keys.
    """
    shares, each = terms.shares, -(-part.size // terms.batch_size)
    ids = [uuid7() for _ in range(each * len(shares))]
    given = {
        **_range(fan_out, part, terms.channel),
        "notification": fan_out.notification.id,
        "batches": ids,
        "each": each,
        "size": terms.batch_size,
        "dues": [share.due_at for share in shares],
        "reasons": [share.reason for share in shares],
        "rules": [share.rule for share in shares],
        "now": terms.now,
    }
    turns = {zone: turn for turn, share in enumerate(shares) for zone in share.zones or ()}
    form = replace(_Form.of(connection, fan_out, part), zoned=bool(turns), verified=terms.verified)
    on = _on_sqlite if form.dialect == "sqlite" else _on_postgresql
    sizes, special = on(connection, given, turns, part.size, form)
    note = fan_out.notification
    common = (note.tenant_id, terms.channel, terms.lane)
    filled = [
        Batch(one, *common, shares[place // each].due_at, size=sizes[one], expires_at=note.expires_at)
        for place, one in enumerate(ids)
        if one in sizes
    ]
    return Written(filled, special)


def everyone(connection: sa.Connection, fan_out: FanOut, part: Slice, channel: Channel) -> Written:
    """Write nothing: all of the slice are special."""
    statement = _bound(KEYS, _Form.of(connection, fan_out, part))
    return Written([], list(connection.scalars(statement, _range(fan_out, part, channel))))


def zones(connection: sa.Connection, fan_out: FanOut, part: Slice) -> list[str]:
    """The time zones of the slice; that of who has none is empty."""
    given = _range(fan_out, part)
    return list(connection.scalars(_bound(ZONES, _Form.of(connection, fan_out, part)), given))


Given = dict[str, Any]
Found = tuple[dict[UUID, int], list[str]]
"""How many messages each batch got, and the keys of who got none."""


@dataclass(frozen=True, slots=True)
class _Form:
    """Which of its forms a statement has."""

    dialect: str
    tagged: bool
    chosen: bool
    zoned: bool = False
    verified: bool = False

    @classmethod
    def of(cls, connection: sa.Connection, fan_out: FanOut, part: Slice) -> _Form:
        """The form for who is selected of this slice."""
        return cls(connection.dialect.name, bool(fan_out.tags), part.chosen is not None)


def _on_postgresql(connection: sa.Connection, given: Given, turns: dict[str, int], count: int, form: _Form) -> Found:
    # PostgreSQL itself makes such ids only since version 18; octets in a row cost a tenth of an array of them
    ids = b"".join([uuid_utils.uuid7().bytes for _ in range(count)])
    zoned = {"zones": list(turns), "turns": list(turns.values())} if turns else {}
    rows = connection.execute(_bound(POSTGRESQL_WRITE, form), {**given, **zoned, "ids": ids, "count": count}).all()
    return {row.batch_id: row.size for row in rows if row.batch_id}, [row.key for row in rows if row.key]


def _on_sqlite(connection: sa.Connection, given: Given, turns: dict[str, int], _count: int, form: _Form) -> Found:
    batches = given["batches"]
    driver: Any = connection.connection.driver_connection
    driver.create_function("notify_uuid7", 0, lambda: uuid7().hex)
    driver.create_function("notify_turn", 1, turns.get)
    stored = UtcDateTime().dialect_impl(connection.dialect).bind_processor(connection.dialect)
    assert stored is not None
    told = {"batches": [one.hex for one in batches], "dues": [stored(due) for due in given["dues"]]}
    connection.execute(_bound(SQLITE_WRITE, form), {**given, **told})
    counted = (
        sa.select(messages.c.batch_id, sa.func.count())
        .where(any_of(connection, messages.c.batch_id, batches))
        .group_by(messages.c.batch_id)
    )
    sizes = {row[0]: row[1] for row in connection.execute(counted)}
    return sizes, list(connection.scalars(_bound(SQLITE_SPECIAL, form), given))


def _range(fan_out: FanOut, part: Slice, channel: Channel | None = None) -> dict[str, Any]:
    place = {"tenant": fan_out.notification.tenant_id, "after": fan_out.cursor, "until": part.until}
    tags = {"tags": list(fan_out.tags)} if fan_out.tags else {}
    chosen = {} if part.chosen is None else {"chosen": part.chosen}
    return {**place, **tags, **chosen, **({"channel": channel} if channel else {})}


@cache
def _bound(sql: str, form: _Form) -> sa.TextClause:
    """The statement with the types of its parameters. A list is an array, or JSON on SQLite."""
    sqlite = form.dialect == "sqlite"
    pieces = {"{part}": PART, **(BY_ZONE if form.zoned else ANYWHERE), **(SQLITE if sqlite else POSTGRESQL)}
    pieces["{unverified}"] = "OR NOT a.verified" if form.verified else ""
    pieces["{tagged}"] = pieces["{tagged}"] if form.tagged else ""
    pieces["{chosen}"] = pieces["{chosen}"] if form.chosen else ""
    for name, piece in pieces.items():
        sql = sql.replace(name, piece)

    def many(of: type[sa.types.TypeEngine[Any]]) -> Any:
        return sa.JSON if sqlite else ARRAY(of)

    types: dict[str, Any] = {
        "tenant": sa.Uuid,
        "notification": sa.Uuid,
        "now": UtcDateTime,
        "ids": sa.LargeBinary,
        "batches": many(sa.Uuid),
        "dues": many(UtcDateTime),
        "reasons": many(sa.Text),
        "rules": many(sa.Text),
        "tags": many(sa.Text),
        "chosen": list_of(form.dialect, recipients.c.id),
        "zones": many(sa.Text),
        "turns": many(sa.Integer),
    }
    return sa.text(sql).bindparams(*(sa.bindparam(name, type_=types[name]) for name in types if f":{name}" in sql))
