"""A network in between that can fall silent, as one does behind a broken switch: no error, and no answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Self

Dial = Callable[[], socket.socket]


class Proxy:
    """Passes on what comes to `port`. `dial` opens a line to where it goes."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._silent = threading.Event()  # of the lines that are open now
        self._lines: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for line in (self._listener, *self._lines):
            line.close()

    def silence(self) -> None:
        """From now on nothing goes through, on new lines neither."""
        self._silent.set()

    def mend(self) -> None:
        """New lines work; those that fell silent stay so, and nobody is told."""
        self._silent = threading.Event()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = self._dial()
            self._lines += (near, far)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pass_on, args=(source, sink, self._silent), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket, silent: threading.Event) -> None:
    try:
        while octets := source.recv(65536):
            if not silent.is_set():
                sink.sendall(octets)
        if not silent.is_set():
            sink.shutdown(socket.SHUT_WR)
    except OSError:
        return
