"""Messages: planned in bulk, worked on by batch, settled under the batch's fence."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import TRANSITIONS, Attempt, Batch, Channel, Message, MessageState, Mode, Outcome, Recipient
from notify.model.recipient import Address
from notify.store import batches
from notify.store.engine import any_of, upsert
from notify.store.tables import attempts, messages, notifications, recipients

SCHEDULED = "scheduled"
"""The reason of a message that waits for the time it was planned for."""


@dataclass(frozen=True, slots=True)
class Work:
    """One message with what is needed to render it."""

    message: Message
    data: Mapping[str, Any] | None  # the message's own part, over the notification's
    recipient: Recipient
    kind: str
    mode: Mode
    notification_data: Mapping[str, Any]
    correlation_id: str | None
    scheduled_at: datetime  # when it was meant to go out: the mail's Date, the same on every try


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
                }
                for row, own in rows
            ],
        )


@dataclass(frozen=True, slots=True)
class HalfWay:
    """A message that an earlier holder of its batch left in state sending."""

    id: UUID
    tenant_id: UUID
    notification_id: UUID
    kind: str
    mode: Mode
    attempts: int


def half_way(connection: sa.Connection, batch: Batch) -> list[HalfWay]:
    """What an earlier holder of this batch left in state sending."""
    rows = connection.execute(
        sa.select(
            messages.c.id,
            messages.c.tenant_id,
            messages.c.notification_id,
            notifications.c.kind,
            notifications.c.mode,
            messages.c.attempts,
        )
        .join(notifications, notifications.c.id == messages.c.notification_id)
        .where(messages.c.batch_id == batch.id, messages.c.state == MessageState.SENDING)
    )
    return [HalfWay(**{**row._mapping, "mode": Mode(row.mode)}) for row in rows]


def take(connection: sa.Connection, batch: Batch, *, due_by: datetime, at: datetime) -> list[Work]:
    """Mark what is due in this batch as sending, and load it in the order of planning."""
    connection.execute(
        sa.update(messages)
        .where(messages.c.batch_id == batch.id, messages.c.state == MessageState.QUEUED, messages.c.due_at <= due_by)
        .values(state=MessageState.SENDING, updated_at=at)
    )
    rows = connection.execute(
        sa.select(
            messages,
            recipients.c.key,
            recipients.c.locale,
            recipients.c.timezone,
            recipients.c.attributes,
            recipients.c.tags,
            notifications.c.kind,
            notifications.c.mode,
            notifications.c.correlation_id,
            notifications.c.data.label("notification_data"),
            notifications.c.at.label("notification_at"),
            notifications.c.created_at.label("notification_created_at"),
        )
        .join(recipients, recipients.c.id == messages.c.recipient_id)
        .join(notifications, notifications.c.id == messages.c.notification_id)
        .where(messages.c.batch_id == batch.id, messages.c.state == MessageState.SENDING)
        .order_by(messages.c.id)
    )
    return [_work(row) for row in rows]


def move(
    connection: sa.Connection,
    ids: Collection[UUID],
    was: MessageState,
    state: MessageState,
    *,
    at: datetime,
    tried: bool = False,
    **values: Any,
) -> int:
    """Move these messages from state `was` to `state` at a moment, with further columns; returns how many there were.

    `tried` counts an attempt. A step that TRANSITIONS does not know is a bug and raises ValueError.
    """
    if state not in TRANSITIONS[was]:
        raise ValueError(f"no message goes from {was} to {state}")
    if not ids:
        return 0
    if tried:
        values["attempts"] = messages.c.attempts + 1
    moved = connection.execute(
        sa.update(messages)
        .where(any_of(connection, messages.c.id, list(ids)), messages.c.state == was)
        .values(state=state, updated_at=at, **values)
    )
    return moved.rowcount


def accept(connection: sa.Connection, ids: Collection[UUID], at: datetime) -> None:
    """A provider took these: sent, with nothing left to explain."""
    sent = MessageState.SENT
    move(connection, ids, MessageState.SENDING, sent, at=at, tried=True, sent_at=at, reason=None, rule=None)


def record(connection: sa.Connection, rows: Sequence[Attempt]) -> None:
    """Write attempts. They are never updated."""
    if rows:
        connection.execute(
            # written again when the commit's answer was lost: the same rows, no others
            upsert(connection, attempts).on_conflict_do_nothing(index_elements=["id"]),
            [{column.name: getattr(row, column.name) for column in attempts.c} for row in rows],
        )


def release(connection: sa.Connection, batch: Batch, at: datetime) -> int:
    """Give back what this batch's holder did not begin; returns how many."""
    given_back = connection.execute(
        sa.update(messages)
        .where(messages.c.batch_id == batch.id, messages.c.state == MessageState.SENDING)
        .values(state=MessageState.QUEUED, updated_at=at)
    )
    return given_back.rowcount


