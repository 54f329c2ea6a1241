"""`/unsubscribe`: a mail program's one click, and a page on which nothing happens before a button is pressed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from notify.app import App
from notify.audience import leaving, links
from notify.audience.leaving import Breadth, Parting
from notify.web.shell import Shell, acted, shown

PATH = "/unsubscribe"
_BREADTHS: tuple[Breadth, ...] = ("all", "category", "kind")
"""From the widest to the narrowest."""
_ORDER: tuple[Breadth, ...] = ("category", "kind", "all")  # on the page, what is most likely meant first

ONE_CLICK = ("List-Unsubscribe", "One-Click")  # RFC 8058 §3.1


def routes(shell: Shell) -> APIRouter:
    """The page and its actions."""
    router = APIRouter()

    def look(request: Request) -> Response:
        found = _open(shell, request)
        return found if isinstance(found, Response) else _page(shell, request, found)

    def act(request: Request, form: Mapping[str, str]) -> Response:
        clicked = form.get(ONE_CLICK[0]) == ONE_CLICK[1]
        found = _open(shell, request, leaving.at_once if clicked else leaving.of_message)
        if isinstance(found, Response):
            return found
        if found.required:
            return _page(shell, request, found, status=403)
        if clicked:
            if found.link.named is None:  # of the predecessor
                leaving.leave(shell.app, found, "all", "one-click")
            return PlainTextResponse("Unsubscribed.\n", headers={"Cache-Control": "no-store"})
        if "undo" in form:
            back = leaving.undo(shell.app, found)
            return _page(shell, request, back, undone=True) if back else shell.problem(request, "expired")
        breadth = next((one for one in _BREADTHS if one == form.get("scope")), None)
        if breadth is None:
            return _page(shell, request, found, status=400, problem=True)
        reason = form.get("reason") if form.get("reason") in leaving.REASONS else None
        done = leaving.leave(shell.app, found, breadth, "page", reason=reason, note=form.get("note"))
        return _page(shell, request, done) if done else shell.problem(request, "expired")

    router.add_api_route(PATH, shown(look), methods=["GET", "HEAD"])
    router.add_api_route(PATH, acted(act), methods=["POST"])
    return router


def _open(
    shell: Shell, request: Request, of_message: Callable[[App, UUID, UUID], Parting | None] = leaving.of_message
) -> Parting | Response:
    """What the link opens, or a page that says why it opens nothing."""
    given = request.query_params.get("token", "")
    ids = links.verify(shell.app, "unsubscribe", given)
    if ids is None:
        address = links.legacy_address(shell.app, given)
        return shell.problem(request, "forged") if address is None else leaving.of_address(shell.app, address)
    message_id, recipient_id = ids
    return of_message(shell.app, message_id, recipient_id) or shell.problem(request, "expired")


def _page(
    shell: Shell, request: Request, parting: Parting, *, status: int = 200, undone: bool = False, problem: bool = False
) -> Response:
    words = shell.app.kinds.words(shell.language(request, parting.link.locale))
    gone = {parting.breadth(scope) for scope in parting.left}
    left = [_option(parting, breadth, words) for breadth in _BREADTHS if breadth in gone]
    more = _BREADTHS if parting.kind else ("all",)
    more = more[: min((_BREADTHS.index(breadth) for breadth in gone), default=len(_BREADTHS))]  # what is wider
    return shell.page(
        request,
        "unsubscribe",
        status=status,
        locale=parting.link.locale,
        options=[_option(parting, breadth, words) for breadth in sorted(more, key=_ORDER.index)],
        left=[] if undone else left,
        undone=undone,
        stands=undone and bool(left),
        problem=problem,
        required=words(parting.kind.title) if parting.required and parting.kind else "",
    )


def _option(parting: Parting, breadth: Breadth, words: Any) -> dict[str, str]:
    if parting.kind is None or parting.category is None or breadth == "all":
        return {"value": "all", "title": "", "text": ""}
    if breadth == "kind":
        return {"value": breadth, "title": words(parting.kind.title), "text": ""}
    text = parting.category.description
    return {"value": breadth, "title": words(parting.category.title), "text": words(text) if text else ""}
