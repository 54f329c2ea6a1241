"""What a visitor may ask for only so often, because each time a mail goes out. Kept in Redis, for all web processes."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from redis import RedisError

from notify.app import App
from notify.errors import Unreachable

DAY = timedelta(days=1)


def take(app: App, what: str, recipient_id: UUID, every: timedelta) -> bool:
    """Whether it is time again; then it is not for `every`. Raises `Unreachable` when Redis does not answer."""
    try:
        return bool(app.redis.set(_key(what, recipient_id), 1, nx=True, px=every))
    except RedisError as error:
        raise Unreachable(f"Redis does not answer: {type(error).__name__}") from None


def take_share(app: App, what: str, recipient_id: UUID, most: int) -> bool:
    """Whether they had fewer than `most` in the day that began with the first; then they have had one more."""
    key = f"{_key(what, recipient_id)}:day"
    try:
        with app.redis.pipeline() as pipeline:
            pipeline.set(key, 0, nx=True, px=DAY)
            pipeline.incr(key)
            _, had = pipeline.execute()
    except RedisError as error:
        raise Unreachable(f"Redis does not answer: {type(error).__name__}") from None
    return int(had) <= most


def give_back(app: App, what: str, recipient_id: UUID) -> None:
    """It was not done after all."""
    try:
        app.redis.delete(_key(what, recipient_id))
    except RedisError as error:
        raise Unreachable(f"Redis does not answer: {type(error).__name__}") from None


def _key(what: str, recipient_id: UUID) -> str:
    return f"notify:page:{what}:{recipient_id.hex}"
