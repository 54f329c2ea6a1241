"""`notify doctor`: every service that this installation needs is asked, with its credentials, and says how it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import click
from redis import RedisError

from notify.app import App
from notify.cli import UNHEALTHY, screen
from notify.cli.groups import example
from notify.cli.options import as_json
from notify.cli.providers import checked
from notify.cli.wiring import opened_app
from notify.errors import DeliveryError, NotifyError, Unreachable
from notify.feedback.mailboxes import ImapMailbox, imap_mailboxes, probe
from notify.store import schema
from notify.telemetry import scrub

Ask = Callable[[], str]
"""Asks one service; returns what it said, or raises what is wrong."""


@click.command(epilog=example("notify doctor", "notify doctor --json"))
@as_json
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Ask database, Redis, providers and mailboxes whether they answer, and log in. Nothing is sent, read or marked.

    Exit code 2 when one does not.
    """
    with opened_app() as app:
        found = [_asked(service, ask) for service, ask in _services(app)]
    if as_json:
        screen.print_json(found)
    else:
        for one in found:
            mark, style = ("✓", "green") if one["ok"] else ("✗", "red")
            screen.console().print(screen.cell(f"{mark} {one['service']}: {one['said']}", style))
    if not all(one["ok"] for one in found):
        ctx.exit(UNHEALTHY)


def _services(app: App) -> Iterator[tuple[str, Ask]]:
    yield "database", partial(_database, app)
    yield "Redis", partial(_redis, app)
    for name, one in app.channels.every().items():
        yield f"provider {name}", partial(checked, one.provider)
    for box in imap_mailboxes(app.settings):
        yield f"mailbox {box.place}", partial(_mailbox, box)


def _asked(service: str, ask: Ask) -> dict[str, Any]:
    try:
        return {"service": service, "ok": True, "said": ask()}
    except DeliveryError as error:
        said = scrub(" ".join(filter(None, (f"{error.reason}:", error.response))))
        return {"service": service, "ok": False, "said": f"{said}\n  Next: notify providers check"}
    except NotifyError as error:
        said = str(error).removeprefix(f"{service}: ").replace("\n", "\n  ")
        return {"service": service, "ok": False, "said": scrub(said)}


def _database(app: App) -> str:
    schema.require_head(app.store)
    return "answers, and its schema is the one this version needs"


def _mailbox(box: ImapMailbox) -> str:
    return f"answers, and takes the credentials; {probe(box):,} mails"


def _redis(app: App) -> str:
    try:
        app.redis.ping()
    except RedisError as error:
        raise Unreachable(f"{error}\nNext: bring it back, or correct NOTIFY_REDIS_URL") from None
    return "answers"
