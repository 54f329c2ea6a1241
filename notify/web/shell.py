"""What all pages share: layout, language, headers that let nothing else run, and what is said when something is wrong.

A page never shows a trace, and never says whether an address exists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from notify.app import App
from notify.audience import links
from notify.errors import OperatorError
from notify.kinds import locales
from notify.kinds.translations import Shelf
from notify.telemetry import emit
from notify.web import forms, languages

FOLDER = Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # the address of a page is a key to it
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
}
RETRY_SECONDS = 30  # what who finds the database away is told to wait

Trouble = Literal["forged", "expired", "unreadable", "away", "broken"]
_STATUS: dict[Trouble, int] = {"forged": 400, "expired": 410, "unreadable": 400, "away": 503, "broken": 500}


class Shell:
    """Makes the pages of one App. Templates are compiled once for each language."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._shelf = Shelf([FOLDER], languages.SOURCE)
        self._loader = FileSystemLoader(FOLDER / "pages")
        self._environments: dict[str, Environment] = {}
        self._phrases: dict[str, Callable[..., str]] = {}
        self._style = b"\n".join(path.read_bytes() for path in sorted((FOLDER / "pages").glob("*.css")))
        self._version = hashlib.sha256(self._style).hexdigest()[:12]
        self._sender = parseaddr(app.settings.email_from)[0] or app.settings.sender_address.rpartition("@")[2]

    @property
    def languages(self) -> tuple[str, ...]:
        """The tags of the languages that pages can be in, in alphabetical order."""
        return tuple(sorted({languages.SOURCE, *self._shelf.locales}))

    def language(self, request: Request, own: str | None = None) -> str:
        """The language for this request; `own` is the locale of the person whose link it is."""
        accept = request.headers.get("accept-language", "")
        return languages.choose(own, accept, self.app.settings.default_locale, self._shelf.locales)

    def page(
        self, request: Request, name: str, *, status: int = 200, locale: str | None = None, **values: Any
    ) -> HTMLResponse:
        """`pages/<name>.html` with these values, in the language for `locale` (a recipient's) or the browser's."""
        language = self.language(request, locale)
        template = self._environment(language).get_template(f"{name}.html")
        text = template.render(
            values,
            lang=language,
            direction=locales.parse(language).text_direction,
            root="../" * (request.url.path.strip("/").count("/")),
            version=self._version,
            sender=self._sender,
        )
        return HTMLResponse(text, status, {**HEADERS, "Content-Language": language})

    def problem(
        self, request: Request, trouble: Trouble, *, status: int | None = None, locale: str | None = None
    ) -> HTMLResponse:
        """A page that says what is wrong with the link or with us, and what to do."""
        answer = self.page(request, "problem", status=status or _STATUS[trouble], locale=locale, trouble=trouble)
        if trouble == "away":
            answer.headers["Retry-After"] = str(RETRY_SECONDS)
        return answer

    def phrases(self, language: str) -> Callable[..., str]:
        """How to translate the words of the pages themselves, as plain text: for what a template is given to print."""
        known = self._phrases.get(language)
        if known is None:
            known = self._phrases[language] = self._shelf.functions(language, html=False)["_"]
        return known

    def link(self, request: Request, purpose: links.Purpose) -> links.Link | HTMLResponse:
        """What the request's parameter `token` names; or the page for one that is not ours (400) or expired (410)."""
        found = links.read(self.app, purpose, request.query_params.get("token", ""))
        if found is None:
            return self.problem(request, "forged")
        return self.problem(request, "expired") if found.expired else found

    def routes(self) -> APIRouter:
        """The stylesheet."""
        router = APIRouter()

        @router.get("/style.css")
        async def style() -> Response:
            kept = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
            return Response(self._style, media_type="text/css", headers=kept)

        return router

    def answer_for_failures_of(self, server: FastAPI) -> None:
        """Who meets a database that is away, or a fault of ours, is told so, and nothing else."""

        @server.exception_handler(OperatorError)
        def away(request: Request, error: Exception) -> Response:
            emit("web.failed", path=request.url.path, error=str(error))
            return self.problem(request, "away")

        @server.exception_handler(forms.Unreadable)
        def unreadable(request: Request, error: Exception) -> Response:
            return self.problem(request, "unreadable", status=getattr(error, "status", 400))

        @server.exception_handler(Exception)
        def broken(request: Request, error: Exception) -> Response:
            return self.problem(request, "broken")

    def _environment(self, language: str) -> Environment:
        known = self._environments.get(language)
        if known is None:
            known = Environment(
                loader=self._loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
            )
            known.globals.update(self._shelf.functions(language, html=True))
            self._environments[language] = known
        return known


Look = Callable[[Request], Response]
Act = Callable[[Request, dict[str, str]], Response]


def shown(look: Look) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint for GET and HEAD: `look` runs in a thread, for it asks the database. It must change nothing."""

    async def get(request: Request) -> Response:
        return await run_in_threadpool(look, request)

    return get


def acted(act: Act) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint for POST: `act` is given the request and the form's fields, and runs in a thread."""

    async def post(request: Request) -> Response:
        return await run_in_threadpool(act, request, await forms.read(request))

    return post
