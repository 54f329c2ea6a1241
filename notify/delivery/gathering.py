"""Messages gathered into new batches that are due now, so that somebody's word sends them on at once."""

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


def gathered(tenant_id: UUID, waiting: Mapping[Queue, Sequence[UUID]], size: int, now: datetime) -> list[Part]:
    """New batches of at most `size` messages, each with the ids of its own."""
    parts = []
    for queue, ids in waiting.items():
        for start in range(0, len(ids), size):
            part = ids[start : start + size]
            batch = Batch(uuid7(), tenant_id, queue.channel, queue.lane, now, size=len(part), as_was=queue.as_was)
            parts.append((batch, part))
    return parts
