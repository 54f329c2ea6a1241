"""`POST /hooks/<provider>`: 200 is said when what came is verified and stored, and not before.

401 for a signature that is missing, wrong or stale, 403 for a sender that is not allowed, 404 for a provider that is
not set up, 413 for too much, 503 when it should be delivered again later. Nothing is read here but what proves who
sent it. What hands over whole mails is proven as it comes and kept as far as anybody reads it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from notify.app import App
from notify.channels.hook import Carrier, Confirming, HookRequest, Reporter
from notify.channels.reporters import LISTENED_TO, carriers, reporters
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
    secrets = [one.get_secret_value() for one in app.settings.hook_secrets]
    gathering = Gathering[Posted](partial(hooks.receive, app), lambda one: len(one.body), MOST_OCTETS)
    receivers: dict[str, Receive] = {
        **{name: _whole(app, one) for name, one in reporters(secrets, app.settings.sns_topics).items()},
        **{name: _as_it_comes(app, one) for name, one in carriers(secrets).items()},
    }
    hooks_by_name = {name: _Hook(app, name, receive, gathering) for name, receive in receivers.items()}

    async def take(request: Request, alias: str | None = None) -> Response:
        name = alias or request.path_params["provider"]
        hook = hooks_by_name.get(name)
        if hook is not None:
            return await hook.take(request)
        if name in LISTENED_TO:
            emit("hook.refused", provider=name, reason="not_set_up", why="")
        return _said(404, "not_set_up")

    router = APIRouter()
    router.add_route("/hooks/{provider}", take, methods=["POST"])
    for path, name in ALIASES.items():
        router.add_route(path, partial(take, alias=name), methods=["POST"])
    return router


@dataclass(frozen=True, slots=True)
class _Proven:
    """What is to be stored of a delivery that was verified, with headers of our own."""

    delivery_id: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class _TooLarge(Exception):
    """A body with more octets than may come."""


Receive = Callable[[Request, Mapping[str, str], datetime], Awaitable[_Proven]]
"""Takes the request, its headers in lower case, and the time. Raises `Unverified`, `_TooLarge`, `OperatorError`."""


class _Hook:
    """What stands at one address."""

    def __init__(self, app: App, name: str, receive: Receive, gathering: Gathering[Posted]) -> None:
        self._app = app
        self._name = name
        self._receive = receive
        self._gathering = gathering

    async def take(self, request: Request) -> Response:
        """Verify, store, answer."""
        now = self._app.clock.now()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            proven = await self._receive(request, headers, now)
            kept = {name: storable(headers[name])[:LONGEST_KEPT] for name in KEPT if name in headers}
            kept |= proven.headers
            await self._gathering.add(Posted(self._name, proven.delivery_id, kept, proven.body, now))
        except ClientDisconnect:
            return _said(400, "incomplete")
        except _TooLarge:
            return self._refused(413, "too_large")
        except Unverified as error:
            return self._refused(403 if error.reason == "forbidden" else 401, error.reason, error.why)
        except (OperatorError, Full) as error:
            emit("web.failed", path=request.url.path, error=str(error) or type(error).__name__)
            return _said(503, "try again later", {"Retry-After": str(RETRY_SECONDS)})
        return _said(200, "stored")

    def _refused(self, status: int, reason: str, why: str = "") -> Response:
        emit("hook.refused", provider=self._name, reason=reason, why=why)
        return _said(status, reason)


def _said(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{text}\n", status, {"Cache-Control": "no-store", **(headers or {})})


def _whole(app: App, reporter: Reporter) -> Receive:
    """Proven when all of it is here."""
    asking = CapacityLimiter(ASKING)

    async def receive(request: Request, headers: Mapping[str, str], now: datetime) -> _Proven:
        body = b"".join([chunk async for chunk in _chunks(request, LARGEST)])
        verify = partial(reporter.verify, HookRequest(body, headers, _address(app, request)), now)
        if isinstance(reporter, Confirming):
            return _Proven(await to_thread.run_sync(verify, limiter=asking), body)
        return _Proven(await run_in_threadpool(verify) if len(body) > QUICK else verify(), body)

    return receive


def _as_it_comes(app: App, carrier: Carrier) -> Receive:
    """Proven on its way, and cut. What its headers disprove is not read at all."""

    async def receive(request: Request, headers: Mapping[str, str], now: datetime) -> _Proven:
        arrival = carrier.expect(HookRequest(b"", headers, _address(app, request)), now)
        octets = 0
        async for chunk in _chunks(request, carrier.largest):
            octets += len(chunk)
            arrival.add(chunk)
        return _Proven(await run_in_threadpool(arrival.verify), arrival.kept(), {hooks.OCTETS: str(octets)})

    return receive


async def _chunks(request: Request, largest: int) -> AsyncIterator[bytes]:
    """The octets as they come. Raises `_TooLarge`, and reads no further."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:12]) > largest:
        raise _TooLarge
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > largest:
            raise _TooLarge
        yield chunk


def _address(app: App, request: Request) -> str:
    """As the provider wrote it: a proxy may have changed host and scheme."""
    query = f"?{request.url.query}" if request.url.query else ""
    root = app.settings.public_url
    return str(request.url) if root is None else f"{root}{request.url.path}{query}"
