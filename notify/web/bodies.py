"""Bodies that nobody has proven yet: so many octets of them are held at once and no more, and none is read for ever.

What is large has half of the room, so that many large ones never shut out the small, which are nearly all there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from starlette.requests import Request

SMALL = 64 * 1024  # octets of a body that may use all of the room


class TooLarge(Exception):
    """A body with more octets than may come."""


class NoRoom(Exception):
    """More is being read than may be: come back later."""


class TooSlow(Exception):
    """A body that took longer than it may."""


class Room:
    """For so many octets, of all bodies together that are read in one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    @contextmanager
    def body(self) -> Iterator[Callable[[int], None]]:
        """Yields what to call for so many octets more; it raises `NoRoom`. They are let go at the end."""
        mine = 0

        def hold(octets: int) -> None:
            nonlocal mine
            room = self._most if mine + octets <= SMALL else self._most // 2
            if self._held + octets > room:
                raise NoRoom("too many bodies are being read")
            self._held += octets
            mine += octets

        try:
            yield hold
        finally:
            self._held -= mine


async def read(request: Request, largest: int, seconds: float, take: Callable[[bytes], None]) -> None:
    """Hand over the octets as they come.

    Raises `TooLarge`, `TooSlow`, `ClientDisconnect` and what `take` raises, and reads no further.
    """
    try:
        async with asyncio.timeout(seconds):
            async for chunk in _chunks(request, largest):
                take(chunk)
    except TimeoutError:
        raise TooSlow from None


async def _chunks(request: Request, largest: int) -> AsyncIterator[bytes]:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:12]) > largest:
        raise TooLarge
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > largest:
            raise TooLarge
        yield chunk
