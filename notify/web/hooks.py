"""`POST /hooks/<provider>`: 200 is said when what came is verified and stored, and not before.

401 for a signature that is missing, wrong or stale, 403 for a sender that is not allowed, 404 for a provider that is
not set up, 408 for what comes too slowly, 413 for too much, 503 when it should be delivered again later. Nothing is
read here but what proves who sent it. What hands over whole mails is proven as it comes and kept as far as anybody
reads it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from ipaddress import IPv6Address, IPv6Network

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
from notify.feedback.stored_together import Full, Gathering
from notify.model.text import storable
from notify.store.hooks import Posted
from notify.telemetry import emit
from notify.web import bodies
from notify.web.bodies import NoRoom, Room, TooLarge, TooSlow
from notify.web.certificate_shelf import RedisShelf

LARGEST = 2 * 1024 * 1024  # octets of a body
MOST_OCTETS = 32 * LARGEST  # of all bodies that wait to be stored
MOST_READ = 32 * LARGEST  # octets of all bodies that are on their way, or being verified
SECONDS, CARRIED_SECONDS = 30.0, 120.0  # that a body may take; one with a mail has 32 MiB
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
    room = Room(MOST_READ)
    proving = reporters(secrets, app.settings.sns_topics, RedisShelf(app))
    receivers: dict[str, Receive] = {
        **{name: _whole(app, room, one) for name, one in proving.items()},
        **{name: _as_it_comes(app, room, one) for name, one in carriers(secrets).items()},
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


Receive = Callable[[Request, Mapping[str, str], datetime], Awaitable[_Proven]]
"""Takes the request, its headers in lower case, and the time. Raises what `_Hook.take` answers."""


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
        except TooLarge:
            return self._refused(413, "too_large")
        except TooSlow:
            return self._refused(408, "too_slow", headers={"Connection": "close"})  # RFC 9110 §15.5.9
        except Unverified as error:
            return self._refused(403 if error.reason == "forbidden" else 401, error.reason, error.why)
        except (OperatorError, Full, NoRoom) as error:
            emit("web.failed", path=request.url.path, error=str(error) or type(error).__name__)
            return _said(503, "try again later", {"Retry-After": str(RETRY_SECONDS)})
        return _said(200, "stored")

    def _refused(self, status: int, reason: str, why: str = "", headers: Mapping[str, str] | None = None) -> Response:
        emit("hook.refused", provider=self._name, reason=reason, why=why)
        return _said(status, reason, headers)


def _said(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{text}\n", status, {"Cache-Control": "no-store", **(headers or {})})


def _whole(app: App, room: Room, reporter: Reporter) -> Receive:
    """Proven when all of it is here."""
    asking = CapacityLimiter(ASKING)

    async def receive(request: Request, headers: Mapping[str, str], now: datetime) -> _Proven:
        with room.body() as hold:
            chunks: list[bytes] = []

            def take(chunk: bytes) -> None:
                hold(len(chunk))
                chunks.append(chunk)

            await bodies.read(request, LARGEST, SECONDS, take)
            body = b"".join(chunks)
            posted = HookRequest(body, headers, _address(app, request), _caller(request))
            verify = partial(reporter.verify, posted, now)
            if isinstance(reporter, Confirming) and reporter.asks(posted, now):
                return _Proven(await to_thread.run_sync(verify, limiter=asking), body)
            return _Proven(await run_in_threadpool(verify) if len(body) > QUICK else verify(), body)

    return receive


def _as_it_comes(app: App, room: Room, carrier: Carrier) -> Receive:
    """Proven on its way, and cut. What its headers disprove is not read at all."""

    async def receive(request: Request, headers: Mapping[str, str], now: datetime) -> _Proven:
        arrival = carrier.expect(HookRequest(b"", headers, _address(app, request), _caller(request)), now)
        octets = 0
        with room.body() as hold:

            def take(chunk: bytes) -> None:
                nonlocal octets
                hold(max(0, min(len(chunk), LARGEST - octets)))  # of more, no more is kept
                octets += len(chunk)
                arrival.add(chunk)

            await bodies.read(request, carrier.largest, CARRIED_SECONDS, take)
            return _Proven(await run_in_threadpool(arrival.verify), arrival.kept(), {hooks.OCTETS: str(octets)})

    return receive


def _address(app: App, request: Request) -> str:
    """As the provider wrote it: a proxy may have changed host and scheme."""
    query = f"?{request.url.query}" if request.url.query else ""
    root = app.settings.public_url
    return str(request.url) if root is None else f"{root}{request.url.path}{query}"


def _caller(request: Request) -> str:
    """Who posts, as NOTIFY_TRUSTED_PROXIES let us know: one address, or the /64 that a host has of IPv6."""
    host = request.client.host if request.client else ""
    try:
        address = IPv6Address(host)
    except ValueError:
        return host
    return str(address.ipv4_mapped or IPv6Network((address, 64), strict=False).network_address)
