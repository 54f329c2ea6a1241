"""What nobody has proven yet is held in bounded memory and for a bounded time, and keeps nobody out that is small."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx2
import pytest
import uvicorn
from pydantic import SecretStr

from notify import web
from notify.app import App
from notify.web import hooks
from notify.web.bodies import SMALL, NoRoom, Room
from tests.providers import free_port

LOGIN = ("notify", "secret")
PATIENCE = 30.0  # seconds
PATHS = ["/hooks/mailgun", "/hooks/sendgrid-parse"]
SECRETS = ("mailgun=key", "postmark=notify:secret", "sendgrid-parse=notify:secret")


@contextmanager
def serving(app: App, make_app: Callable[..., App]) -> Iterator[int]:
    """The web process on a port of its own."""
    own = make_app(app.settings, hook_secrets=tuple(map(SecretStr, SECRETS)))
    started, port = threading.Event(), free_port()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started.set()

    server = Server(uvicorn.Config(web.make(own), port=port, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(PATIENCE)
        yield port
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


def begun(stack: ExitStack, port: int, path: str, octets: int) -> socket.socket:
    """A connection on which so many octets of a longer body came."""
    one = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
    said = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic bm90aWZ5OnNlY3JldA==\r\n"
    one.sendall(f"{said}Content-Length: {octets + 1000}\r\n\r\n".encode() + b"x" * octets)
    return one


def answer(one: socket.socket) -> bytes:
    """What is said until the other side closes."""
    said = b""
    while chunk := one.recv(65536):
        said += chunk
    return said


def head(one: socket.socket) -> bytes:
    """What is said up to the end of the header."""
    said = b""
    while b"\r\n\r\n" not in said and (chunk := one.recv(65536)):
        said += chunk
    return said


def test_room_is_given_back_and_the_large_leave_half_of_it_to_the_small() -> None:
    room = Room(10 * SMALL)
    with room.body() as large, room.body() as small:
        large(5 * SMALL)
        with pytest.raises(NoRoom):
            large(1)
        small(SMALL)
        with pytest.raises(NoRoom):
            small(1)
        with ExitStack() as others:
            for _ in range(4):
                others.enter_context(room.body())(SMALL)
            with pytest.raises(NoRoom), room.body() as one:
                one(1)
    with room.body() as large:
        large(5 * SMALL)


@pytest.mark.parametrize("path", PATHS)
def test_more_than_there_is_room_for_is_told_to_come_back_and_the_small_are_served(
    app: App, make_app: Callable[..., App], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(hooks, "MOST_READ", 8 * SMALL)
    with ExitStack() as stack:
        port = stack.enter_context(serving(app, make_app))
        url = f"http://127.0.0.1:{port}/hooks/postmark"
        first = begun(stack, port, path, 3 * SMALL)
        second = begun(stack, port, path, 3 * SMALL)
        said = _first_answer(first, second)
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 30" in said.lower()
        headers = {"x-pm-webhook-trace-id": "trace-1"}
        assert httpx2.post(url, content=b"{}", headers=headers, auth=LOGIN, timeout=PATIENCE).status_code == 200


def _first_answer(*connections: socket.socket) -> bytes:
    """Of whichever of them is answered first: which of them came too late is not ours to say."""
    with selectors.DefaultSelector() as waiting:
        for one in connections:
            waiting.register(one, selectors.EVENT_READ)
        ready = waiting.select(PATIENCE)
        assert ready, "none was answered"
        found = ready[0][0].fileobj
    assert isinstance(found, socket.socket)
    return head(found)


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_does_not_come_is_given_up(
    app: App, make_app: Callable[..., App], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(hooks, "SECONDS", 0.2)
    monkeypatch.setattr(hooks, "CARRIED_SECONDS", 0.2)
    with ExitStack() as stack:
        port = stack.enter_context(serving(app, make_app))
        said = answer(begun(stack, port, path, 10))
        assert said.startswith(b"HTTP/1.1 408 ")
