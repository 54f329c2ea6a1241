"""`/preferences`: GET shows the page of whose link it is, POST does what one of its forms asks and leads back to it.

The token in the address is the key to the page; no cookie is. A form sent by another site is refused all the same.
"""

from __future__ import annotations

from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from notify.app import App
from notify.audience import links, recipients
from notify.store import link_holders
from notify.store.link_holders import Holder
from notify.web import forms as bodies
from notify.web.preference_centre import mails, said, view
from notify.web.preference_centre.entry import Entry, Refused
from notify.web.preference_centre.forms import follow
from notify.web.preference_centre.visit import Visit
from notify.web.shell import HEADERS, Shell, shown

PATH = "/preferences"
_LONGEST_AGENT = 200


def routes(shell: Shell) -> APIRouter:
    """The page, and its forms."""
    router = APIRouter()

    def look(request: Request) -> Response:
        link = _link(shell, request)
        if isinstance(link, Response):
            return link
        if link.expired:
            return _old_link(shell, request, sent=False)
        visit = _visit(shell, request, link.ids[0])
        if visit is None:
            return shell.problem(request, "expired")
        return _page(shell, request, visit, done=request.query_params.get("done", ""))

    def act(request: Request, entry: Entry) -> Response:
        link = _link(shell, request)
        if isinstance(link, Response):
            return link
        if _from_elsewhere(request):
            return shell.problem(request, "unreadable", status=403)
        if link.expired:
            return _renew(shell, request, link.ids[0], entry)
        visit = _visit(shell, request, link.ids[0])
        if visit is None:
            return shell.problem(request, "expired")
        try:
            done = follow(visit, entry)
        except Refused as refused:
            return _page(shell, request, visit, tried=(entry, refused))
        token = request.query_params["token"]
        # the fragment moves the focus to what was done: then it is read out
        return RedirectResponse(f"?token={token}&done={done}#said", 303, HEADERS)

    @router.post(PATH, response_class=Response)
    async def post(request: Request) -> Response:
        return await run_in_threadpool(act, request, Entry(await bodies.read_all(request)))

    router.add_api_route(PATH, shown(look), methods=["GET", "HEAD"], response_class=Response)
    return router


def _link(shell: Shell, request: Request) -> links.Link | Response:
    """What the token names, also when its time is over; or the page for one that is not ours."""
    found = links.read(shell.app, "preferences", request.query_params.get("token", ""))
    return shell.problem(request, "forged") if found is None or len(found.ids) != 1 else found


def _visit(shell: Shell, request: Request, recipient_id: UUID) -> Visit | None:
    """Whose page it is; None for somebody who is not there any more."""
    app = shell.app
    holder = _holder(app, recipient_id)
    if holder is None:
        return None
    language = shell.language(request, holder.locale)
    return Visit(
        app=app,
        tenant=holder.tenant,
        profile=recipients.get(app, holder.key, tenant=holder.tenant),
        language=language,
        words=shell.phrases(language),
        own_words=app.kinds.words(language),
        proof={
            "page": PATH,
            "ip": request.client.host if request.client else "",
            "user_agent": request.headers.get("user-agent", "")[:_LONGEST_AGENT],
        },
    )


def _holder(app: App, recipient_id: UUID) -> Holder | None:
    with app.store.read() as connection:
        return link_holders.find(connection, recipient_id)


def _page(
    shell: Shell,
    request: Request,
    visit: Visit,
    *,
    done: str = "",
    tried: tuple[Entry, Refused] | None = None,
) -> Response:
    everything = links.sign(shell.app, "unsubscribe", visit.profile.id, visit.profile.id)  # of no message: of all
    return shell.page(
        request,
        "preferences",
        status=422 if tried else 200,
        locale=visit.language,
        page=view.page(visit, said=said.sentence(done, visit.words), tried=tried),
        unsubscribe=f"unsubscribe?token={everything}",
    )


def _old_link(shell: Shell, request: Request, *, sent: bool) -> Response:
    return shell.page(request, "preferences_old_link", status=410, sent=sent)


def _renew(shell: Shell, request: Request, recipient_id: UUID, entry: Entry) -> Response:
    """Send a fresh link, if that is what was asked; what the page says does not tell whether there was anybody."""
    if entry.section != "link":
        return _old_link(shell, request, sent=False)
    if holder := _holder(shell.app, recipient_id):
        mails.send_link(shell.app, holder)
    return _old_link(shell, request, sent=True)


def _from_elsewhere(request: Request) -> bool:
    """Whether a browser says that another site sent the form. `Origin: null` is what our own pages send."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin", "null")
    return origin != "null" and urlsplit(origin).netloc != request.headers.get("host")
