"""Addresses that must not be used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import Channel, Suppression
from notify.store.engine import any_of, upsert
from notify.store.tables import suppressions


def add(connection: sa.Connection, tenant_id: UUID, rows: Sequence[Suppression], now: datetime) -> int:
    """Suppress these addresses. One that is there already is never overwritten: the first reason stays."""
    if not rows:
        return 0
    before = _count(connection, tenant_id)
    connection.execute(
        upsert(connection, suppressions).on_conflict_do_nothing(),
        [
            {
                "id": uuid7(),
                "tenant_id": tenant_id,
                "channel": row.channel,
                "address": row.address,
                "scope": row.scope,
                "reason": row.reason,
                "source": row.source,
                "created_at": now,
                "expires_at": row.expires_at,
            }
            for row in rows
        ],
    )
    return _count(connection, tenant_id) - before


def of_addresses(
    connection: sa.Connection, tenant_id: UUID, channel: Channel, folded: Collection[str]
) -> dict[str, list[Suppression]]:
    """The suppressions of these folded addresses, by address; one statement."""
    found: dict[str, list[Suppression]] = defaultdict(list)
    rows = connection.execute(
        sa.select(suppressions).where(
            suppressions.c.tenant_id == tenant_id,
            suppressions.c.channel == channel,
            any_of(connection, suppressions.c.address, list(folded)),
        )
    )
    for row in rows:
        found[row.address].append(
            Suppression(Channel(row.channel), row.address, row.reason, row.source, row.scope, row.expires_at)
        )
    return found


def _count(connection: sa.Connection, tenant_id: UUID) -> int:
    counted = sa.select(sa.func.count()).where(suppressions.c.tenant_id == tenant_id)
    return connection.scalar(counted) or 0
