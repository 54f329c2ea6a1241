"""`/o/<token>.gif` and `/c/<token>`: a pixel, and a link that leads where it led when its mail was made.

Where a link leads is never read from the request: a token that is not ours is 404, and so is one whose link is kept no
longer. What was seen goes to Redis, many at a time, and an answer hardly waits for that.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import quote
from uuid import UUID

import idna
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from uuid_utils.compat import uuid7

from notify.channels.email import tracking as addresses
from notify.channels.email.tracking import CLICK_PATH, GIF, OPEN_PATH
from notify.feedback import robots, tracking
from notify.feedback.targets import Targets
from notify.feedback.tracking import Sighting
from notify.web.shell import Shell
from notify.web.spool import Spool

PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")  # one transparent dot
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address names a message
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
}
METHODS = ["GET", "HEAD"]
_PARTS = re.compile(r"(https?://)((?:[^/?#\\@]*@)?)([^/?#\\@:]*)(.*)", re.IGNORECASE | re.DOTALL)
_SENDABLE = "".join(map(chr, range(33, 127)))


def routes(shell: Shell) -> APIRouter:
    """Both. Their spool is emptied when the process stops."""
    secrets, clock = shell.app.settings.secrets, shell.app.clock
    spool = Spool(partial(tracking.write, shell.app))
    targets = Targets(shell.app)

    @asynccontextmanager
    async def until_stopped(_: Any) -> AsyncIterator[None]:
        yield
        await spool.close()
        targets.close()

    async def seen(request: Request, message_id: UUID, link_id: UUID | None = None) -> None:
        client = request.client.host if request.client else None
        machine = robots.mark(request.method, request.headers, client)
        await spool.add(Sighting(uuid7(), message_id, clock.now(), link_id, machine))

    async def opened(request: Request) -> Response:
        name: str = request.path_params["name"]
        message_id = addresses.opened(secrets, name.removesuffix(GIF)) if name.endswith(GIF) else None
        if message_id is None:
            return shell.problem(request, "forged", status=404)
        await seen(request, message_id)
        return Response(PIXEL, media_type="image/gif", headers=HEADERS)

    async def clicked(request: Request) -> Response:
        found = addresses.clicked(secrets, request.path_params["token"])
        if found is None:
            return shell.problem(request, "forged", status=404)
        url = targets.remembered(found.link_id) or await run_in_threadpool(targets.find, found.link_id)
        if url is None:
            return shell.problem(request, "expired", status=404)
        await seen(request, found.message_id, found.link_id)
        return Response(status_code=302, headers={**HEADERS, "Location": location(url)})

    router = APIRouter(lifespan=until_stopped)
    router.add_route(f"/{OPEN_PATH}/{{name}}", opened, methods=METHODS)
    router.add_route(f"/{CLICK_PATH}/{{token}}", clicked, methods=METHODS)
    return router


def location(url: str) -> str:
    """An address as a header carries it: what a browser would make of it that reads it in the mail (RFC 3987 §3.1)."""
    if url.isascii() and url.isprintable() and " " not in url:
        return url
    parts = _PARTS.fullmatch(url)
    assert parts is not None, "only links to the web are stored"
    scheme, user, host, rest = parts.groups()
    return scheme + _quoted(user) + _host(host) + _quoted(rest)


def _host(name: str) -> str:
    if name.isascii():
        return _quoted(name)
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError:  # browsers know of more names than the standard
        return _quoted(name)


def _quoted(text: str) -> str:
    return quote(text, safe=_SENDABLE)
