"""Many who wait, one transaction: what comes while another commit is under way is stored by the next, all or none.

Nobody waits longer than for two commits, and each is told only after its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from anyio import to_thread

from notify.feedback.one_writer import OneWriter

MOST = 500  # stored at once
MOST_WAITING = 5_000

T = TypeVar("T")


class Full(Exception):
    """More waits than may: come back later."""


class Gathering(Generic[T]):
    """`store` takes a sequence and runs in a thread; what it raises is raised for each that it was given."""

    def __init__(self, store: Callable[[Sequence[T]], object], size: Callable[[T], int], most_octets: int) -> None:
        self._store = store
        self._size = size
        self._most_octets = most_octets
        self._octets = 0
        self._writer = OneWriter[T](self._write, MOST)

    async def add(self, one: T) -> None:
        """Return when it is stored. Raises `Full`, or what `store` raises."""
        if self._writer.waiting >= MOST_WAITING or self._octets + self._size(one) > self._most_octets:
            raise Full("too many deliveries wait to be stored")
        self._octets += self._size(one)
        await self._writer.add(one)

    async def settled(self, seconds: float) -> None:
        """Return when nothing waits any more and each has been told, or after so long."""
        await self._writer.settled(seconds)

    async def _write(self, batch: Sequence[T]) -> None:
        try:
            await to_thread.run_sync(self._store, batch)
        finally:
            self._octets -= sum(self._size(one) for one in batch)
