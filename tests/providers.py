"""An SMTP server that answers as it is told, for tests of failure."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from notify.channels.provider import Connection, Receipt
from notify.channels.provider import Envelope as Handed
from notify.dev.mailbox import Mailbox
from notify.errors import DeliveryError


class Moody(Mailbox):
    """Answers each DATA, or RCPT, with the next of its scripted replies; a script that ran out accepts."""

    def __init__(self, folder: Path, *, data: Iterable[str] = (), rcpt: dict[str, str] | None = None) -> None:
        super().__init__(folder)
        self.data = deque(data)
        self.rcpt = rcpt or {}
        self.tried: Counter[str] = Counter()

    def stop_listening(self) -> None:
        """Refuse new connections; those that are open stay. Call it from a handler."""
        server = self._controller.server
        assert server is not None
        server.close()

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[Any]
    ) -> str:
        self.tried[address] += 1
        if address in self.rcpt:
            return self.rcpt[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.data:
            return self.data.popleft()
        return await super().handle_DATA(server, session, envelope)


class Hangup:
    """Speaks SMTP, reads one whole message, and closes the line instead of answering: did it take it?"""

    def __init__(self) -> None:
        self.bodies = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hangup\r\n")
        while line := (await reader.readline()).upper():
            if line.startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                while (await reader.readline()) != b".\r\n":
                    pass
                self.bodies += 1
                break
            writer.write(b"250 ok\r\n")
        writer.close()


class Yes:
    """A `Watch` that never says no."""

    def begin(self, envelope: Handed, line: int) -> None:
        pass

    def may_go_on(self) -> bool:
        return True


def hand_over(connection: Connection, envelope: Handed) -> Receipt:
    """Hand over one message; raises the error that it came to."""
    [(_, outcome)] = connection.send_all(iter([envelope]), Yes())
    if isinstance(outcome, DeliveryError):
        raise outcome
    return outcome


def free_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
