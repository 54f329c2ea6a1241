"""Who keeps the web process waiting is hung up on, and nobody else."""

from __future__ import annotations

import asyncio
import selectors
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Any

import pytest
import uvicorn
from click.testing import CliRunner
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from notify.app import App
from notify.interpreter import SWITCH_SECONDS
from notify.web import commands, connections, forms
from notify.web.connections import TimelyProtocol
from tests.providers import free_port

PATIENCE = 30.0  # seconds
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Reads a form and tells its fields; `/early` answers without."""
    request = Request(scope, receive)
    try:
        said = "early" if request.url.path == "/early" else str(await forms.read(request))
        await PlainTextResponse(said)(scope, receive, send)
    except forms.Unreadable as error:
        await PlainTextResponse("unreadable", error.status)(scope, receive, send)


@contextmanager
def serving() -> Iterator[int]:
    started, port = threading.Event(), free_port()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started.set()

    config = uvicorn.Config(answer, port=port, http=TimelyProtocol, log_config=None, lifespan="off")
    server = Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(PATIENCE)
        yield port
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A web process that waits two seconds for headers: no thread of ours stands still for so long."""
    monkeypatch.setattr(connections, "SECONDS", 2.0)
    with serving() as opened:
        yield opened


def trickle(line: socket.socket, octets: Iterator[bytes]) -> tuple[bytes, bool]:
    """Send one after the other, ten a second, until the other side hangs up; what it said, and whether it did."""
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(line, selectors.EVENT_READ)
        for octet in octets:
            if selector.select(0.1):
                try:
                    chunk = line.recv(65536)
                except ConnectionError:
                    return said, True
                said += chunk
                if not chunk:
                    return said, True
            try:
                line.sendall(octet)
            except ConnectionError:
                return said, True
    return said, False


def ends(line: socket.socket, said: bytes, end: bytes) -> bool:
    """Whether what comes ends with this at last."""
    while not said.endswith(end) and (chunk := line.recv(65536)):
        said += chunk
    return said.endswith(end)


LONG = 300  # octets: half a minute


def test_uvicorn_is_still_as_it_is_built_upon() -> None:
    """The first to fail when uvicorn changes, and by name; then come those below, which are what has to hold again.

    Without these names a connection ends at its first octets, or is never hung up on.
    """

    async def made() -> TimelyProtocol:
        return TimelyProtocol(uvicorn.Config(answer, log_config=None), ServerState(), {})

    protocol = asyncio.run(made())
    assert protocol.cycle is None  # the request under way; there is none yet
    assert "response_complete" in RequestResponseCycle.__init__.__code__.co_names
    assert {"loop", "transport"} <= vars(protocol).keys()
    assert {"connection_made", "data_received", "connection_lost"} <= vars(H11Protocol).keys()


def test_headers_that_trickle_are_hung_up_on(port: int) -> None:
    for before in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):  # on a new connection, and on a kept one
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as line:
            line.sendall(before + b"GET / HTTP/1.1\r\nX-Long: ")
            assert trickle(line, repeat(b"x", LONG))[1]


def test_who_says_nothing_is_hung_up_on(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as line:
        assert line.recv(1) == b""


def test_a_body_may_take_longer_than_headers_may(port: int) -> None:
    body = b"a=" + b"x" * 30  # three seconds
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as line:
        line.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
        said, gone = trickle(line, (bytes([octet]) for octet in body))
        assert not gone
        assert ends(line, said, b"{'a': '%s'}" % body[2:])
        line.sendall(HEAD + b"Content-Length: 3\r\n\r\nb=1")
        assert ends(line, b"", b"{'b': '1'}")


def test_a_body_that_nobody_reads_any_more_is_hung_up_on(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as line:
        line.sendall(HEAD.replace(b"POST /", b"POST /early") + b"Content-Length: 10000\r\n\r\n")
        said, gone = trickle(line, repeat(b"x", LONG))
    assert said.endswith(b"early")
    assert gone


def test_a_form_that_trickles_is_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as line:
        line.sendall(HEAD + b"Content-Length: 10000\r\n\r\n")
        said, _ = trickle(line, repeat(b"x", LONG))
    assert said.startswith(b"HTTP/1.1 408")


def test_the_web_process_speaks_like_that(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    before = sys.getswitchinterval()

    def run(_server: object, **options: object) -> None:
        given.update(options, turns=sys.getswitchinterval())

    monkeypatch.setattr(commands, "current", lambda: app)
    monkeypatch.setattr("notify.web.commands.gc.freeze", lambda: None)
    monkeypatch.setattr("notify.web.commands.telemetry.start", lambda _: None)
    monkeypatch.setattr("notify.web.commands.uvicorn.run", run)
    assert CliRunner().invoke(commands.web, []).exit_code == 0
    assert given["http"] is TimelyProtocol
    assert (given["turns"], sys.getswitchinterval()) == (pytest.approx(SWITCH_SECONDS), before)
