"""Messages that wait for the end of a recipient's quiet hours or do-not-disturb, or for a time on their clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from notify.model import BatchState, Channel, Lane, Local, MessageState
from notify.store.gathering import Queue
from notify.store.messages import QUIET, SCHEDULED
from notify.store.tables import batches, messages, notifications, recipients


@dataclass(frozen=True, slots=True)
class Held:
    """A message that waits until `due_at`, and when it was meant to go out: None is as soon as may be."""

    id: UUID
    tenant_id: UUID
    queue: Queue
    due_at: datetime
    at: datetime | Local | None
    timezone: str | None


_WHY = sa.func.coalesce(batches.c.reason, messages.c.reason)
_HELD = (
    sa.select(
        *(messages.c[name] for name in ("id", "tenant_id", "due_at")),
        *(batches.c[name] for name in ("channel", "lane", "as_was")),
        *(notifications.c[name] for name in ("at", "at_local", "created_at")),
        recipients.c.timezone,
    )
    .join(batches, batches.c.id == messages.c.batch_id)
    .join(notifications, notifications.c.id == messages.c.notification_id)
    .join(recipients, recipients.c.id == messages.c.recipient_id)
    .where(
        messages.c.recipient_id == sa.bindparam("recipient"),
        messages.c.state == MessageState.QUEUED,
        batches.c.state == BatchState.READY,
        batches.c.due_at > sa.bindparam("now", type_=batches.c.due_at.type),
        sa.or_(_WHY == QUIET, sa.and_(_WHY == SCHEDULED, notifications.c.at_local.is_not(None))),
    )
    .order_by(messages.c.id)
    .with_for_update(of=messages)
)


def of_recipient(connection: sa.Connection, recipient_id: UUID, now: datetime) -> Iterator[Held]:
    """Theirs, locked against whoever would claim them."""
    for row in connection.execute(_HELD, {"recipient": recipient_id, "now": now}):
        queue = Queue(Channel(row.channel), Lane(row.lane), bool(row.as_was))
        at = Local.parse(row.at_local, since=row.created_at) if row.at_local else row.at
        yield Held(row.id, row.tenant_id, queue, row.due_at, at, row.timezone)
