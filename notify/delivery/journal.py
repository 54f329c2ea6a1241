"""The Redis list by which a dead worker's batch is reconstructed: whom it had begun to write to, in order.

A message is entered before its hand-over begins. So, once the worker is dead: what is not in the journal was never
tried, all but the last entry had been answered, and only the last one is in doubt.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
        self._sealed = f"{self._key}:sealed"

    def open(self) -> None:
        """Begin. Returns once Redis has it: without a journal nothing may be sent."""
        with _answering(), self._redis.pipeline() as pipe:
            pipe.delete(self._key)  # a claim of this epoch may have failed after it had opened
            pipe.rpush(self._key, OPENED)
            pipe.expire(self._key, KEPT_SECONDS)
            pipe.execute()

    def enter(self, message_id: UUID) -> bool:
        """This message's hand-over begins now. False when the journal is gone: then it must not begin.

        Redis lost it, or whoever took the batch over has sealed it.
        """
        with _answering():
            return bool(self._redis.rpushx(self._key, message_id.bytes))  # type: ignore[arg-type]  # bytes will do

    def seal(self) -> list[UUID] | None:
        """Close it against its writer, who may only be slow, and tell whom it holds, in order; None: Redis has lost it.

        Can be asked again: a claim that fails after it is repeated.
        """
        with _answering(), self._redis.pipeline() as pipe:
            pipe.lrange(self._key, 0, -1)
            pipe.lrange(self._sealed, 0, -1)
            pipe.rename(self._key, self._sealed)  # fails without harm when it is sealed or lost
            fresh, sealed, _ = pipe.execute(raise_on_error=False)
        found = fresh or sealed
        if isinstance(found, RedisError):
            raise found
        whole = bool(found) and found[0] == OPENED
        return [UUID(bytes=entry) for entry in found if entry != OPENED] if whole else None

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
