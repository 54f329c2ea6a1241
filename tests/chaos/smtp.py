"""An SMTP server that writes each Message-ID down before it answers 250, and misbehaves as it is told.

`python -m tests.chaos.smtp FILE` prints its port, and ends when its standard input does. Each line it reads there is
a mood as JSON, `{"do": "reset", "every": 100}`; it answers `ok` once that is in force. Each body that came in whole
is a line `Message-ID verdict seconds` of FILE before anything is answered; verdict 250, and `kept`, mean that the
mail was taken. It offers PIPELINING (RFC 2920).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import struct
import sys
import time
from dataclasses import dataclass

EHLO = b"250-chaos\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
REPLIES = {b"EHLO": EHLO, b"HELO": b"250 chaos\r\n", b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}
OK = b"250 2.0.0 Ok\r\n"
END = b"\r\n.\r\n"
NEW_TRANSACTION = frozenset({b"EHLO", b"HELO", b"RSET", b"MAIL"})
_MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([^>@\s]+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Mood:
    """What the server does.

    `accept`; `answer` with `text` at the step `at`; `reset` the line after a body instead of answering it, having
    `kept` the mail or not; `hang`: be silent until another mood comes; `slow`: answer a body after `seconds`. It
    concerns every `every`-th body, and only mails to addresses that begin with `only`.
    """

    do: str = "accept"
    at: str = "body"
    text: str = ""
    every: int = 1
    only: str = ""
    kept: bool = False
    seconds: float = 0.0


class Server:
    """What all connections share."""

    def __init__(self, arrivals: int) -> None:
        self.mood = Mood()
        self.clients: set[Client] = set()
        self._arrivals = arrivals
        self._bodies = 0

    def change(self, mood: Mood) -> None:
        """From now on."""
        self.mood = mood
        for client in list(self.clients):
            client.go_on()

    def concerns(self, step: str, address: bytes) -> bool:
        """Whether the mood concerns this step of a mail to `address`. A body counts as one more."""
        self._bodies += step == "body"
        mood = self.mood
        due = step != "body" or self._bodies % mood.every == 0
        return mood.at == step and due and address.startswith(mood.only.encode())

    def note(self, mail: bytes, verdict: str) -> None:
        """Write down that this body came."""
        found = _MESSAGE_ID.search(mail, 0, mail.find(b"\r\n\r\n") + 2)
        name = found[1].decode("latin-1") if found else "nameless"
        os.write(self._arrivals, f"{name} {verdict} {time.time():.6f}\n".encode())


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._buffer = bytearray()
        self._at = self._searched = 0  # what lies before is dealt with
        self._greeted = self._in_body = self._waits = self._over = False
        self._address = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.clients.add(self)
        self.go_on()

    def connection_lost(self, _error: Exception | None) -> None:
        self._over = True
        self._server.clients.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self.go_on()

    def go_on(self) -> None:
        """Answer all that can be answered now."""
        replies = bytearray()
        while not (self._over or self._waits or self._server.mood.do == "hang"):
            reply = self._next()
            if reply is None:
                break
            replies += reply
            if reply.startswith((b"421", b"221")):
                self._over = True
        del self._buffer[: self._at]
        self._searched -= self._at
        self._at = 0
        if replies:
            self._transport.write(bytes(replies))
        if self._over:
            self._transport.close()

    def _next(self) -> bytes | None:
        if not self._greeted:
            self._greeted = True
            return self._mooded("greeting") or b"220 chaos ESMTP\r\n"
        return self._body() if self._in_body else self._line()

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n", self._at)
        if end < 0:
            return None
        line = bytes(self._buffer[self._at : end])
        verb, self._at = line[:4].upper(), end + 2
        if verb in NEW_TRANSACTION:
            self._address = b""
        if verb == b"MAIL":
            return self._mooded("mail") or OK
        if verb == b"RCPT":
            self._address = line.partition(b"<")[2].partition(b">")[0]
            refused = self._mooded("rcpt")
            self._address = b"" if refused else self._address
            return refused or OK
        if verb == b"DATA":
            if not self._address:
                return b"503 5.5.1 No recipient\r\n"
            self._in_body, self._at, self._searched = True, end, end  # an empty body begins with its end
        return REPLIES.get(verb, OK)

    def _body(self) -> bytes | None:
        end = self._buffer.find(END, self._searched)
        if end < 0:
            self._searched = max(self._at, len(self._buffer) - len(END) + 1)
            return None
        mail = bytes(self._buffer[self._at + 2 : end + 2])
        address, self._address = self._address, b""
        self._at, self._in_body = end + len(END), False
        return self._verdict(mail, address)

    def _verdict(self, mail: bytes, address: bytes) -> bytes | None:
        server, mood = self._server, self._server.mood
        concerned = server.concerns("body", address)
        if concerned and mood.do == "answer":
            server.note(mail, mood.text[:3])
            return mood.text.encode() + b"\r\n"
        if concerned and mood.do == "reset":
            server.note(mail, "kept" if mood.kept else "dropped")
            self._reset()
            return None
        server.note(mail, "250")
        if concerned and mood.do == "slow":
            self._waits = True
            asyncio.get_running_loop().call_later(mood.seconds, self._late)
            return None
        return OK

    def _mooded(self, step: str) -> bytes | None:
        mood = self._server.mood
        if mood.do == "answer" and self._server.concerns(step, self._address):
            return mood.text.encode() + b"\r\n"
        return None

    def _reset(self) -> None:
        self._over = True
        plug = self._transport.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _late(self) -> None:
        self._waits = False
        if not self._over:
            self._transport.write(OK)
            self.go_on()


async def serve(path: str) -> None:
    """Listen on a free port of the loopback interface until standard input ends."""
    loop = asyncio.get_running_loop()
    server = Server(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644))
    listening = await loop.create_server(lambda: Client(server), "127.0.0.1", 0, backlog=512)
    told = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    print(listening.sockets[0].getsockname()[1], flush=True)
    while line := await told.readline():
        server.change(Mood(**json.loads(line)))
        print("ok", flush=True)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
