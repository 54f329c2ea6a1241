"""`notify bounces scan | mailboxes | listen`: how mails that come back reach notify."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import click

from notify import telemetry
from notify.app import App, open_app
from notify.cli import UNHEALTHY, screen
from notify.cli.groups import example
from notify.cli.options import as_json, text
from notify.cli.wiring import opened_app
from notify.errors import InvalidSettings
from notify.feedback.mailboxes import (
    ImapMailbox,
    Progress,
    Scanned,
    chosen,
    configured,
    imap_mailboxes,
    listeners,
    serve,
    watch,
)
from notify.feedback.mailboxes import scan as scan_mailboxes
from notify.settings import load
from notify.store import mailboxes as store
from notify.store.mailboxes import Standing

COLUMNS = ("Mailbox", "State", "Last success", "Last try", "Read up to", "Mails", "Problem")
PROGRESS_SECONDS = 1.0


@click.command(epilog=example("notify bounces scan", "notify bounces scan --watch", "notify bounces scan --json"))
@click.option("--keep-unseen", is_flag=True, help="Mark no mail as seen, whatever the URL says; moving goes on.")
@click.option("--watch", "watched", is_flag=True, help="Stay, and read what comes as it comes (IDLE), until Ctrl-C.")
@click.option("--mailbox", "name", type=text, metavar="NAME", help="Only this one; default: each of NOTIFY_MAILBOXES.")
@as_json
@click.pass_context
def scan(ctx: click.Context, *, keep_unseen: bool, watched: bool, name: str | None, as_json: bool) -> None:
    """Read what is new in the mailboxes: bounces, complaints, replies; and do what follows.

    Each goes on where its last scan ended. Exit code 2 when one cannot be read. With --watch, --json prints a line for
    each slice that was read, and for each try that failed.
    """
    with opened_app() as app:
        boxes = chosen(imap_mailboxes(app.settings), name)
        if keep_unseen:
            boxes = tuple(replace(one, keep_unseen=True) for one in boxes)
        if watched:
            _watch(app, boxes, as_json)
            return
        found = scan_mailboxes(app, boxes, progress=None if as_json else now_and_then())
    if as_json:
        screen.print_json([_as_json(one) for one in found])
    else:
        for one in found:
            _show(one)
    if any(one.problem for one in found):
        ctx.exit(UNHEALTHY)


@click.command(epilog=example("notify bounces mailboxes", "notify bounces mailboxes --json"))
@as_json
def mailboxes(*, as_json: bool) -> None:
    """List mailboxes and listeners: when each was last read, how far, and what was wrong at the last try."""
    with opened_app() as app, app.store.read() as connection:
        known = store.listing(connection)
        names = [one.name for one in configured(app.settings)]
    rows = [(name, known.get(name)) for name in dict.fromkeys([*names, *known])]
    if as_json:
        screen.print_json([_standing(name, one, used=name in names) for name, one in rows])
        return
    if not rows:
        screen.console().print("No mailboxes. Next: set NOTIFY_MAILBOXES")
        return
    drawn = (_row(name, one, used=name in names) for name, one in rows)
    screen.console().print(screen.table(COLUMNS, drawn, whole=("Mailbox", "State"), right=("Read up to", "Mails")))


@click.command(epilog=example("notify bounces listen"))
def listen() -> None:
    """Take mail for the return path: on each smtpd:// and lmtp:// of NOTIFY_MAILBOXES, until it is stopped.

    It answers 250 once a mail is stored, 451 while the database is away, and 550 for whoever is not written to here.
    """
    settings = load()
    telemetry.start(settings)
    places = listeners(settings)
    if not places:
        raise InvalidSettings(
            "NOTIFY_MAILBOXES: names nothing to listen on\nNext: add smtpd://0.0.0.0:2525 or lmtp://127.0.0.1:2424"
        )
    app = open_app(settings)
    try:
        asyncio.run(_until_signalled(app, places))
    finally:
        app.close()


async def _until_signalled(app: App, places: Sequence[Any]) -> None:
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    await serve(app, places, stop)


def _watch(app: App, boxes: Sequence[ImapMailbox], as_json: bool) -> None:
    """Each slice is told as it is read, with what the scan brought so far: in words, or a line of JSON.

    A try that failed is a line of JSON, too; in words the log tells it.
    """
    stop = threading.Event()
    with _signals(stop):
        watch(app, boxes, stop, _say_json if as_json else _say_progress)


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """Inside, SIGTERM and Ctrl-C set `stop`."""
    before = {one: signal.signal(one, lambda *_: stop.set()) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def now_and_then() -> Progress:
    """Says how far a scan has come, at most once a second: what came in the last one is told at its end."""
    said, lock = [time.monotonic()], threading.Lock()  # it is told by several threads

    def say(scanned: Scanned) -> None:
        with lock:
            if time.monotonic() - said[0] < PROGRESS_SECONDS:
                return
            said[0] = time.monotonic()
        _say_progress(scanned)

    return say


def _say_progress(scanned: Scanned) -> None:
    if scanned.problem is None:
        click.echo(_counted(scanned), err=True)


def _say_json(scanned: Scanned) -> None:
    click.echo(json.dumps(_as_json(scanned), ensure_ascii=False))


def _show(one: Scanned) -> None:
    out = screen.console()
    if one.problem is not None:
        out.print(screen.cell(f"✗ {one.problem}", "red"))
        if not one.read:
            return
    if one.busy:
        out.print(screen.cell(f"{one.mailbox.place}: is being read by another process just now", "yellow"))
        return
    counts = {**one.kinds, **one.states, **one.effects}
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    out.print(screen.cell(f"✓ {_counted(one)}{told and ': '}{told}", "green"))


def _counted(one: Scanned) -> str:
    return f"{one.mailbox.place}: {one.read:,} mail{'' if one.read == 1 else 's'} read, {one.new:,} new"


def _as_json(one: Scanned) -> dict[str, Any]:
    return {
        "mailbox": one.mailbox.name,
        "read": one.read,
        "new": one.new,
        "kinds": dict(one.kinds),
        "states": dict(one.states),
        "effects": dict(one.effects),
        "complete": one.complete,
        "busy": one.busy,
        "problem": one.problem and one.problem.problem,
    }


def _state(one: Standing | None, *, used: bool) -> str:
    if not used:
        return "not used"
    if one is None or one.tried_at is None:
        return "never tried"
    return "failing" if one.problem else "ready"


def _row(name: str, one: Standing | None, *, used: bool) -> tuple[Any, ...]:
    state = screen.state(_state(one, used=used))
    if one is None:
        return (name, state, None, None, None, None, None)
    place = one.uid_validity and f"{one.uid_validity}:{one.last_uid}"
    return (name, state, one.scanned_at, one.tried_at, place, f"{one.mails:,}", one.problem)


def _standing(name: str, one: Standing | None, *, used: bool) -> dict[str, Any]:
    return {
        "name": name,
        "state": _state(one, used=used).replace(" ", "_"),
        "scanned_at": one and one.scanned_at and one.scanned_at.isoformat(),
        "tried_at": one and one.tried_at and one.tried_at.isoformat(),
        "uid_validity": one and one.uid_validity,
        "last_uid": one and one.last_uid,
        "mails": one.mails if one else 0,
        "problem": one and one.problem,
    }
