"""Many add, one writes: what comes while a write is under way is in the next, in the order in which it came."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class OneWriter(Generic[T]):
    """`write` takes `most` at once; what it raises is raised for each that it was given, and the next are written."""

    def __init__(self, write: Callable[[Sequence[T]], Awaitable[None]], most: int) -> None:
        self._write = write
        self._most = most
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._writing = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many no write has been begun for."""
        return len(self._waiting)

    @property
    def unwritten(self) -> int:
        """How many wait, or are being written."""
        return self._writing + len(self._waiting)

    def add(self, one: T) -> asyncio.Future[None]:
        """What is over when it is written."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return future

    async def settled(self, seconds: float) -> None:
        """Return when nothing waits any more and each has been told, or after so long."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)

    async def finish(self, seconds: float) -> None:
        """Write what waits, for so long at most. What is unwritten then stays so."""
        if self._task is not None and not self._task.done():
            await self.settled(seconds)
            self._task.cancel()

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            self._writing = len(batch)
            error: BaseException | None = None
            try:
                await self._write([one for one, _ in batch])
            except Exception as raised:
                error = raised
            self._writing = 0
            for _, future in batch:
                if future.done():  # whoever waited has gone
                    continue
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
