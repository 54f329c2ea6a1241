"""What waits for a recipient's peace, or for a time on their clock, goes by what they say now: not by what they said.

Whoever claims it asks again whether it is quiet.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from uuid import UUID

from notify.app import App
from notify.model import Batch
from notify.policy import meant_for
from notify.store import Connection, held, waiting
from notify.store.gathering import Queue, gathered
from notify.store.messages import SCHEDULED


def reschedule(app: App, connection: Connection, recipient_id: UUID) -> list[Batch]:
    """Move what waits to the moment that it is meant for, or to now; returns the batches to ring for after the commit.

    What is scheduled for a moment waits for that, whether or not the recipient wants quiet then.
    """
    now, size = app.clock.now(), app.settings.batch_size
    moved: dict[tuple[datetime, str, UUID], dict[Queue, list[UUID]]] = defaultdict(lambda: defaultdict(list))
    for one in held.of_recipient(connection, recipient_id, now):
        due, rule = meant_for(one.at, one.timezone, app.settings.default_timezone, now)
        if due != one.due_at:
            moved[due, rule, one.tenant_id][one.queue].append(one.id)
    rung: list[Batch] = []
    for (due, rule, tenant_id), queues in moved.items():
        why = (SCHEDULED, rule) if due > now else None
        _, ready = waiting.move_to(connection, gathered(tenant_id, queues, size, due), now, why=why)
        rung += ready
    return rung
