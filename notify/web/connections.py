"""A connection that keeps a server waiting is closed, however busy it looks: headers, and what follows an answer.

uvicorn closes connections that are idle between two requests, and none that trickles: one octet stops that clock. The
time of a body that somebody reads is for the reader to bound.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 20.0
"""From the beginning of a connection, or the first octet after an answer, until a request's headers are complete."""


class TimelyProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it; it is given to it as `http=`."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Some octets came."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait()
        else:
            self._wait_no_longer()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(SECONDS, self.transport.abort)

    def _wait_no_longer(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
