"""The proxy of the chaos scenarios: passes, delays, goes silent, resets and refuses, while it is in use."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.proxy import Proxy


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets."""

    def handle(self) -> None:
        with suppress(ConnectionError):
            while data := self.request.recv(1 << 16):
                self.request.sendall(data)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        with Proxy(("127.0.0.1", server.server_address[1])) as link:
            yield link
        server.shutdown()
        thread.join()


def dial(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=60)


def echoed(line: socket.socket, octets: bytes) -> bytes:
    line.sendall(octets)
    heard = b""
    while len(heard) < len(octets):
        heard += line.recv(1 << 16)
    return heard


def test_it_passes_everything_both_ways(proxy: Proxy) -> None:
    octets = bytes(range(256)) * 4096
    with dial(proxy) as line:
        line.settimeout(20)
        sender = threading.Thread(target=line.sendall, args=(octets,))
        sender.start()
        heard = b""
        while len(heard) < len(octets):
            heard += line.recv(1 << 16)
        sender.join()
    assert heard == octets


def test_each_direction_can_be_slow(proxy: Proxy) -> None:
    with dial(proxy) as line:
        proxy.delays = (0.1, 0.1)
        began = time.monotonic()
        assert echoed(line, b"hello") == b"hello"
        assert time.monotonic() - began >= 0.2


def test_a_half_open_link_is_silent_for_ever_and_new_ones_work_once_it_is_mended(proxy: Proxy) -> None:
    with dial(proxy) as old:
        assert echoed(old, b"1") == b"1"
        proxy.half_open()
        with dial(proxy) as fresh:  # is accepted
            for line in (old, fresh):
                line.settimeout(0.2)
                line.sendall(b"2")
                with pytest.raises(TimeoutError):
                    line.recv(1)
            proxy.mend()
            old.sendall(b"3")
            with pytest.raises(TimeoutError):
                old.recv(1)
        with dial(proxy) as line:
            assert echoed(line, b"4") == b"4"


def test_a_reset_breaks_open_links_and_leaves_the_door_open(proxy: Proxy) -> None:
    with dial(proxy) as line:
        assert echoed(line, b"1") == b"1"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            line.recv(1)
    with dial(proxy) as line:
        assert echoed(line, b"2") == b"2"


def test_a_cut_link_refuses_until_it_is_mended(proxy: Proxy) -> None:
    with dial(proxy) as line:
        assert echoed(line, b"1") == b"1"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            line.recv(1)
    with pytest.raises(ConnectionRefusedError):
        dial(proxy)
    port = proxy.port
    proxy.mend()
    assert proxy.port == port
    with dial(proxy) as line:
        assert echoed(line, b"2") == b"2"


def test_a_tap_sees_what_clients_send(proxy: Proxy) -> None:
    seen: list[bytes] = []
    proxy.tap = seen.append
    with dial(proxy) as line:
        echoed(line, b"COMMIT")
    assert seen == [b"COMMIT"]


def test_a_server_that_is_away_ends_the_link() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with Proxy(("127.0.0.1", port)) as proxy, dial(proxy) as line:
        assert line.recv(1) == b""
