"""Messages: planned in bulk, moved from state to state, found again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import TRANSITIONS, BatchState, Channel, Message, MessageState, Mode, Notification
from notify.store.dialect import any_of
from notify.store.tables import batches, kept_mails, messages, notifications, recipients

SCHEDULED = "scheduled"
"""The reason of a message that waits for the time it was planned for."""
QUIET = "quiet"
"""The reason of a message that waits for the end of its recipient's quiet hours."""
THROTTLED = "throttled"
"""The reason of a message whose recipient had their share of its category."""
REPLAYED = "replayed"
"""The reason of a message that was dead, or in doubt, and waits to be sent after all."""


def insert(connection: sa.Connection, rows: Sequence[tuple[Message, Mapping[str, Any] | None]]) -> None:
    """Store planned messages, each with its own part of the data."""
    if rows:
        connection.execute(
            sa.insert(messages),
            [
                {
                    "id": row.id,
                    "tenant_id": row.tenant_id,
                    "notification_id": row.notification_id,
                    "recipient_id": row.recipient_id,
                    "batch_id": row.batch_id,
                    "channel": row.channel,
                    "address": row.address,
                    "state": row.state,
                    "reason": row.reason,
                    "rule": row.rule,
                    "data": sa.null() if own is None else dict(own),
                    "attempts": row.attempts,
                    "due_at": row.due_at,
                    "created_at": row.created_at,
                    "updated_at": row.created_at,
                    "consent_id": row.consent_id,
                }
                for row, own in rows
            ],
        )


def unwritten(
    connection: sa.Connection, notification: Notification, channel: Channel, keys: Sequence[str]
) -> list[str]:
    """Of these keys of recipients, in their order, those who have no message of this notification on this channel."""
    if not keys:
        return []
    joined = sa.select(recipients.c.key).join(messages, messages.c.recipient_id == recipients.c.id)
    theirs = recipients.c.tenant_id == notification.tenant_id, any_of(connection, recipients.c.key, list(keys))
    written = joined.where(*theirs, messages.c.notification_id == notification.id, messages.c.channel == channel)
    there = set(connection.scalars(written))
    return [key for key in keys if key not in there]


def move(
    connection: sa.Connection,
    ids: Collection[UUID],
    was: MessageState,
    state: MessageState,
    *,
    at: datetime,
    tried: bool = False,
    within: UUID | None = None,
    **values: Any,
) -> int:
    """Move these messages from state `was` to `state` at a moment, with further columns; returns how many there were.

    `tried` counts an attempt. `within` leaves alone what is no longer in that batch, for an operator may have moved it
    to another. A step that TRANSITIONS does not know is a bug and raises ValueError.
    """
    if state not in TRANSITIONS[was]:
        raise ValueError(f"no message goes from {was} to {state}")
    if not ids:
        return 0
    if tried:
        values["attempts"] = messages.c.attempts + 1
    chosen = sa.update(messages).where(any_of(connection, messages.c.id, list(ids)), messages.c.state == was)
    if within is not None:
        chosen = chosen.where(messages.c.batch_id == within)
    moved = connection.execute(chosen.values(state=state, updated_at=at, **values))
    return moved.rowcount


def cancel(connection: sa.Connection, notification_id: UUID, at: datetime) -> int:
    """Cancel what no worker has taken yet; returns how many. What one gives back later is cancelled then.

    Its batches are locked first, as by whoever claims or settles them: so neither waits for a message that the other
    has, and each message is either taken or cancelled.
    """
    noted = sa.update(notifications).where(notifications.c.id == notification_id)
    connection.execute(noted.values(cancelled_at=sa.func.coalesce(notifications.c.cancelled_at, at)))
    own = messages.c.notification_id == notification_id
    under_way = own, messages.c.state.in_([MessageState.QUEUED, MessageState.SENDING])
    held = sa.select(batches.c.id).where(batches.c.id.in_(sa.select(messages.c.batch_id).where(*under_way)))
    connection.execute(held.order_by(batches.c.id).with_for_update())
    return _cancel(connection, own, at, rule="by request, before any worker had it")


