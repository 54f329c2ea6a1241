"""Many requests, one transaction: what comes while another commit is under way is stored by the next, all or none.

Nobody waits longer than for two commits, and each is told only after its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

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
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def add(self, one: T) -> None:
        """Return when it is stored. Raises `Full`, or what `store` raises."""
        if len(self._waiting) >= MOST_WAITING or self._octets + self._size(one) > self._most_octets:
            raise Full("too many deliveries wait to be stored")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, future))
        self._octets += self._size(one)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await future

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            error: BaseException | None = None
            try:
                await run_in_threadpool(self._store, [one for one, _ in batch])
            except Exception as raised:
                error = raised
            self._octets -= sum(self._size(one) for one, _ in batch)
            for _, future in batch:
                if future.done():  # whoever waited has gone
                    continue
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
