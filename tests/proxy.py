"""A TCP link that can be made slow, half-open, reset or cut while it is in use."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any

CHUNK = 1 << 16
LISTEN_TRIES = 50


class Proxy:
    """Listens on `port` of the loopback interface and passes everything on, until the block ends.

    `upstream` is a host and a port, or the path of a Unix socket.
    """

    def __init__(self, upstream: tuple[str, int] | Path) -> None:
        self._upstream = upstream
        self._links: set[_Link] = set()
        self._half_open = False
        self.delays = (0.0, 0.0)  # seconds: from the client, to the client
        self.tap: Callable[[bytes], None] | None = None  # sees what clients send, before it is passed on
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self.port = 0

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._ask(self._listen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._ask(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def half_open(self) -> None:
        """From now on nothing comes through, and nobody is told: links that are open stay so, new ones are accepted."""

        async def switch() -> None:
            self._half_open = True
            for link in self._links:
                link.frozen = True

        self._ask(switch)

    def reset(self) -> None:
        """Break every open link with a RST. New ones are welcome."""

        async def switch() -> None:
            for link in list(self._links):
                link.reset()

        self._ask(switch)

    def cut(self) -> None:
        """Break every open link and refuse new ones."""

        async def switch() -> None:
            if self._server is not None:
                self._server.close()
                self._server = None
            for link in list(self._links):
                link.reset()

        self._ask(switch)

    def mend(self) -> None:
        """New links work. Those that were half open never will: whoever forgot them does not remember."""

        async def switch() -> None:
            self._half_open = False
            if self._server is None:
                await self._listen()

        self._ask(switch)

    async def _listen(self) -> None:
        for tries_left in range(LISTEN_TRIES, -1, -1):
            try:
                self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, backlog=512)
                break
            except OSError:  # a client's own port may lie there for a moment
                if not tries_left:
                    raise
                await asyncio.sleep(0.1)
        assert self._server is not None
        self.port = self._server.sockets[0].getsockname()[1]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, writer)
        link.frozen = self._half_open
        self._links.add(link)
        try:
            await link.carry(reader, self._upstream)
        finally:
            link.close()
            self._links.discard(link)

    async def _end(self) -> None:
        others = asyncio.all_tasks(self._loop) - {asyncio.current_task(self._loop)}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # for aborted transports to close their sockets

    def _ask(self, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await work()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(30)


class _Link:
    """One client's connection, and ours to the server."""

    def __init__(self, proxy: Proxy, client: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._writers = [client]
        self.frozen = False

    async def carry(self, from_client: asyncio.StreamReader, upstream: tuple[str, int] | Path) -> None:
        try:
            from_server, to_server = await _reach(upstream)
        except OSError:
            return
        self._writers.append(to_server)
        to_client = self._writers[0]
        ways = [self._pump(from_client, to_server, 0), self._pump(from_server, to_client, 1)]
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: int) -> None:
        while data := await reader.read(CHUNK):
            if self._proxy.delays[direction]:
                await asyncio.sleep(self._proxy.delays[direction])
            if direction == 0 and self._proxy.tap is not None:
                self._proxy.tap(data)
            if not self.frozen:
                writer.write(data)
                await writer.drain()

    def reset(self) -> None:
        for writer in self._writers:
            plug: Any = writer.get_extra_info("socket")
            if plug is not None and plug.fileno() >= 0:
                plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


async def _reach(upstream: tuple[str, int] | Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(upstream, Path):
        return await asyncio.open_unix_connection(upstream)
    return await asyncio.open_connection(*upstream)
