"""Messages that wait for the end of a recipient's quiet hours, or for the time until which nothing may disturb them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from notify.model import BatchState, Channel, Lane, MessageState
from notify.store.tables import batches, messages

REASON = "quiet"
_OWN = ("channel", "lane", "as_was")
_HELD = (
    sa.select(messages.c.id, messages.c.tenant_id, *(batches.c[name] for name in _OWN))
    .join(batches, batches.c.id == messages.c.batch_id)
    .where(
        messages.c.recipient_id == sa.bindparam("recipient"),
        messages.c.state == MessageState.QUEUED,
        batches.c.state == BatchState.READY,
        batches.c.due_at > sa.bindparam("now", type_=batches.c.due_at.type),
        sa.func.coalesce(batches.c.reason, messages.c.reason) == REASON,
    )
    .order_by(messages.c.id)
    .with_for_update(of=messages)
)


def of_recipient(
    connection: sa.Connection, recipient_id: UUID, now: datetime
) -> Mapping[tuple[UUID, Channel, Lane, bool], Sequence[UUID]]:
    """Their ids by tenant, channel, lane and whether they go as they were; locked against whoever would claim them."""
    found: dict[tuple[UUID, Channel, Lane, bool], list[UUID]] = defaultdict(list)
    for row in connection.execute(_HELD, {"recipient": recipient_id, "now": now}):
        found[row.tenant_id, Channel(row.channel), Lane(row.lane), bool(row.as_was)].append(row.id)
    return found
