"""The bell: a batch's id has arrived."""

from __future__ import annotations

from uuid import UUID

from notify.app import current
from notify.broker import DELIVER, celery
from notify.delivery import deliver
from notify.errors import Unreachable
from notify.tasks.process import worker
from notify.telemetry import emit


@celery.task(name=DELIVER)
def ring(batch_id: str) -> None:
    """Deliver this batch, if it is still to be delivered."""
    try:
        deliver(current(), UUID(batch_id), worker)
    except Unreachable as error:  # the batch is safe in the database: the relay rings again
        emit("batch.handed_back", batch=batch_id, reason=str(error))
