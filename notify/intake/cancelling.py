"""What no worker has taken yet is not sent: a message that one is just taking either goes out or is cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from notify.app import App
from notify.errors import NotFound
from notify.store import Connection, audit, fan_outs, messages, notifications, tenants
from notify.telemetry import emit


def cancel(app: App, id_or_key: UUID | str, *, actor: str, tenant: str | None = None) -> int:
    """Cancel what waits of a notification, named by id or key; returns how many messages. Raises `NotFound`."""
    with app.store.begin() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        notification = notifications.find(connection, tenant_id, _as_id(id_or_key))
        if notification is None:
            raise NotFound(f"no notification {str(id_or_key)!r} in this tenant")
        cancelled = _cancel(app, connection, tenant_id, [notification.id], actor)
    return _told(cancelled)


def cancel_all(app: App, cancellation_key: str, *, actor: str, tenant: str | None = None) -> int:
    """Cancel what waits of all notifications with this cancellation key; returns how many messages."""
    with app.store.begin() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        named = notifications.with_cancellation_key(connection, tenant_id, cancellation_key)
        cancelled = _cancel(app, connection, tenant_id, named, actor)
    return _told(cancelled)


def _cancel(
    app: App, connection: Connection, tenant_id: UUID, ids: Sequence[UUID], actor: str
) -> list[tuple[UUID, int]]:
    """How many messages of each notification were cancelled."""
    now, cancelled = app.clock.now(), list[tuple[UUID, int]]()
    for one in ids:
        fan_outs.cancel(connection, one, now)  # first: then no slice comes after
        count = messages.cancel(connection, one, now)
        told = {"subject": str(one), "detail": {"messages": count}, "at": now}
        audit.write(connection, tenant_id, actor=actor, action="notification.cancel", **told)  # type: ignore[arg-type]
        cancelled.append((one, count))
    return cancelled


def _told(cancelled: Sequence[tuple[UUID, int]]) -> int:
    for one, count in cancelled:
        emit("notification.cancelled", notification=one, messages=count)
    return sum(count for _, count in cancelled)


def _as_id(id_or_key: UUID | str) -> UUID | str:
    if isinstance(id_or_key, UUID):
        return id_or_key
    try:
        return UUID(id_or_key)
    except ValueError:
        return id_or_key
