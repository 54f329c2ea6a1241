"""A local SMTP server that catches mail: every message becomes an .eml file, nothing leaves the machine."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from notify.errors import Unreachable

_MESSAGE_ID = re.compile(rb"^message-id:\s*<([^>@\s]+)", re.IGNORECASE | re.MULTILINE)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
LARGEST = 64 * 1024 * 1024


class _Listening(Controller):
    """aiosmtpd on a socket that listens already: the only way to let the system choose the port."""

    def __init__(self, handler: object, listening: socket.socket, **options: Any) -> None:
        super().__init__(handler, **options)
        self._listening = listening

    def _create_server(self) -> Coroutine[Any, Any, asyncio.AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._listening)


class Mailbox:
    """Catches mail on `host:port` (0: a free one) into `folder`. `count` is how many came since it was opened."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        self.folder = folder
        self.count = 0
        self.port = port
        self._host = host
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            listening = socket.create_server((self._host, self.port))
        except OSError as error:
            raise Unreachable(
                f"The mail catcher cannot listen on {self._host}:{self.port}: {error.strerror or error}\n"
                "Next: stop what listens there, or point NOTIFY_EMAIL_PROVIDERS at another port, "
                "such as smtp://127.0.0.1:2525"
            ) from None
        self.port = listening.getsockname()[1]
        self._controller = _Listening(
            self, listening, hostname=self._host, port=self.port, enable_SMTPUTF8=True, data_size_limit=LARGEST
        )
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def wait(self, enough: Callable[[int], bool], timeout: float) -> bool:
        """Wait until `enough(count)`; False when `timeout` seconds were not enough."""
        with self._changed:
            return self._changed.wait_for(lambda: enough(self.count), timeout)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Called by the server for each message."""
        content = envelope.content
        assert isinstance(content, bytes)
        name = self._store(content)
        return f"250 2.0.0 Ok: queued as {name}"

    def _store(self, content: bytes) -> str:
        found = _MESSAGE_ID.search(content)
        with self._changed:
            self.count += 1
            name = _UNSAFE.sub("_", found[1].decode("ascii", "replace")) if found else f"mail-{self.count}"
            path = self.folder / f"{name}.eml"
            copy = 1
            while path.exists():  # the same Message-ID again: kept beside the first, so that doubles can be counted
                copy += 1
                path = self.folder / f"{name}.{copy}.eml"
            path.write_bytes(content)
            self._changed.notify_all()
        return name
