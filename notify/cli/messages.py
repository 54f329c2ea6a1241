"""`notify messages`: which messages there are, and the whole story of one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click

from notify import intake
from notify.cli import screen
from notify.cli.groups import Group, example
from notify.cli.options import as_json, tenant, text
from notify.cli.wiring import opened_app
from notify.intake import Explanation
from notify.model import Attempt, EventType, MessageState
from notify.store import messages as store
from notify.store import tenants
from notify.store.incoming import Incoming
from notify.store.messages import Listed

STATES = [state.value for state in MessageState]
ID = "0198c5f2-6d3b-7c1e-9a57-3f0d8e2b4a61"


@click.group(cls=Group, epilog=example("notify messages list --state dead --state in_doubt"))
def messages() -> None:
    """List messages, and show what became of one."""


@messages.command(
    "list",
    epilog=example(
        "notify messages list --state dead --kind welcome", "notify messages list --recipient user-42 --json"
    ),
)
@click.option(
    "--state",
    "states",
    type=click.Choice(STATES),
    multiple=True,
    help="Only in these states.",
)
@click.option("--kind", type=text, help="Only of this kind.")
@click.option("--recipient", type=text, metavar="KEY", help="Only to this recipient.")
@click.option("--notification", type=click.UUID, metavar="ID", help="Only of this notification.")
@click.option("--limit", type=click.IntRange(min=1), default=20, help="At most so many. Default: 20.")
@tenant
@as_json
def list_(
    *,
    states: tuple[str, ...],
    kind: str | None,
    recipient: str | None,
    notification: UUID | None,
    limit: int,
    tenant: str | None,
    as_json: bool,
) -> None:
    """List messages, newest first."""
    with opened_app() as app, app.store.read() as connection:
        found = store.listing(
            connection,
            tenants.tenant_id(connection, tenant),
            states=[MessageState(state) for state in states],
            kind=kind,
            recipient=recipient,
            notification_id=notification,
            limit=limit + 1,
        )
    shown = found[:limit]
    if as_json:
        screen.print_json([_json(line) for line in shown])
        return
    out = screen.console()
    if not shown:
        out.print("No such messages.")
        return
    columns = ("Message", "State", "Kind", "Recipient", "Created (UTC)")
    out.print(screen.table(columns, [_row(line) for line in shown], whole=("Message", "State", "Created (UTC)")))
    if len(found) > limit:
        out.print(screen.cell(f"There are more than these {limit:,}; --limit shows more.", "dim"))


def _row(line: Listed) -> tuple[Any, ...]:
    message = line.message
    state = screen.state(message.state)
    if message.reason and message.reason != message.state:
        state.append(f" ({screen.plain(message.reason)})", "dim")
    return message.id, state, line.kind, line.recipient, screen.plain(message.created_at).removesuffix(" UTC")


def _json(line: Listed) -> dict[str, Any]:
    message = line.message
    return {
        "message": str(message.id),
        "notification": str(message.notification_id),
        "kind": line.kind,
        "mode": line.mode,
        "recipient": line.recipient,
        "channel": message.channel,
        "address": message.address,
        "state": message.state,
        "reason": message.reason,
        "rule": message.rule,
        "attempts": message.attempts,
        "due_at": message.due_at.isoformat(),
        "created_at": message.created_at.isoformat(),
        "sent_at": message.sent_at.isoformat() if message.sent_at else None,
    }


def tell(message_id: str, as_json: bool) -> None:
    """Print the story of a message."""
    with opened_app() as app:
        story = intake.explain(app, message_id)
    if as_json:
        screen.print_json(story.as_json())
    else:
        _show(story)


@messages.command(epilog=example(f"notify messages show {ID}"))
@click.argument("message_id", metavar="ID")
@as_json
def show(message_id: str, as_json: bool) -> None:
    """Tell the whole story of one message: what was decided, tried and answered."""
    tell(message_id, as_json)


def _show(story: Explanation) -> None:
    out, message, notification = screen.console(), story.message, story.notification
    out.print(screen.cell(f"message {message.id}", "bold"))
    pairs = [
        ("state", screen.state(message.state)),
        ("reason", message.reason),
        ("rule", message.rule),
        ("kind", notification.kind),
        ("mode", notification.mode),
        ("channel", message.channel),
        ("address", message.address or "none"),
        ("notification", notification.id),
        ("key", notification.key),
        ("due", message.due_at if message.state is MessageState.QUEUED else None),
        ("deadline", notification.expires_at),
        ("sent", message.sent_at),
        ("opened", _read(story, EventType.OPENED)),
        ("clicked", _read(story, EventType.CLICKED)),
        *(("suppression", f"{one.scope}: {one.reason} ({one.source})") for one in story.suppressions),
    ]
    out.print(screen.facts(pairs))
    out.print(screen.cell("\ntimeline", "bold"))
    out.print(
        screen.facts([(screen.plain(moment.at), _moment(moment.what, moment.detail)) for moment in story.timeline])
    )
    for attempt in story.attempts:
        out.print(screen.cell(f"\nattempt {attempt.number}", "bold"))
        out.print(screen.facts(_attempt(attempt)))
    for mail in story.mails:
        out.print(screen.cell(f"\nmail that came back: {mail.kind.replace('_', ' ')}", "bold"))
        out.print(screen.facts(_mail(mail)))


def _read(story: Explanation, what: EventType) -> str | None:
    """How often people opened it, or followed its links, and how often machines did; None for never."""
    machines = [event.bot for event in story.events if event.type is what]
    if not machines:
        return None
    people, others = machines.count(False), machines.count(True)
    return f"{people:,} by people" + (f", {others:,} by machines" if others else "")


def _moment(what: str, detail: str) -> str:
    return f"{what}: {detail}" if detail else what


def _mail(mail: Incoming) -> list[tuple[str, Any]]:
    return [
        ("received", mail.received_at),
        ("mailbox", mail.mailbox),
        ("from", mail.sender),
        ("subject", mail.subject),
        ("resolved by", mail.resolved_by),
        ("words", mail.text),
    ]


def _attempt(attempt: Attempt) -> list[tuple[str, Any]]:
    return [
        ("outcome", screen.state(attempt.outcome)),
        ("at", attempt.at),
        ("reason", attempt.reason),
        ("provider", attempt.provider),
        ("passed over", attempt.passed_over),
        ("provider's id", attempt.provider_id),
        ("reply", attempt.response),
        ("subject", attempt.subject),
        ("Message-ID", attempt.header_id),
        ("templates", attempt.template_version),
        ("rendered", attempt.rendered_at),
    ]
