"""`notify send`: what an application would ask for, asked for by hand."""

from __future__ import annotations

import mimetypes
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import click

from notify import audience, intake
from notify.app import App
from notify.audience import Everyone, Segment
from notify.cli import options, screen
from notify.cli.groups import example
from notify.cli.options import To, as_json, tenant
from notify.cli.wiring import opened_app
from notify.model import Attachment, Local, Mode, Notification

ANY_FILE = "application/octet-stream"
MODES = [mode.value for mode in Mode]


@click.command(
    epilog=example(
        "notify send welcome --to user-42",
        'notify send welcome --to \'{"key": "user-43", "email": "grace@example.org", "locale": "nl"}\'',
        "notify send welcome --everyone --tag beta",
        'notify send welcome --segment \'attr.country in ("NL", "BE") and not opened within 30d\'',
        "notify send welcome --to user-42 --at 2031-05-01T09:00+02:00 --expires 2h",
        "notify send welcome --everyone --at-local 09:00",
        "notify send welcome --to user-42 --delay 2h --cancellation-key order-17",
        "notify send job-completed --to-file people.jsonl --data @job.json --attach results.csv --key job-7",
    ),
)
@click.argument("kind")
@click.option(
    "--to",
    type=options.recipient,
    multiple=True,
    metavar="KEY|JSON",
    help="A recipient's key, or a description with a key. May be repeated.",
)
@click.option(
    "--to-file",
    type=click.File(encoding="utf-8"),
    metavar="JSONL",
    help="A recipient per line in JSON; - is standard input.",
)
@click.option("--everyone", is_flag=True, help="Everyone of the roster; workers plan them while they deliver.")
@click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="With --everyone: only those with this tag, or these."
)
@click.option("--segment", metavar="NAME|EXPRESSION", help="Those of the roster in this segment.")
@click.option("--data", type=options.data, metavar="JSON|@FILE", help="What the templates are filled with.")
@click.option("--key", type=options.text, help="Idempotency key: the same request with the same key is sent once.")
@click.option("--cancellation-key", type=options.text, help="Notifications that share it can be cancelled together.")
@click.option("--at", type=options.moment, metavar="ISO", help="Send it then, such as 2031-05-01T09:00+02:00.")
@click.option(
    "--at-local",
    type=options.local,
    metavar="09:00|ISO",
    help="Send it when each recipient's clock shows this, such as 09:00 (the next) or 2031-05-01T09:00.",
)
@click.option("--delay", type=options.span, metavar="2h", help="Send it so long after now.")
@click.option(
    "--expires",
    type=options.deadline,
    metavar="5m|ISO",
    help="What has not gone out by then dies, so long after --at, or at this time. Default: as the kind says.",
)
@options.channel("Only by these channels.", "channels", multiple=True)
@click.option(
    "--attach", type=click.Path(exists=True, dir_okay=False, path_type=Path), multiple=True, help="A file to go along."
)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default=Mode.LIVE.value,
    help="dry_run writes .eml files. Default: live.",
)
@tenant
@as_json
def send(
    *,
    kind: str,
    to: tuple[To, ...],
    to_file: TextIO | None,
    everyone: bool,
    tags: tuple[str, ...],
    segment: str | None,
    data: dict[str, Any] | None,
    key: str | None,
    cancellation_key: str | None,
    at: datetime | None,
    at_local: Local | None,
    delay: timedelta | None,
    expires: timedelta | datetime | None,
    channels: tuple[str, ...],
    attach: tuple[Path, ...],
    mode: str,
    tenant: str | None,
    as_json: bool,
) -> None:
    """Notify one or many recipients.

    KIND names a folder of templates (`notify kinds list`). When this returns, the notification is stored and will reach
    a final state. A recipient who is described is kept under that key for the next time.
    """
    named: list[To] = [*to, *(options.recipients_in(to_file, to_file.name) if to_file else ())]
    selected = everyone or segment is not None
    _require_addressees(bool(to) or to_file is not None, everyone, tags, segment)
    if sum(moment is not None for moment in (at, at_local, delay)) > 1:
        raise click.UsageError("--at, --at-local and --delay each say when; give one of them")
    with opened_app() as app:
        request = intake.Request.checked(
            app,
            kind,
            _selection(tags, segment) if selected else named,
            data,
            channels=channels or None,
            key=key,
            at=at or at_local,
            delay=delay,
            cancellation_key=cancellation_key,
            tenant=tenant,
            attachments=[_attachment(path) for path in attach],
            mode=mode,
            expires=expires,
        )
        sent = intake.plan(app, request)
        if as_json:
            screen.print_json(_json(sent))
        else:
            _show(app, sent, request.at, selected=selected)


def _require_addressees(named: bool, everyone: bool, tags: tuple[str, ...], segment: str | None) -> None:
    """Raise `UsageError` unless somebody is named, or everyone is meant, or a segment."""
    if not named and not everyone and segment is None:
        raise click.UsageError("nobody to notify; give --to, --to-file, --everyone or --segment")
    if (everyone or segment is not None) and (named or (everyone and segment is not None)):
        alone = "--everyone" if everyone else "--segment"
        raise click.UsageError(f"{alone} stands alone: nobody can be named beside it")
    if tags and not everyone:
        raise click.UsageError("--tag goes with --everyone")


def _selection(tags: tuple[str, ...], segment: str | None) -> Everyone | Segment:
    return audience.everyone(tags=tags or None) if segment is None else audience.segment(segment)


def _attachment(path: Path) -> Attachment:
    return Attachment(path.name, path.read_bytes(), mimetypes.guess_type(path.name)[0] or ANY_FILE)


def _json(sent: Notification) -> dict[str, Any]:
    return {
        "notification": str(sent.id),
        "kind": sent.kind,
        "mode": sent.mode,
        "key": sent.key,
        "repeated": sent.repeated,
        "created_at": sent.created_at.isoformat(),
        "expires_at": sent.expires_at.isoformat() if sent.expires_at else None,
        "messages": dict(sent.messages or {}),
    }


def _show(app: App, sent: Notification, at: datetime | Local | None, *, selected: bool) -> None:
    out = screen.console()
    out.print(screen.cell(f"notification {sent.id}", "bold"))
    tally = screen.counts(sent.messages) if sent.messages else "none"
    pairs = [
        ("kind", sent.kind),
        ("mode", sent.mode),
        ("key", sent.key),
        ("at", f"{at} by each recipient's clock" if isinstance(at, Local) else at),
        ("deadline", sent.expires_at),
        ("messages", tally),
    ]
    out.print(screen.facts(pairs))
    if selected and not sent.repeated:
        out.print("Workers plan its messages now: notify status tells how far they are.")
    if sent.repeated:
        out.print("The same request came with this key before: nothing was sent again; so its messages stand now.")
    if sent.mode is Mode.DRY_RUN:
        out.print(f"Mails will lie in {app.settings.dry_run_dir / str(sent.id)}", soft_wrap=True)
    out.print(f"Next: notify messages list --notification {sent.id}", soft_wrap=True)
