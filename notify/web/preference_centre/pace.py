"""What a visitor may ask for only so often, because each time a mail goes out. Kept in Redis, for all web processes."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from redis import RedisError

from notify.app import App
from notify.errors import Unreachable


def take(app: App, what: str, recipient_id: UUID, every: timedelta) -> bool:
    """Whether it is time again; then it is not for `every`. Raises `Unreachable` when Redis does not answer."""
    try:
        return bool(app.redis.set(_key(what, recipient_id), 1, nx=True, px=every))
    except RedisError as error:
        raise Unreachable(f"Redis does not answer: {type(error).__name__}") from None


def give_back(app: App, what: str, recipient_id: UUID) -> None:
    """It was not done after all."""
    try:
        app.redis.delete(_key(what, recipient_id))
    except RedisError as error:
        raise Unreachable(f"Redis does not answer: {type(error).__name__}") from None


def _key(what: str, recipient_id: UUID) -> str:
    return f"notify:page:{what}:{recipient_id.hex}"
