"""`/confirm` and `/verify`: what a mail asked for comes true by a button on the page of its link, not before."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from notify.audience import confirming, verification
from notify.web.shell import Act, Look, Shell, acted, shown


def routes(shell: Shell) -> APIRouter:
    """Double opt-in, and the verification of addresses."""
    router = APIRouter()
    for path, endpoint in (("/confirm", _confirmation(shell)), ("/verify", _verification(shell))):
        look, act = endpoint
        router.add_api_route(path, shown(look), methods=["GET", "HEAD"])
        router.add_api_route(path, acted(act), methods=["POST"])
    return router


def _confirmation(shell: Shell) -> tuple[Look, Act]:
    def page(request: Request, form: Mapping[str, str] | None) -> Response:
        link = shell.link(request, "confirm")
        if isinstance(link, Response):
            return link
        found = confirming.pending(shell.app, link.ids[0])
        if found is None:
            return shell.problem(request, "expired")
        done = found.granted
        if form is not None and not done:
            done = confirming.confirm(shell.app, link.ids[0], _proof(request)) is not None
            if not done:
                return shell.problem(request, "expired", locale=found.locale)
        words = shell.app.kinds.words(shell.language(request, found.locale))
        title = words(shell.app.kinds.category(found.category).title)
        return shell.page(request, "confirm", locale=found.locale, subject=title, wording=found.wording, done=done)

    return lambda request: page(request, None), page


def _verification(shell: Shell) -> tuple[Look, Act]:
    def page(request: Request, form: Mapping[str, str] | None) -> Response:
        link = shell.link(request, "verify")
        if isinstance(link, Response):
            return link
        found = verification.pending(shell.app, link.ids[0])
        if found is None:
            return shell.problem(request, "expired")
        done = found.verified
        if form is not None and not done:
            done = verification.confirm(shell.app, link.ids[0])
            if not done:
                return shell.problem(request, "expired")
        return shell.page(request, "verify", done=done)

    return lambda request: page(request, None), page


def _proof(request: Request) -> dict[str, str]:
    """What shows later that somebody pressed the button."""
    agent = request.headers.get("user-agent", "")
    return {"ip": request.client.host if request.client else "", "user_agent": agent}
