"""SMTP servers that answer as they are told, for tests of failure, and a way to send to any provider."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from notify.channels import provider, provider_for
from notify.dev.mailbox import Mailbox
from notify.errors import DeliveryError


class Agreed:
    """A Watch that always says yes, and keeps what was begun on which line."""

    def __init__(self) -> None:
        self.begun: list[tuple[provider.Envelope, int]] = []

    def begin(self, envelope: provider.Envelope, line: int) -> None:
        self.begun.append((envelope, line))

    def may_go_on(self) -> bool:
        return True


def send(connection: provider.Connection, envelope: provider.Envelope) -> provider.Receipt:
    """Hand over this one envelope; raises its error."""
    ((answered, outcome),) = connection.send_all(iter([envelope]), Agreed())
    assert answered is envelope
    if isinstance(outcome, DeliveryError):
        raise outcome
    return outcome


@contextmanager
def sending(url: str) -> Iterator[Callable[[provider.Envelope], provider.Receipt]]:
    """An open connection as a function that hands over one envelope, or raises its error."""
    opened = provider_for(url)
    try:
        with opened.open() as connection:
            yield lambda envelope: send(connection, envelope)
    finally:
        opened.close()


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


def free_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
