"""SMTP's wire: a socket that asks for a password, and answers each command by its mood."""

from __future__ import annotations

import socket
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tests.conformance.driver import PATIENT, Arrived, Driver, Mood, Seen, from_mime

SERVES = "notify.channels.email.smtp:Smtp"
SECRET = "sMtP-S3cret"
POLITE = {
    "EHLO": "250-server\r\n250 AUTH PLAIN",
    "AUTH": "235 2.7.0 welcome",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go on",
    "BODY": "250 2.0.0 Ok: queued as 7E57",
    "RSET": "250 2.0.0 ok",
}
RUDE = {
    Mood.ACCEPTING: {},
    Mood.SILENT: {},
    Mood.HANGING_UP: {},
    Mood.GIBBERING: {"BODY": "welcome, {recipient}, to the captive portal"},
    Mood.REFUSING_THE_KEY: {"AUTH": f"535 5.7.8 who is {SECRET}?"},
    Mood.REFUSING_THE_RECIPIENT: {"RCPT": "550 5.1.1 {recipient} unknown"},
    Mood.REFUSING_THE_MESSAGE: {"BODY": "554 5.6.0 not for {recipient}"},
    Mood.BROKEN: {"BODY": "451 4.3.0 it broke at {recipient}"},
}


@dataclass
class Server:
    """A `Driver`. A body counts as handed over when the server waits for it."""

    moods: frozenset[Mood] = frozenset(RUDE)
    secret: str | None = SECRET
    forwards_key: bool = False
    tags: bool = False
    mood: Mood = Mood.ACCEPTING
    seen: Seen = field(default_factory=Seen)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    over: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def url(self, *, port: int | None = None, timeout: float = PATIENT) -> str:
        port = port or self.listener.getsockname()[1]
        return f"smtp://ada:{SECRET}@127.0.0.1:{port}?timeout={timeout}&helo=me.test"

    def handed_over(self) -> int:
        return self.seen.begun

    def arrived(self) -> list[Arrived]:
        return self.seen.whole

    def listen(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self.listener.accept()
                thread = threading.Thread(target=self._converse, args=(line,))
                self.threads.append(thread)
                thread.start()

    def _converse(self, line: socket.socket) -> None:
        secret = recipient = ""
        with line, line.makefile("rb") as heard, suppress(OSError):
            line.sendall(b"220 ready\r\n")
            while command := heard.readline().decode().rstrip():
                step = command[:4].upper()
                if step == "QUIT":
                    return
                if step == "AUTH":
                    secret = b64decode(command.split()[-1]).decode().rpartition("\0")[2]
                if step == "RCPT":
                    recipient = command.partition("<")[2].rstrip(">")
                line.sendall(self._reply(step, recipient))
                if step == "DATA":
                    if not (body := self._body(heard)):
                        return
                    self.seen.whole.append(from_mime(body, secret=secret))
                    if self.mood is Mood.SILENT:
                        self.over.wait()
                    if self.mood in (Mood.SILENT, Mood.HANGING_UP):
                        return
                    line.sendall(self._reply("BODY", recipient))

    def _reply(self, step: str, recipient: str) -> bytes:
        reply = {**POLITE, **RUDE[self.mood]}.get(step, "500 5.5.1 what?")
        return f"{reply.replace('{recipient}', recipient)}\r\n".encode()

    def _body(self, heard: BinaryIO) -> bytes:
        octets = bytearray()
        while (text := heard.readline()) != b".\r\n":
            if not text:
                return b""
            self.seen.begun += not octets
            octets += text[1:] if text.startswith(b".") else text
        return bytes(octets)


@contextmanager
def serving(_folder: Path) -> Iterator[Driver]:
    server = Server()
    listening = threading.Thread(target=server.listen)
    listening.start()
    try:
        yield server
    finally:
        server.over.set()
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        for thread in [listening, *server.threads]:
            thread.join(10)
