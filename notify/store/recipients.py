"""Recipients and their addresses: read by key, and changed in bulk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import Address, Channel, Recipient
from notify.store.engine import any_of, upsert
from notify.store.tables import addresses, recipients


@dataclass(frozen=True, slots=True)
class Change:
    """What is said of a recipient. None leaves a field as it is; attributes are merged by name."""

    key: str
    locale: str | None = None
    timezone: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] | None = None
    addresses: Mapping[Channel, str] = field(default_factory=dict)


def by_keys(
    connection: sa.Connection, tenant_id: UUID, keys: Collection[str], *, lock: bool = False
) -> dict[str, Recipient]:
    """The recipients with these keys that exist, with their addresses: two statements.

    With `lock`, nobody else changes them until the transaction ends; they are locked in the order of their keys.
    """
    if not keys:
        return {}
    wanted = sa.and_(recipients.c.tenant_id == tenant_id, any_of(connection, recipients.c.key, list(keys)))
    chosen = sa.select(recipients).where(wanted).order_by(recipients.c.key)
    found = connection.execute(chosen.with_for_update(key_share=True) if lock else chosen).all()
    reached = connection.execute(
        sa.select(addresses.c.recipient_id, addresses.c.channel, addresses.c.value, addresses.c.verified).where(
            any_of(connection, addresses.c.recipient_id, [row.id for row in found])
        )
    )
    by_recipient: dict[UUID, dict[Channel, Address]] = defaultdict(dict)
    for row in reached:
        channel = Channel(row.channel)
        by_recipient[row.recipient_id][channel] = Address(channel, row.value, row.verified)
    return {
        row.key: Recipient(
            id=row.id,
            key=row.key,
            locale=row.locale,
            timezone=row.timezone,
            attributes=row.attributes,
            tags=tuple(row.tags),
            addresses=by_recipient.get(row.id, {}),
        )
        for row in found
    }


@dataclass(frozen=True, slots=True)
class Written:
    """How many recipients a bulk change made, changed and left as they were."""

    inserted: int
    updated: int
    unchanged: int


def apply(connection: sa.Connection, tenant_id: UUID, changes: Sequence[Change], now: datetime) -> Written:
    """Make or change these recipients (distinct keys), in a number of statements that does not grow with theirs."""
    seen = by_keys(connection, tenant_id, [change.key for change in changes])
    # in one order everywhere: two callers who write the same recipients must not wait for each other in a circle
    ordered = sorted(changes, key=lambda change: change.key)
    news = [change for change in ordered if _merge(change, seen.get(change.key)) != seen.get(change.key)]
    if not news:
        return Written(0, 0, len(changes))  # and nothing is locked: who says nothing new keeps nobody waiting
    present = by_keys(connection, tenant_id, [change.key for change in news if change.key in seen], lock=True)
    merged = [_merge(change, present.get(change.key)) for change in news]
    _write(connection, tenant_id, [row for row in merged if row.key in present], now)
    _write(connection, tenant_id, [row for row in merged if row.key not in present], now, unseen=True)
    _write_addresses(connection, tenant_id, merged, present, now)
    inserted = sum(row.key not in present for row in merged)
    return Written(inserted, len(merged) - inserted, len(changes) - len(merged))


def _merge(change: Change, before: Recipient | None) -> Recipient:
    before = before or Recipient(id=uuid7(), key=change.key)
    reached = {
        channel: before.addresses[channel]
        if channel in before.addresses and before.addresses[channel].value == value
        else Address(channel, value)
        for channel, value in change.addresses.items()
    }
    return Recipient(
        id=before.id,
        key=change.key,
        locale=change.locale if change.locale is not None else before.locale,
        timezone=change.timezone if change.timezone is not None else before.timezone,
        attributes={**before.attributes, **change.attributes},
        tags=change.tags if change.tags is not None else before.tags,
        addresses={**before.addresses, **reached},
    )


def _write(
    connection: sa.Connection, tenant_id: UUID, rows: Sequence[Recipient], now: datetime, *, unseen: bool = False
) -> None:
    """Write merged rows. What was `unseen` another caller may have made meanwhile: it keeps what ours do not say."""
    if not rows:
        return
    insert = upsert(connection, recipients)
    said, known = insert.excluded, recipients.c
    kept: dict[str, Any] = {name: said[name] for name in ("locale", "timezone", "attributes", "tags", "updated_at")}
    if unseen and connection.dialect.name == "postgresql":  # SQLite has one writer at a time: nothing is unseen there
        kept |= {
            "locale": sa.func.coalesce(said.locale, known.locale),
            "timezone": sa.func.coalesce(said.timezone, known.timezone),
            "attributes": known.attributes.op("||")(said.attributes),
            "tags": sa.case((sa.cast(said.tags, sa.Text) == "[]", known.tags), else_=said.tags),
        }
    connection.execute(
        insert.on_conflict_do_update(index_elements=["tenant_id", "key"], set_=kept),
        [
            {
                "id": row.id,
                "tenant_id": tenant_id,
                "key": row.key,
                "locale": row.locale,
                "timezone": row.timezone,
                "attributes": dict(row.attributes),
                "tags": list(row.tags),
                "created_at": now,
                "updated_at": now,
            }
            for row in rows
        ],
    )


def _write_addresses(
    connection: sa.Connection,
    tenant_id: UUID,
    rows: Sequence[Recipient],
    before: Mapping[str, Recipient],
    now: datetime,
) -> None:
    ids = ids_by_key(connection, tenant_id, [row.key for row in rows])
    changed = [
        {
            "id": uuid7(),
            "tenant_id": tenant_id,
            "recipient_id": ids[row.key],  # another caller may have made the recipient meanwhile: then its id holds
            "channel": address.channel,
            "value": address.value,
            "folded": address.folded,
            "verified": address.verified,
            "created_at": now,
        }
        for row in rows
        for address in row.addresses.values()
        if row.key not in before or before[row.key].addresses.get(address.channel) != address
    ]
    if not changed:
        return
    insert = upsert(connection, addresses)
    kept = ("value", "folded", "verified")
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["recipient_id", "channel"], set_={name: insert.excluded[name] for name in kept}
        ),
        changed,
    )


def ids_by_key(connection: sa.Connection, tenant_id: UUID, keys: Sequence[str]) -> dict[str, UUID]:
    """The ids of the recipients with these keys."""
    wanted = sa.and_(recipients.c.tenant_id == tenant_id, any_of(connection, recipients.c.key, keys))
    return {row.key: row.id for row in connection.execute(sa.select(recipients.c.key, recipients.c.id).where(wanted))}


def all_keys(connection: sa.Connection, tenant_id: UUID) -> list[str]:
    """The key of every recipient of this tenant, in order."""
    return list(
        connection.scalars(
            sa.select(recipients.c.key).where(recipients.c.tenant_id == tenant_id).order_by(recipients.c.key)
        )
    )
