"""The Redis list by which a dead worker's batch is reconstructed: whom it had begun to write to, in order.

A message is entered before its hand-over begins. So, once the worker is dead: what is not in the journal was never
tried, all but the last entry had been answered, and only the last one is in doubt.
"""

from __future__ import annotations

from typing import cast
from uuid import UUID

from redis import Redis

from notify.model import Batch

KEPT_SECONDS = 7 * 24 * 3600
OPENED = b"opened"  # the first entry: tells an empty journal from one that Redis has lost


class Journal:
    """The journal of one lease of one batch."""

    def __init__(self, redis: Redis, batch: Batch, epoch: int) -> None:
        self._redis = redis
        self._key = f"notify:journal:{batch.id}:{epoch}"

    def open(self) -> None:
        """Begin. Returns once Redis has it: without a journal nothing may be sent."""
        with self._redis.pipeline() as pipe:
            pipe.rpush(self._key, OPENED)
            pipe.expire(self._key, KEPT_SECONDS)
            pipe.execute()

    def enter(self, message_id: UUID) -> None:
        """This message's hand-over begins now."""
        self._redis.rpush(self._key, message_id.bytes)

    def entries(self) -> list[UUID] | None:
        """Whom it tells of, in order; None when Redis has lost it."""
        found = self._redis.lrange(self._key, 0, -1)
        return [UUID(bytes=cast(bytes, entry)) for entry in found[1:]] if found else None

    def close(self) -> None:
        """The batch is settled: nobody will ask."""
        self._redis.delete(self._key)