def rebatch(connection: sa.Connection, batch: Batch, now: datetime) -> list[Batch]:
    """Move what still waits in a finished batch into new ones, one per time it is due; returns those."""
    waiting = (messages.c.batch_id == batch.id, messages.c.state == MessageState.QUEUED)
    groups = connection.execute(
        sa.select(messages.c.due_at, sa.func.count()).where(*waiting).group_by(messages.c.due_at)
    ).all()
    fresh = [Batch(uuid7(), batch.tenant_id, batch.channel, batch.lane, due_at, size=count) for due_at, count in groups]
    batches.insert(connection, fresh, now)
    for new in fresh:
        connection.execute(sa.update(messages).where(*waiting, messages.c.due_at == new.due_at).values(batch_id=new.id))
    return fresh


def cancel(connection: sa.Connection, notification_id: UUID, at: datetime) -> int:
    """Cancel what no worker has taken yet; returns how many."""
    cancelled = connection.execute(
        sa.update(messages)
        .where(messages.c.notification_id == notification_id, messages.c.state == MessageState.QUEUED)
        .values(
            state=MessageState.CANCELLED,
            reason="cancelled",
            rule="by request, before any worker had it",
            updated_at=at,
        )
    )
    return cancelled.rowcount


def find(connection: sa.Connection, message_id: UUID) -> Message | None:
    """One message by id."""
    row = connection.execute(sa.select(messages).where(messages.c.id == message_id)).one_or_none()
    return None if row is None else _message(row)


def attempts_of(connection: sa.Connection, message_id: UUID) -> list[Attempt]:
    """A message's attempts, oldest first."""
    rows = connection.execute(
        sa.select(attempts).where(attempts.c.message_id == message_id).order_by(attempts.c.at, attempts.c.number)
    )
    return [Attempt(**{**row._mapping, "outcome": Outcome(row.outcome)}) for row in rows]


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
    rows = connection.execute(
        sa.select(messages, notifications.c.kind, notifications.c.mode, recipients.c.key)
        .join(notifications, notifications.c.id == messages.c.notification_id)
        .join(recipients, recipients.c.id == messages.c.recipient_id)
        .where(*wanted)
        .order_by(messages.c.id.desc())
        .limit(limit)
    )
    return [Listed(_message(row), row.kind, Mode(row.mode), row.key) for row in rows]


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
    )


def _work(row: Any) -> Work:
    message = _message(row)
    reached = {message.channel: Address(message.channel, message.address)} if message.address else {}
    return Work(
        message=message,
        data=row.data,
        recipient=Recipient(
            id=message.recipient_id,
            key=row.key,
            locale=row.locale,
            timezone=row.timezone,
            attributes=row.attributes,
            tags=tuple(row.tags),
            addresses=reached,
        ),
        kind=row.kind,
        mode=Mode(row.mode),
        notification_data=row.notification_data,
        correlation_id=row.correlation_id,
        scheduled_at=row.notification_at or row.notification_created_at,
    )
