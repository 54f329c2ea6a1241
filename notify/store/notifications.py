"""Notifications, their attachments, and the idempotency key that makes a second send() harmless."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import Attachment, Local, Mode, Notification
from notify.store.dialect import Upsert, upsert_on
from notify.store.tables import attachments, messages, notifications


def insert(
    connection: sa.Connection,
    notification: Notification,
    *,
    request_hash: str,
    data: Mapping[str, Any],
    at: datetime | Local | None,
    correlation_id: str | None,
    cancellation_key: str | None = None,
) -> bool:
    """Store it; False when its idempotency key is taken. Waits for a transaction that is just taking the key.

    `request_hash` tells whether a later request with the same key is the same; without a key nobody asks.
    """
    inserted = connection.execute(
        _inserting(connection.dialect.name),
        {
            "id": notification.id,
            "tenant_id": notification.tenant_id,
            "kind": notification.kind,
            "mode": notification.mode,
            "idempotency_key": notification.key,
            "request_hash": request_hash,
            "data": dict(data),
            "correlation_id": correlation_id,
            "at": None if isinstance(at, Local) else at,
            "created_at": notification.created_at,
            "expires_at": notification.expires_at,
            "cancellation_key": cancellation_key,
            "at_local": str(at) if isinstance(at, Local) else None,
        },
    )
    return inserted.first() is not None


@cache
def _inserting(dialect: str) -> sa.Executable:
    insert: Upsert = upsert_on(dialect, notifications)
    taken = insert.on_conflict_do_nothing(index_elements=["tenant_id", "idempotency_key"])
    return taken.returning(notifications.c.id)


def request_hash_of(connection: sa.Connection, tenant_id: UUID, key: str) -> tuple[Notification, str] | None:
    """The notification that holds this idempotency key, and the hash of its request."""
    row = connection.execute(
        sa.select(notifications).where(notifications.c.tenant_id == tenant_id, notifications.c.idempotency_key == key)
    ).one_or_none()
    return None if row is None else (_notification(connection, row, repeated=True), row.request_hash)


def find(connection: sa.Connection, tenant_id: UUID, id_or_key: UUID | str) -> Notification | None:
    """By id, or by idempotency key."""
    by = notifications.c.id if isinstance(id_or_key, UUID) else notifications.c.idempotency_key
    row = connection.execute(
        sa.select(notifications).where(notifications.c.tenant_id == tenant_id, by == id_or_key)
    ).one_or_none()
    return None if row is None else _notification(connection, row)


def with_cancellation_key(connection: sa.Connection, tenant_id: UUID, key: str) -> list[UUID]:
    """All that were sent with this cancellation key, the oldest first."""
    wanted = (notifications.c.tenant_id == tenant_id, notifications.c.cancellation_key == key)
    return list(connection.scalars(sa.select(notifications.c.id).where(*wanted).order_by(notifications.c.id)))


def counts(connection: sa.Connection, notification_id: UUID) -> dict[str, int]:
    """How many of its messages are in each state."""
    rows = connection.execute(
        sa.select(messages.c.state, sa.func.count())
        .where(messages.c.notification_id == notification_id)
        .group_by(messages.c.state)
    )
    return {row[0]: row[1] for row in rows}


def attach(connection: sa.Connection, notification: Notification, files: Sequence[Attachment]) -> None:
    """Keep the files that travel with every message of this notification."""
    if not files:
        return
    connection.execute(
        sa.insert(attachments),
        [
            {
                "id": uuid7(),
                "tenant_id": notification.tenant_id,
                "notification_id": notification.id,
                "position": position,
                "name": file.name,
                "content_type": file.content_type,
                "inline": file.inline,
                "content": file.content,
            }
            for position, file in enumerate(files)
        ],
    )


def attachments_of(connection: sa.Connection, notification_id: UUID) -> tuple[Attachment, ...]:
    """The files of a notification, in the order they were given."""
    rows = connection.execute(
        sa.select(attachments).where(attachments.c.notification_id == notification_id).order_by(attachments.c.position)
    )
    return tuple(Attachment(row.name, row.content, row.content_type, row.inline) for row in rows)


def _notification(connection: sa.Connection, row: Any, *, repeated: bool = False) -> Notification:
    return Notification(
        id=row.id,
        tenant_id=row.tenant_id,
        kind=row.kind,
        mode=Mode(row.mode),
        created_at=row.created_at,
        key=row.idempotency_key,
        repeated=repeated,
        messages=counts(connection, row.id),
        expires_at=row.expires_at,
    )
