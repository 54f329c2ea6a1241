"""The Redis list by which a dead worker's batch is reconstructed: whom it had begun to write to, in order.

A message is entered before its hand-over begins. So, once the worker is dead: what is not in the journal was never
tried, all but the last entry had been answered, and only the last one is in doubt.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from uuid import UUID

from redis import Redis, RedisError

from notify.errors import Unreachable
from notify.model import Batch

KEPT_SECONDS = 7 * 24 * 3600
OPENED = b"opened"  # the first entry: tells an empty journal from one that Redis has lost


class Journal:
    """The journal of one lease of one batch. Every call raises `Unreachable` when Redis does not answer."""

    def __init__(self, redis: Redis, batch: Batch, epoch: int) -> None:
        self._redis = redis
        self._key = f"notify:journal:{batch.id}:{epoch}"

    def open(self) -> None:
        """Begin. Returns once Redis has it: without a journal nothing may be sent."""
        with _answering(), self._redis.pipeline() as pipe:
            pipe.rpush(self._key, OPENED)
            pipe.expire(self._key, KEPT_SECONDS)
            pipe.execute()

    def enter(self, message_id: UUID) -> None:
        """This message's hand-over begins now."""
        with _answering():
            self._redis.rpush(self._key, message_id.bytes)

    def entries(self) -> list[UUID] | None:
        """Whom it tells of, in order; None when Redis has lost it."""
        with _answering():
            found = self._redis.lrange(self._key, 0, -1)
        return [UUID(bytes=cast(bytes, entry)) for entry in found[1:]] if found else None

    def close(self) -> None:
        """The batch is settled: nobody will ask."""
        with _answering():
            self._redis.delete(self._key)


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise Unreachable(
            f"Redis, which keeps the journal, does not answer: {error}\n"
            "Next: check that it runs and that NOTIFY_REDIS_URL is right (notify config)."
        ) from error