def cancel_returned(connection: sa.Connection, batch_id: UUID, at: datetime) -> int:
    """Cancel what waits in this batch, whose lock is held, of notifications that were cancelled; returns how many."""
    cancelled = notifications.c.id == messages.c.notification_id, notifications.c.cancelled_at.is_not(None)
    of_cancelled = sa.exists().where(*cancelled)
    return _cancel(
        connection,
        sa.and_(messages.c.batch_id == batch_id, of_cancelled),
        at,
        rule="by request, before it was sent on",
    )


def _cancel(connection: sa.Connection, which: sa.ColumnElement[bool], at: datetime, *, rule: str) -> int:
    told = {"state": MessageState.CANCELLED, "reason": "cancelled", "rule": rule, "updated_at": at}
    waiting = sa.update(messages).where(which, messages.c.state == MessageState.QUEUED)
    cancelled = connection.execute(waiting.values(**told))
    if cancelled.rowcount:
        gone = sa.select(messages.c.id).where(which, messages.c.state == MessageState.CANCELLED)
        connection.execute(sa.delete(kept_mails).where(kept_mails.c.message_id.in_(gone)))
    return cancelled.rowcount


def find(connection: sa.Connection, message_id: UUID) -> Message | None:
    """One message by id."""
    row = connection.execute(sa.select(messages).where(messages.c.id == message_id)).one_or_none()
    return None if row is None else _message(row)


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of `notify messages list`."""

    message: Message
    kind: str
    mode: Mode
    recipient: str


def listing(
    connection: sa.Connection,
    tenant_id: UUID,
    *,
    states: Collection[MessageState] = (),
    kind: str | None = None,
    recipient: str | None = None,
    notification_id: UUID | None = None,
    limit: int = 20,
) -> list[Listed]:
    """Messages, newest first."""
    wanted = [messages.c.tenant_id == tenant_id]
    if states:
        wanted.append(messages.c.state.in_(list(states)))
    if kind:
        wanted.append(notifications.c.kind == kind)
    if recipient:
        wanted.append(recipients.c.key == recipient)
    if notification_id:
        wanted.append(messages.c.notification_id == notification_id)
    # a batch that was put off as a whole says so in its own row
    apart = (batches.c.state == BatchState.READY, batches.c.reason.is_not(None))
    waits = sa.and_(batches.c.id == messages.c.batch_id, messages.c.state == MessageState.QUEUED, *apart)
    held = (batches.c.due_at.label("held_until"), batches.c.reason.label("held"), batches.c.rule.label("held_by"))
    rows = connection.execute(
        sa.select(messages, notifications.c.kind, notifications.c.mode, recipients.c.key, *held)
        .join(notifications, notifications.c.id == messages.c.notification_id)
        .join(recipients, recipients.c.id == messages.c.recipient_id)
        .outerjoin(batches, waits)
        .where(*wanted)
        .order_by(messages.c.id.desc())
        .limit(limit)
    )
    return [Listed(_as_it_waits(row), row.kind, Mode(row.mode), row.key) for row in rows]


def _as_it_waits(row: Any) -> Message:
    """The message with the reason for which its batch waits, if that does as a whole."""
    message = _message(row)
    if row.held is None:
        return message
    return replace(message, due_at=max(row.held_until, message.due_at), reason=row.held, rule=row.held_by)


def _message(row: Any) -> Message:
    return Message(
        id=row.id,
        tenant_id=row.tenant_id,
        notification_id=row.notification_id,
        recipient_id=row.recipient_id,
        channel=Channel(row.channel),
        address=row.address,
        state=MessageState(row.state),
        attempts=row.attempts,
        due_at=row.due_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        batch_id=row.batch_id,
        reason=row.reason,
        rule=row.rule,
        sent_at=row.sent_at,
        consent_id=row.consent_id,
    )
