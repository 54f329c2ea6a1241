"""The other end of an HTTP API: pytest-httpserver, answering each request for sending by its mood."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.conformance.driver import PATIENT, Arrived, Mood, Seen

Reply = tuple[int, str, dict[str, str]]
"""Status, text and headers. `{secret}` and `{recipient}` in the text are filled in."""


@dataclass(frozen=True)
class Wire:
    """How one API speaks. `read` makes of a request what arrived, or None when it holds no message.

    `asked` is what it says by path to who only asks: a GET, or a post without a message to `path`.
    """

    url: str
    path: str
    secret: str
    read: Callable[[Request], Arrived | None]
    replies: Mapping[Mood, Reply]
    asked: Mapping[str, Reply]
    forwards_key: bool = False


class Server(HTTPServer):
    """It notices within milliseconds that it is to stop."""

    def thread_target(self) -> None:
        assert self.server is not None
        self.server.serve_forever(poll_interval=0.01)


@dataclass
class FakeApi:
    """A `Driver` of an HTTP API."""

    wire: Wire
    server: HTTPServer
    mood: Mood = Mood.ACCEPTING
    seen: Seen = field(default_factory=Seen)
    over: threading.Event = field(default_factory=threading.Event)
    tags: bool = True

    def __post_init__(self) -> None:
        self.moods = frozenset(self.wire.replies) | {Mood.SILENT, Mood.HANGING_UP}
        self.secret: str | None = self.wire.secret
        self.forwards_key = self.wire.forwards_key

    def url(self, *, port: int | None = None, timeout: float = PATIENT, **options: Any) -> str:
        endpoint = quote(f"http://127.0.0.1:{port or self.server.port}", safe="")
        more = "".join(f"&{name}={value}" for name, value in options.items())
        return f"{self.wire.url}{'&' if '?' in self.wire.url else '?'}endpoint={endpoint}&timeout={timeout}{more}"

    def handed_over(self) -> int:
        return self.seen.begun

    def arrived(self) -> list[Arrived]:
        return self.seen.whole

    def answer(self, request: Request) -> Response:
        """To a request that hands a message over."""
        arrived = None if request.method == "GET" else self.wire.read(request)
        if arrived is None:
            refused = self.mood is Mood.REFUSING_THE_KEY
            status, text, headers = self.wire.replies[self.mood] if refused else self.wire.asked[request.path]
            return Response(text, status, headers)
        self.seen.begun += 1
        self.seen.whole.append(arrived)
        if self.mood is Mood.SILENT:
            self.over.wait()
        if self.mood in (Mood.SILENT, Mood.HANGING_UP):
            with suppress(OSError):
                request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return Response()
        status, text, headers = self.wire.replies[self.mood]
        text = text.replace("{secret}", self.wire.secret).replace("{recipient}", arrived.recipient[1])
        return Response(text, status, headers)


@contextmanager
def serving_api(wire: Wire) -> Iterator[FakeApi]:
    """The API until the block ends; a HEAD is answered as one that says nothing."""
    with Server("127.0.0.1", threaded=True) as server:
        fake = FakeApi(wire, server)
        server.expect_request("/", method="HEAD").respond_with_data(status=404)
        for path in wire.asked:
            server.expect_request(path, method="GET").respond_with_handler(fake.answer)
        server.expect_request(wire.path, method="POST").respond_with_handler(fake.answer)
        try:
            yield fake
        finally:
            fake.over.set()
            server.check_assertions()
            server.check_handler_errors()


def usual_replies(accepted: Reply, recipient: Reply, message: Reply) -> dict[Mood, Reply]:
    """With the answers that all APIs give alike."""
    return {
        Mood.ACCEPTING: accepted,
        Mood.REFUSING_THE_RECIPIENT: recipient,
        Mood.REFUSING_THE_MESSAGE: message,
        Mood.GIBBERING: (200, "<html>Welcome, {recipient}, to the captive portal", {}),
        Mood.THROTTLING: (429, "too many for {recipient}", {"Retry-After": "86400"}),
        Mood.REFUSING_THE_KEY: (401, "who is {secret}?", {}),
        Mood.BROKEN: (500, "it broke at {recipient}", {}),
    }
