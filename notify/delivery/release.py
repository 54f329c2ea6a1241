"""What was held for a recipient's peace goes out when they no longer want it: now, not when it would have ended."""

from __future__ import annotations

from uuid import UUID

from notify.app import App, ring
from notify.delivery.gathering import Queue, gathered
from notify.model import Batch
from notify.store import held, waiting


def release(app: App, recipient_id: UUID) -> int:
    """Bring what is held forward; returns how many messages. Whoever claims them asks again whether it is quiet."""
    now, size = app.clock.now(), app.settings.batch_size
    rung: list[Batch] = []
    moved = 0
    with app.store.begin() as connection:
        for (tenant_id, channel, lane, as_was), ids in held.of_recipient(connection, recipient_id, now).items():
            parts = gathered(tenant_id, {Queue(channel, lane, as_was): ids}, size, now)
            count, due = waiting.move_to(connection, parts, now)
            moved, rung = moved + count, [*rung, *due]
    ring(app, rung)
    return moved
