"""The HTTP side of Amazon SES, in several regions at once, that answers each request as it is told."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Mapping[str, str], str] | str
"""Status, headers and text; or what it does instead of answering."""

SILENCE, HANG_UP, TORN = "reads the request, and is silent", "reads the request, and hangs up", "tears its answer"
ACCEPTED: Answer = (200, {}, '{"MessageId": "0102-7e57"}')
ACCOUNT: Answer = (200, {}, '{"SendingEnabled": true, "SendQuota": {}}')


def refusal(status: int, code: str, message: str = "no", **headers: str) -> Answer:
    """An error as SES gives it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"x-amzn-ErrorType": code, **named}, json.dumps({"message": message})


class SesServer:
    """`answers` by region, or else `default`; every SendEmail is kept in `sent` as its region and its JSON."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.default: Answer = ACCEPTED
        self.answers: dict[str, Answer] = {}
        self.account: Answer = ACCOUNT
        self.asked = 0  # GetAccount
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.keys: list[str] = []
        self.lines: list[socket.socket] = []
        self.over = threading.Event()

    def url(self, region: str = "eu-west-1", *, key: str = "AKIDEXAMPLE:s3cr3t", **options: object) -> str:
        """A provider that asks this server as it answers now: patient, unless it will be silent."""
        timeout = 1.0 if SILENCE in (self.default, *self.answers.values(), self.account) else 30.0
        more = "".join(f"&{name}={value}" for name, value in options.items())
        return f"ses://{key}@?region={region}&endpoint=http://127.0.0.1:{self.port}&timeout={timeout}{more}"

    def regions(self) -> list[str]:
        """Where each SendEmail went."""
        return [region for region, _ in self.sent]


@contextmanager
def serving() -> Iterator[SesServer]:
    """A server until the block ends."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    httpd.daemon_threads = False
    ses = _Handler.by_port[httpd.server_port] = SesServer(httpd.server_port)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield ses
    finally:
        ses.over.set()
        httpd.shutdown()
        for line in ses.lines:  # a client keeps its lines, and would be waited for
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        httpd.server_close()
        thread.join()
        del _Handler.by_port[ses.port]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60.0
    disable_nagle_algorithm = True
    by_port: dict[int, SesServer] = {}  # noqa: RUF012 - the servers of this process

    def setup(self) -> None:
        super().setup()
        self._ses().lines.append(self.connection)

    def do_GET(self) -> None:
        ses = self._ses()
        ses.asked += 1
        self._say(ses, ses.account)

    def do_POST(self) -> None:
        ses = self._ses()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        found = re.search(r"Credential=(\w+)/\d+/([\w-]+)/ses/", self.headers["Authorization"])
        assert found is not None
        ses.keys.append(found[1])
        ses.sent.append((found[2], json.loads(body)))
        self._say(ses, ses.answers.get(found[2], ses.default))

    def _ses(self) -> SesServer:
        return self.by_port[self.server.server_address[1]]  # type: ignore[index]

    def _say(self, ses: SesServer, answer: Answer) -> None:
        if isinstance(answer, str):
            self.close_connection = True
            if answer == SILENCE:
                ses.over.wait()
            if answer == TORN:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{")
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        status, headers, text = answer
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""
