"""`POST /hooks/<provider>`: 200 is said when what came is verified and stored, and not before.

401 for a signature that is missing, wrong or stale, 403 for a sender that is not allowed, 404 for a provider that is
not set up, 413 for too much, 503 when it should be delivered again later. Nothing is read here but what proves who
sent it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from notify.app import App
from notify.channels.hook import Confirming, HookRequest, Reporter
from notify.channels.reporters import NAMES, reporters
from notify.errors import OperatorError, Unverified
from notify.feedback import hooks
from notify.store.hooks import Posted
from notify.store.text import storable
from notify.telemetry import emit
from notify.web.gathering import Full, Gathering

LARGEST = 2 * 1024 * 1024  # octets of a body
MOST_OCTETS = 32 * LARGEST  # of all bodies that wait to be stored
QUICK = 64 * 1024  # octets: to verify so few takes no longer than to have another thread do it
ASKING = 8  # threads, of all there are, that may wait for a provider who is asked before its delivery is believed
RETRY_SECONDS = 30
KEPT = ("content-type",)
"""Headers that are kept: what it takes to read the body, and no signature or secret."""
LONGEST_KEPT = 200  # characters of each

ALIASES: Mapping[str, str] = {"/ses-events": "ses"}
"""Addresses of before."""


def routes(app: App) -> APIRouter:
    """One route for all providers, set up or not. Raises `InvalidSettings`."""
    known = reporters([one.get_secret_value() for one in app.settings.hook_secrets], app.settings.sns_topics)
    gathering = Gathering[Posted](partial(hooks.receive, app), lambda one: len(one.body), MOST_OCTETS)
    hooks_by_name = {name: _Hook(app, name, reporter, gathering) for name, reporter in known.items()}

    async def take(request: Request, alias: str | None = None) -> Response:
        name = alias or request.path_params["provider"]
        hook = hooks_by_name.get(name)
        if hook is not None:
            return await hook.take(request)
        if name in NAMES:
            emit("hook.refused", provider=name, reason="not_set_up", why="")
        return _said(404, "not_set_up")

    router = APIRouter()
    router.add_route("/hooks/{provider}", take, methods=["POST"])
    for path, name in ALIASES.items():
        router.add_route(path, partial(take, alias=name), methods=["POST"])
    return router


class _Hook:
    """What stands at one address."""

    def __init__(self, app: App, name: str, reporter: Reporter, gathering: Gathering[Posted]) -> None:
        self._app = app
        self._name = name
        self._reporter = reporter
        self._gathering = gathering
        self._asking = CapacityLimiter(ASKING)

    async def take(self, request: Request) -> Response:
        """Verify, store, answer."""
        try:
            body = await _body(request)
        except ClientDisconnect:
            return _said(400, "incomplete")
        if body is None:
            return self._refused(413, "too_large")
        now = self._app.clock.now()
        headers = {name.lower(): value for name, value in request.headers.items()}
        posted = HookRequest(body, headers, self._address(request))
        try:
            delivery_id = await self._verified(posted, now)
            kept = {name: storable(headers[name])[:LONGEST_KEPT] for name in KEPT if name in headers}
            await self._gathering.add(Posted(self._name, delivery_id, kept, body, now))
        except Unverified as error:
            return self._refused(403 if error.reason == "forbidden" else 401, error.reason, error.why)
        except (OperatorError, Full) as error:
            emit("web.failed", path=request.url.path, error=str(error) or type(error).__name__)
            return _said(503, "try again later", {"Retry-After": str(RETRY_SECONDS)})
        return _said(200, "stored")

    async def _verified(self, posted: HookRequest, now: datetime) -> str:
        if isinstance(self._reporter, Confirming):
            return await to_thread.run_sync(self._reporter.verify, posted, now, limiter=self._asking)
        if len(posted.body) > QUICK:
            return await run_in_threadpool(self._reporter.verify, posted, now)
        return self._reporter.verify(posted, now)

    def _address(self, request: Request) -> str:
        """As the provider wrote it: a proxy may have changed host and scheme."""
        query = f"?{request.url.query}" if request.url.query else ""
        root = self._app.settings.public_url
        return str(request.url) if root is None else f"{root}{request.url.path}{query}"

    def _refused(self, status: int, reason: str, why: str = "") -> Response:
        emit("hook.refused", provider=self._name, reason=reason, why=why)
        return _said(status, reason)


def _said(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{text}\n", status, {"Cache-Control": "no-store", **(headers or {})})


async def _body(request: Request) -> bytes | None:
    """The octets as they came; None for too many, of which the rest is not read."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:12]) > LARGEST:
        return None
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST:
            return None
        chunks.append(chunk)
    return b"".join(chunks)
