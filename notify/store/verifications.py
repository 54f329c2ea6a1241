"""Addresses one by one, and whether they were verified."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import Channel
from notify.store.tables import addresses


@dataclass(frozen=True, slots=True)
class Reached:
    """An address of a recipient. A replaced one has another id."""

    id: UUID
    recipient_id: UUID
    channel: Channel
    value: str
    folded: str
    primary: bool
    verified: bool


_READ = sa.select(
    *(addresses.c[name] for name in ("id", "recipient_id", "channel", "value", "folded", "is_primary", "verified"))
)


def find(connection: sa.Connection, address_id: UUID) -> Reached | None:
    """One address by id."""
    row = connection.execute(_READ.where(addresses.c.id == address_id)).one_or_none()
    return None if row is None else _reached(row)


def of_recipient(connection: sa.Connection, recipient_id: UUID, channel: Channel) -> list[Reached]:
    """The addresses of a recipient on a channel, the primary one first."""
    mine = addresses.c.recipient_id == recipient_id, addresses.c.channel == channel
    rows = connection.execute(_READ.where(*mine).order_by(addresses.c.is_primary.desc(), addresses.c.created_at))
    return [_reached(row) for row in rows]


def verify(connection: sa.Connection, address_id: UUID, at: datetime) -> None:
    """Note that it was verified."""
    connection.execute(sa.update(addresses).where(addresses.c.id == address_id).values(verified=True, verified_at=at))


def _reached(row: Any) -> Reached:
    id_, recipient_id, channel, value, folded, primary, verified = row
    return Reached(id_, recipient_id, Channel(channel), value, folded, bool(primary), bool(verified))
