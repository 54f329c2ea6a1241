"""Where a link leads, found without the database while this process, or another one, has been asked of late.

What is remembered is forgotten after an hour, so that it outlives neither an erasure nor retention for long.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from uuid import UUID

from redis import Redis, RedisError

from notify.app import App
from notify.store import tracked_links

PREFIX = "notify:link:"
KEPT_SECONDS = 3600
MOST = 10_000  # links in the memory of a process
PATIENCE_SECONDS = 0.25  # for Redis: the database knows it, too
LEFT_ALONE_SECONDS = 5.0  # is a Redis that did not answer


class Targets:
    """Addresses by link. May be used from many threads."""

    def __init__(self, app: App) -> None:
        self._app = app
        patience = {"socket_timeout": PATIENCE_SECONDS, "socket_connect_timeout": PATIENCE_SECONDS}
        self._redis = Redis.from_url(app.settings.redis, **patience)
        self._away_until = 0.0
        self._known: OrderedDict[UUID, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()

    def remembered(self, link_id: UUID) -> str | None:
        """Where it leads, if this process knows; asks nobody."""
        with self._lock:
            known = self._known.get(link_id)
            if known is None or known[0] < time.monotonic():
                return None
            self._known.move_to_end(link_id)
            return known[1]

    def find(self, link_id: UUID) -> str | None:
        """Where it leads; None when that is not kept any more. Asks Redis and then the database: `Unreachable`."""
        url = self._of_redis(link_id)
        if url is None:
            with self._app.store.read() as connection:
                url = tracked_links.find(connection, link_id)
            if url is None:
                return None
            self._tell_redis(link_id, url)
        with self._lock:
            self._known[link_id] = time.monotonic() + KEPT_SECONDS, url
            while len(self._known) > MOST:
                self._known.popitem(last=False)
        return url

    def close(self) -> None:
        """Return the connections."""
        self._redis.close()

    def _of_redis(self, link_id: UUID) -> str | None:
        if time.monotonic() < self._away_until:
            return None
        try:
            found = self._redis.get(f"{PREFIX}{link_id.hex}")
        except RedisError:
            self._away_until = time.monotonic() + LEFT_ALONE_SECONDS
            return None
        return found.decode() if isinstance(found, bytes) else None

    def _tell_redis(self, link_id: UUID, url: str) -> None:
        if time.monotonic() < self._away_until:
            return
        try:
            self._redis.set(f"{PREFIX}{link_id.hex}", url, ex=KEPT_SECONDS)
        except RedisError:
            self._away_until = time.monotonic() + LEFT_ALONE_SECONDS
