"""Messages gathered into new batches, so that somebody's word sends them on at once, or at another time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from notify.model import Batch, Channel, Lane
from notify.store.work import Part


class Queue(NamedTuple):
    """What the messages of a batch have in common."""

    channel: Channel
    lane: Lane
    as_was: bool = False


def gathered(tenant_id: UUID, waiting: Mapping[Queue, Sequence[UUID]], size: int, due_at: datetime) -> list[Part]:
    """New batches of at most `size` messages that are due then, each with the ids of its own."""
    parts = []
    for queue, ids in waiting.items():
        for start in range(0, len(ids), size):
            part = ids[start : start + size]
            batch = Batch(uuid7(), tenant_id, queue.channel, queue.lane, due_at, size=len(part), as_was=queue.as_was)
            parts.append((batch, part))
    return parts
