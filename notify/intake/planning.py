"""One transaction: the notification, a message for every recipient and channel, and the batches that carry them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from structlog.contextvars import get_contextvars
from uuid_utils.compat import uuid7

from notify import failpoints
from notify.app import App, ring
from notify.errors import IdempotencyConflict, InvalidDeadline, InvalidRecipient, did_you_mean
from notify.intake import selecting
from notify.intake.planned import Planned
from notify.intake.request import Request
from notify.model import Batch, Message, Mode, Notification, Recipient
from notify.policy import past
from notify.store import Connection, batches, messages, notifications, recipients, tenants
from notify.store import session as sessions
from notify.telemetry import emit

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

SHOWN_KEYS = 5  # of many unknown recipients, an error names this many


def plan(app: App, request: Request, session: Session | None = None) -> Notification:
    """Store what `request` asks for and ring for what is due.

    With `session`, everything joins its transaction and the bell rings after its commit. Raises
    `InvalidRecipient` for unknown keys, `IdempotencyConflict`, and `Unreachable` when the database is away; an
    unreachable broker is no error: the batches wait in the database until the relay finds them. In a transaction of
    isolation REPEATABLE READ or above, a key that another caller is just taking fails as the database's own
    serialization error, to be retried with the transaction.
    """
    now = app.clock.now()
    session = sessions.resolve(session) if session is not None else None
    changes = any(one.change for one in request.recipients)  # another recipient may have the address
    with app.store.join(session) as connection, sessions.whole(connection, session if changes else None):
        tenant_id = tenants.tenant_id(connection, request.tenant)
        known = _known(connection, tenant_id, request)
        notification = _notification(request, tenant_id, now)
        _require_time(connection, notification)
        if not _stored(connection, notification, request):
            return _repeated(connection, notification, request)
        notifications.attach(connection, notification, request.attachments)
        if request.selection is not None:
            selecting.leave(app, connection, notification, request.channels, request.selection)
        planned = Planned.of(app, connection, request, notification, known)
        rung = batches.insert(connection, planned.batches, now)
        messages.insert(connection, planned.rows)
        if session is not None:
            sessions.after_commit(session, lambda: ring(app, rung))
    if session is None:
        failpoints.reach("plan.committed")
        ring(app, rung)
    counts = planned.counts
    emit(
        "notification.planned",
        notification=notification.id,
        kind=notification.kind,
        mode=notification.mode,
        **counts,
    )
    return replace(notification, messages=counts)


def part(
    app: App, connection: Connection, request: Request, notification: Notification
) -> tuple[list[tuple[Message, Mapping[str, Any] | None]], list[Batch]]:
    """The rows for these recipients of a notification that is stored already, and the batches that carry them.

    They are named by key alone; who is not there any more was erased meanwhile, and gets none.
    """
    known = recipients.by_keys(connection, notification.tenant_id, [one.key for one in request.recipients])
    request = replace(request, recipients=tuple(one for one in request.recipients if one.key in known))
    planned = Planned.of(app, connection, request, notification, known)
    return planned.rows, planned.batches


def _known(connection: Connection, tenant_id: UUID, request: Request) -> dict[str, Recipient]:
    """Those named by key alone. Fails before anything is written: the transaction may be the application's own."""
    named = [one.key for one in request.recipients if one.change is None]
    known = recipients.by_keys(connection, tenant_id, named)
    unknown = [key for key in named if key not in known]
    if unknown:
        shown = ", ".join(repr(key) for key in unknown[:SHOWN_KEYS])
        more = f" and {len(unknown) - SHOWN_KEYS} more" if len(unknown) > SHOWN_KEYS else ""
        key = unknown[0]
        described = {"key": key, "email": key if "@" in key else "…"}
        raise InvalidRecipient(
            f"no recipient {shown}{more}{did_you_mean(key, known) or '.'} "
            f"Describe a new one: to={described!r}, or import a roster: notify recipients import FILE"
        )
    return known


def _notification(request: Request, tenant_id: UUID, now: datetime) -> Notification:
    return Notification(
        id=uuid7(),
        tenant_id=tenant_id,
        kind=request.kind.facts.name,
        mode=request.mode,
        created_at=now,
        key=request.key if request.mode is Mode.LIVE else None,  # a rehearsal uses up no key
        expires_at=request.deadline(now),
    )


def _stored(connection: Connection, notification: Notification, request: Request) -> bool:
    """Store it; False where its key was used before."""
    return notifications.insert(
        connection,
        notification,
        request_hash=request.digest if notification.key is not None else "",
        data=request.data,
        at=request.at,
        cancellation_key=request.cancellation_key,
        correlation_id=get_contextvars().get("correlation"),
    )


def _require_time(connection: Connection, notification: Notification) -> None:
    """Refuse a deadline that has passed, but for a request that came before: that is only told of."""
    deadline, key = notification.expires_at, notification.key
    if not past(deadline, notification.created_at):
        return
    if key is None or notifications.request_hash_of(connection, notification.tenant_id, key) is None:
        raise InvalidDeadline(f"expires is in the past: {deadline:%Y-%m-%d %H:%M:%S} UTC")


def _repeated(connection: Connection, notification: Notification, request: Request) -> Notification:
    assert request.key is not None
    found = notifications.request_hash_of(connection, notification.tenant_id, request.key)
    assert found is not None
    first, digest = found
    if digest != request.digest:
        raise IdempotencyConflict(
            f"key {request.key!r} was used at {first.created_at:%Y-%m-%d %H:%M:%S} UTC for another request "
            f"(notification {first.id}, kind {first.kind}); use a key of its own for this one"
        )
    emit("notification.repeated", notification=first.id, kind=first.kind)
    return first
