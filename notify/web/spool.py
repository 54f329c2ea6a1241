"""What was seen is written behind the answers, many at a time; who keeps it may be away for a while, and nobody waits.

So many are kept meanwhile. More are lost, and how many that were is said in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from redis import RedisError
from starlette.concurrency import run_in_threadpool

from notify.feedback.tracking import Sighting
from notify.telemetry import emit

AT_ONCE = 500
MOST_WAITING = 20_000
PATIENCE_SECONDS = 0.05  # an answer waits so long for what it tells of to be written
RETRY_SECONDS = 1.0
FAREWELL_SECONDS = 3.0


class Spool:
    """`write` takes a sequence, runs in a thread, raises `RedisError` and returns how many it had no room for."""

    def __init__(self, write: Callable[[Sequence[Sighting]], int]) -> None:
        self._write = write
        self._waiting: list[tuple[Sighting, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._away = False
        self._lost = 0

    async def add(self, one: Sighting) -> None:
        """Return when it is written, or when that takes too long: then it is written later. Raises nothing."""
        if len(self._waiting) >= MOST_WAITING:
            self._lost += 1
            return
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._run())
        if not self._away:
            await asyncio.wait([written], timeout=PATIENCE_SECONDS)

    async def close(self) -> None:
        """Write what waits; what cannot be written by now is lost."""
        if self._writer is not None and not self._writer.done():
            await asyncio.wait([self._writer], timeout=FAREWELL_SECONDS)
            self._writer.cancel()
        self._lost += len(self._waiting)
        self._waiting.clear()
        self._tell()

    async def _run(self) -> None:
        while self._waiting:
            batch = self._waiting[:AT_ONCE]
            try:
                without_room = await run_in_threadpool(self._write, [one for one, _ in batch])
            except RedisError as error:
                if not self._away:
                    emit("tracking.delayed", error=type(error).__name__)
                self._away = True
                self._tell()
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._away = False
            del self._waiting[: len(batch)]
            self._lost += without_room
            self._tell()
            for _, written in batch:
                if not written.done():
                    written.set_result(None)

    def _tell(self) -> None:
        if self._lost:
            emit("tracking.lost", reason="no_room", sightings=self._lost)
            self._lost = 0
