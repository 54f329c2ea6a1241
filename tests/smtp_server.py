"""An SMTP server with PIPELINING, many connections at a time, that answers by script and keeps every write it got."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

CLOSE = "close"
"""As a reply: what was answered before is sent, then the connection ends."""

MUTE = "mute"
"""As a reply: nothing is said to this."""

Script = Callable[[int, str, int], str | None]
"""(connection from 0, step, the how many-th of this step on it from 1): a reply, or None for the usual one.

`{sender}` in a reply is who was named in the last MAIL.
"""

USUAL = {"MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go on", "BODY": "250 queued as 7E57", "RSET": "250 forgotten"}


def usual(_connection: int, _step: str, _nth: int) -> None:
    """Accept everything."""


class Server:
    """Each write that comes in is answered as a whole, after `pause` has passed."""

    def __init__(self, script: Script, offers: tuple[str, ...], most: int, tls: ssl.SSLContext | None) -> None:
        self.writes: list[list[bytes]] = []  # of each connection, from MAIL on
        self.accepted: list[str] = []  # recipients of the bodies that got a 250
        self.moments: list[float] = []  # when their ends had come, by the monotonic clock
        self.connections = 0  # open now
        self.highest = 0
        self.refused = 0
        self.pause = 0.0
        self._script, self._offers, self._most, self._tls = script, offers, most, tls
        self._lock = threading.Condition()
        self._done = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._listener.getsockname()[1]}?helo=me.test"

    def wait(self, true: Callable[[], bool]) -> bool:
        """Until `true()`, asked whenever a connection comes or goes."""
        with self._lock:
            return self._lock.wait_for(true, 60)

    def stop_listening(self) -> None:
        """Refuse new connections; those that are open stay."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def hang_up(self) -> None:
        """End every open connection."""
        for line in self._sockets:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        self._done.set()
        self.stop_listening()
        self.hang_up()
        for thread in self._threads:
            thread.join(10)

    def _listen(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.connections >= self._most:
                self.refused += 1
                line.sendall(b"421 too many\r\n")
                line.close()
                continue
            self._sockets.append(line)
            self._count(1)
            thread = threading.Thread(target=self._serve, args=(line, len(self.writes)))
            self.writes.append([])
            self._threads.append(thread)
            thread.start()

    def _count(self, change: int) -> None:
        with self._lock:
            self.connections += change
            self.highest = max(self.highest, self.connections)
            self._lock.notify_all()

    def _serve(self, line: socket.socket, number: int) -> None:
        try:
            line.sendall(b"220 ready\r\n")
            line = self._greet(line)
            _Conversation(self, line, number).run()
        except OSError:
            pass
        finally:
            line.close()
            self._count(-1)

    def _greet(self, line: socket.socket) -> socket.socket:
        offers = self._offers if self._tls is None else ("STARTTLS",)
        line.recv(1000)
        line.sendall(_greeting(offers))
        if self._tls is not None:
            assert line.recv(1000) == b"STARTTLS\r\n"
            line.sendall(b"220 go\r\n")
            line = self._tls.wrap_socket(line, server_side=True)
            line.recv(1000)
            line.sendall(_greeting(self._offers))
        return line


def _greeting(offers: tuple[str, ...]) -> bytes:
    return "".join(f"250-{line}\r\n" for line in ("server", *offers)).encode() + b"250 HELP\r\n"


class _Conversation:
    """One connection after EHLO."""

    def __init__(self, server: Server, line: socket.socket, number: int) -> None:
        self.server, self.line, self.number = server, line, number
        self.seen: Counter[str] = Counter()
        self.octets = b""
        self.body = self.open = False
        self.sender = self.recipient = ""

    def run(self) -> None:
        self.open = True
        while self.open and (octets := self.line.recv(1 << 20)):
            self.server.writes[self.number].append(octets)
            self.octets += octets
            answer = "".join(self._answers())
            if self.server.pause:
                self.server._done.wait(self.server.pause)
            self.line.sendall(answer.encode())

    def _answers(self) -> Iterator[str]:
        while self.open:
            end = b"\r\n.\r\n" if self.body and not self.octets.startswith(b".\r\n") else b"\r\n"
            head, found, self.octets = self.octets.partition(end)
            if not found:
                self.octets = head
                return
            step = "BODY" if self.body else head[:4].decode().upper()
            if step == "QUIT":
                self.open = False
                return
            reply = self._reply(step, head)
            if reply == CLOSE:
                self.open = False
            elif reply != MUTE:
                yield f"{reply}\r\n"

    def _reply(self, step: str, head: bytes) -> str:
        self.seen[step] += 1
        if step == "MAIL":
            self.sender = head.decode().partition("<")[2].partition(">")[0]
        reply = self.server._script(self.number, step, self.seen[step]) or USUAL[step]
        reply = reply.replace("{sender}", self.sender)
        if step in ("MAIL", "RSET"):
            self.recipient = ""
        if step == "RCPT" and reply.startswith("2"):
            self.recipient = head.decode().partition("<")[2].rstrip(">")
        if step == "BODY" and reply.startswith("2") and self.recipient:
            with self.server._lock:  # whose moment it was
                self.server.accepted.append(self.recipient)
                self.server.moments.append(time.monotonic())
        self.body = step == "DATA" and reply.startswith("354")
        return reply


@contextmanager
def serving(
    script: Script = usual,
    *,
    offers: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8"),
    most: int = 1000,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Server]:
    """A server until the block ends; of more than `most` connections at a time the rest is refused with 421."""
    server = Server(script, offers, most, tls)
    try:
        yield server
    finally:
        server.stop()
