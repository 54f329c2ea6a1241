"""Addresses that must not be used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import Channel, Suppression
from notify.store.engine import any_bound, upsert
from notify.store.tables import addresses, suppressions


def add(connection: sa.Connection, tenant_id: UUID, rows: Sequence[Suppression], now: datetime) -> int:
    """Suppress these addresses; returns how many were not. None is ever overwritten: the first reason stays."""
    if not rows:
        return 0
    made = connection.execute(
        upsert(connection, suppressions).on_conflict_do_nothing().returning(suppressions.c.id),
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
            # in one order everywhere: two callers with the same addresses must not wait for each other in a circle
            for row in sorted(rows, key=lambda row: (row.channel, row.address, row.scope))
        ],
    )
    return len(made.all())


def lift(connection: sa.Connection, tenant_id: UUID, recipient_id: UUID, *, scope: str, reason: str) -> list[str]:
    """Take away those of a recipient's addresses that have exactly this scope and reason; returns their channels."""
    mine = sa.select(addresses.c.folded).where(
        addresses.c.recipient_id == recipient_id, addresses.c.channel == suppressions.c.channel
    )
    gone = sa.delete(suppressions).where(
        suppressions.c.tenant_id == tenant_id,
        suppressions.c.scope == scope,
        suppressions.c.reason == reason,
        suppressions.c.address.in_(mine),
    )
    return list(connection.scalars(gone.returning(suppressions.c.channel)))


def of_addresses(
    connection: sa.Connection, tenant_id: UUID, channel: Channel, folded: Collection[str]
) -> dict[str, list[Suppression]]:
    """The suppressions of these folded addresses, by address; one statement."""
    if not folded:
        return {}
    found: dict[str, list[Suppression]] = defaultdict(list)
    rows = connection.execute(
        _reading(connection.dialect.name), {"tenant": tenant_id, "channel": channel, "addresses": list(folded)}
    )
    for row in rows:
        found[row.address].append(
            Suppression(Channel(row.channel), row.address, row.reason, row.source, row.scope, row.expires_at)
        )
    return found


@cache
def _reading(dialect: str) -> sa.Select[Any]:
    fields = (suppressions.c[name] for name in ("channel", "address", "reason", "source", "scope", "expires_at"))
    return sa.select(*fields).where(
        suppressions.c.tenant_id == sa.bindparam("tenant"),
        suppressions.c.channel == sa.bindparam("channel"),
        any_bound(dialect, suppressions.c.address, "addresses"),
    )
