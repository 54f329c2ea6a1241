"""The web process: health, what a link in a mail opens, and what providers post."""

from __future__ import annotations

from fastapi import FastAPI

from notify.app import App
from notify.web import confirm, health, hooks, preference_centre, tracking, unsubscribe
from notify.web.shell import Shell


def make(app: App) -> FastAPI:
    """The ASGI application."""
    server = FastAPI(title="notify", docs_url=None, redoc_url=None, openapi_url=None)
    shell = Shell(app)
    server.include_router(hooks.routes(app))  # first, for routes are tried in their order
    server.include_router(tracking.routes(shell))
    server.include_router(health.routes(app))
    server.include_router(shell.routes())
    server.include_router(preference_centre.routes(shell))
    server.include_router(unsubscribe.routes(shell))
    server.include_router(confirm.routes(shell))
    shell.answer_for_failures_of(server)
    return server
