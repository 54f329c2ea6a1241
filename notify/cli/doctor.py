"""`notify doctor`: every service that this installation needs is asked, with its credentials, and says how it is.

What is wrong with one keeps nobody from asking the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NoReturn

import click
from redis import RedisError

from notify.app import App
from notify.channels.reporters import carriers, reporters
from notify.cli import UNHEALTHY, screen
from notify.cli.groups import example
from notify.cli.options import as_json
from notify.cli.providers import checked
from notify.cli.wiring import opened_app
from notify.delivery import beat_problems, worker_problems
from notify.errors import DeliveryError, InvalidSettings, NotifyError, OperatorError, Unreachable
from notify.feedback.mailboxes import ImapMailbox, answers, imap_mailboxes, listeners, probe
from notify.store import schema
from notify.telemetry import scrub

Ask = Callable[[], str]
"""Asks one service; returns what it said, or raises what is wrong."""
Service = tuple[str, Ask]


@click.command(epilog=example("notify doctor", "notify doctor --json"))
@as_json
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Ask database, Redis, providers and mailboxes whether they answer, and log in. Nothing is sent, read or marked.

    Of listeners, whether somebody takes mail there, and by TLS where that is set up. Beat, workers and the secrets of
    webhooks are looked at, too. Exit code 2 when something is wrong.
    """
    with opened_app() as app:
        found = [_asked(service, ask) for part in PARTS for service, ask in _services(app, *part)]
    if as_json:
        screen.print_json(found)
    else:
        for one in found:
            mark, style = ("✓", "green") if one["ok"] else ("✗", "red")
            screen.console().print(screen.cell(f"{mark} {one['service']}: {one['said']}", style))
    if not all(one["ok"] for one in found):
        ctx.exit(UNHEALTHY)


def _services(app: App, part: str, listed: Callable[[App], Iterator[Service]]) -> list[Service]:
    """What there is to ask of one part of the installation; where it cannot be used as it is set, to say so."""
    try:
        return list(listed(app))
    except NotifyError as error:
        return [(part, partial(_raise, error))]


def _raise(error: NotifyError) -> NoReturn:
    raise error


def _own(app: App) -> Iterator[Service]:
    yield "database", partial(_database, app)
    yield "Redis", partial(_redis, app)
    for name, one in app.channels.every().items():
        yield f"provider {name}", partial(checked, one.provider)


def _mailboxes(app: App) -> Iterator[Service]:
    for box in imap_mailboxes(app.settings):
        yield f"mailbox {box.place}", partial(_mailbox, box)
    for place in listeners(app.settings):
        yield f"listener {place.name}", partial(answers, app, place)


def _webhooks(app: App) -> Iterator[Service]:
    secrets = [one.get_secret_value() for one in app.settings.hook_secrets]
    names = sorted([*reporters(secrets, app.settings.sns_topics), *carriers(secrets)])
    if names:
        yield "webhooks", lambda: f"set up for {', '.join(names)}"


def _processes(app: App) -> Iterator[Service]:
    yield "beat", lambda: _unless(beat_problems(app), "its relay runs")
    yield "workers", lambda: _unless(worker_problems(app), "alive")


PARTS = (("services", _own), ("mailboxes", _mailboxes), ("webhooks", _webhooks), ("processes", _processes))


def _asked(service: str, ask: Ask) -> dict[str, Any]:
    try:
        return {"service": service, "ok": True, "said": ask()}
    except DeliveryError as error:
        said = scrub(" ".join(filter(None, (f"{error.reason}:", error.response))))
        return {"service": service, "ok": False, "said": f"{said}\n  Next: notify providers check"}
    except NotifyError as error:
        said = str(error).removeprefix(f"{service}: ").replace("\n", "\n  ")
        ours = isinstance(error, InvalidSettings)  # it repeats no secret, and its example has an address
        return {"service": service, "ok": False, "said": said if ours else scrub(said)}


def _database(app: App) -> str:
    schema.require_head(app.store)
    return "answers, and its schema is the one this version needs"


def _mailbox(box: ImapMailbox) -> str:
    return f"answers, and takes the credentials; {probe(box):,} mails"


def _unless(problems: Sequence[str], well: str) -> str:
    """What is well, unless there are problems. Raises `OperatorError`."""
    if problems:
        raise OperatorError("\n".join(problems).replace(" Next: ", "\nNext: "))
    return well


def _redis(app: App) -> str:
    try:
        app.redis.ping()
    except RedisError as error:
        raise Unreachable(f"{error}\nNext: bring it back, or correct NOTIFY_REDIS_URL") from None
    return "answers"
