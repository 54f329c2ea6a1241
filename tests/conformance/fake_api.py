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

from tests.conformance.driver import Arrived, Mood, Seen

Reply = tuple[int, str, dict[str, str]]
"""Status, text and headers. `{secret}` and `{recipient}` in the text are filled in."""


@dataclass(frozen=True)
class Wire:
    """How one API speaks. `url` holds `{secret}` and `{endpoint}`; `read` makes of a request what arrived."""

    url: str
    path: str
    secret: str
    read: Callable[[Request], Arrived]
    replies: Mapping[Mood, Reply]
    forwards_key: bool = False


@dataclass
class FakeApi:
    """A `Driver` of an HTTP API."""

    wire: Wire
    server: HTTPServer
    mood: Mood = Mood.ACCEPTING
    seen: Seen = field(default_factory=Seen)
    over: threading.Event = field(default_factory=threading.Event)
    tags: bool = True

    @property
    def moods(self) -> frozenset[Mood]:
        return frozenset(self.wire.replies) | {Mood.SILENT, Mood.HANGING_UP}

    @property
    def secret(self) -> str:
        return self.wire.secret

    @property
    def forwards_key(self) -> bool:
        return self.wire.forwards_key

    def url(self, *, port: int | None = None, **options: Any) -> str:
        endpoint = quote(f"http://127.0.0.1:{port or self.server.port}", safe="")
        more = "".join(f"&{name}={value}" for name, value in options.items())
        return f"{self.wire.url}{'&' if '?' in self.wire.url else '?'}endpoint={endpoint}&timeout=0.5{more}"

    def handed_over(self) -> int:
        return self.seen.begun

    def arrived(self) -> list[Arrived]:
        return self.seen.whole

    def answer(self, request: Request) -> Response:
        """To a request that hands a message over."""
        self.seen.begun += 1
        arrived = self.wire.read(request)
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
    with HTTPServer("127.0.0.1", threaded=True) as server:
        fake = FakeApi(wire, server)
        server.expect_request("/", method="HEAD").respond_with_data(status=404)
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
