"""What was seen is written behind the answers, many at a time; who keeps it may be away for a while, and nobody waits.

So many are kept meanwhile. More are lost, and so is what can never be written; how many that were is said in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from redis import RedisError
from starlette.concurrency import run_in_threadpool

from notify.feedback.one_writer import OneWriter
from notify.feedback.tracking import Sighting
from notify.telemetry import emit

AT_ONCE = 500
MOST_WAITING = 20_000
PATIENCE_SECONDS = 0.05  # an answer waits so long for what it tells of to be written
RETRY_SECONDS = 1.0
FAREWELL_SECONDS = 3.0


class Spool:
    """`write` takes a sequence, runs in a thread and returns how many it had no room for.

    After a `RedisError` it is given the same again. What it was given when it raised anything else is lost.
    """

    def __init__(self, write: Callable[[Sequence[Sighting]], int]) -> None:
        self._write = write
        self._writer = OneWriter[Sighting](self._written, AT_ONCE)
        self._away = False
        self._lost = 0

    async def add(self, one: Sighting) -> None:
        """Return when it is written, or when that takes too long: then it is written later. Raises nothing."""
        if self._writer.unwritten >= MOST_WAITING:
            self._lost += 1
            return
        written = self._writer.add(one)
        if not self._away:
            await asyncio.wait([written], timeout=PATIENCE_SECONDS)

    async def close(self) -> None:
        """Write what waits; what cannot be written by now is lost."""
        await self._writer.finish(FAREWELL_SECONDS)
        self._lost += self._writer.unwritten
        self._tell()

    async def _written(self, batch: Sequence[Sighting]) -> None:
        """Return when it is, or when it is known that it cannot be."""
        while True:
            try:
                without_room = await run_in_threadpool(self._write, batch)
            except RedisError as error:
                if not self._away:
                    emit("tracking.delayed", error=type(error).__name__)
                self._away = True
                self._tell()
                await asyncio.sleep(RETRY_SECONDS)
            except Exception as error:
                emit("tracking.lost", reason="failed", sightings=len(batch), error=type(error).__name__)
                return
            else:
                self._away = False
                self._lost += without_room
                self._tell()
                return

    def _tell(self) -> None:
        if self._lost:
            emit("tracking.lost", reason="no_room", sightings=self._lost)
            self._lost = 0
