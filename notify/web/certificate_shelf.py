"""The certificates of SNS outlive the process in Redis, shared by all. Who does not answer there is done without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from redis import RedisError

from notify.app import App

KEY = "notify:sns:certificates"


class RedisShelf:
    """See `Shelf`. Only what a host of SNS gave comes here: one or two a year for each region."""

    def __init__(self, app: App) -> None:
        self._redis = app.redis

    def kept(self) -> Mapping[str, bytes] | None:
        """See `Shelf`."""
        try:
            found = cast(dict[bytes, bytes], self._redis.hgetall(KEY))
        except RedisError:
            return None
        return {url.decode("ascii", "replace"): pem for url, pem in found.items()}

    def keep(self, url: str, pem: bytes) -> None:
        """See `Shelf`."""
        try:
            self._redis.hset(KEY, url, pem)
        except RedisError:
            return  # whoever begins next fetches it again
