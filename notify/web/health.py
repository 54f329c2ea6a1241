"""`/health` says that the process lives, `/ready` that what it needs answers."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from redis import RedisError

from notify.app import App
from notify.broker import reach
from notify.errors import NotifyError
from notify.store import schema


def routes(app: App) -> APIRouter:
    """What a supervisor asks."""
    router = APIRouter()

    @router.get("/health")
    def health() -> dict[str, str]:
        """200 as long as this process answers; asks nobody else."""
        return {"status": "ok"}

    @router.get("/ready")
    def ready() -> JSONResponse:
        """200 when database, Redis and a broker of its own answer, else 503 naming those that do not."""
        asked = {"database": _database(app), "redis": _redis(app), "broker": _broker(app)}
        failing = {name: problem for name, problem in asked.items() if problem}
        return JSONResponse(
            {"status": "unready", "failing": failing} if failing else {"status": "ready"}, 503 if failing else 200
        )

    return router


def _database(app: App) -> str | None:
    try:
        schema.require_head(app.store)
    except NotifyError as error:
        return type(error).__name__  # the text may name hosts: it is for the log, not for whoever asks
    return None


def _redis(app: App) -> str | None:
    try:
        app.redis.ping()
    except RedisError as error:
        return type(error).__name__
    return None


def _broker(app: App) -> str | None:
    if app.settings.broker_url in (None, app.settings.redis_url):
        return None  # it is that Redis
    try:
        reach(app.settings)
    except NotifyError as error:
        return type(error).__name__
    return None
