"""`notify web`: the web process of the Procfile."""

from __future__ import annotations

import gc

import click
import uvicorn

from notify import interpreter, telemetry
from notify.app import current
from notify.web.connections import TimelyProtocol
from notify.web.server import make

LOCK_SECONDS = 5  # who waits at a page is told to come again (503) rather than kept waiting for an import


@click.command(epilog="\b\nExample:\n  notify web --port 8025")
@click.option("--host", help="Address to listen on. [default: NOTIFY_WEB_HOST]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on. [default: NOTIFY_WEB_PORT]")
def web(host: str | None, port: int | None) -> None:
    """Serve HTTP: health, readiness, and the pages that links in mails open."""
    app = current()
    settings = app.settings
    telemetry.start(settings)
    app.store.give_up_locks_after(LOCK_SECONDS)
    server = make(app)
    gc.freeze()  # what is loaded stays: to look through all of it again and again costs 100 ms each time
    with interpreter.prompt():
        uvicorn.run(
            server,
            host=host or settings.web_host,
            port=settings.web_port if port is None else port,
            http=TimelyProtocol,
            log_config=None,
            access_log=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            server_header=False,
        )
