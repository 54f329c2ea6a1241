"""`notify bounces unmatched`: reports that nobody knew the message of, and saying whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import click

from notify.cli import screen
from notify.cli.actor import actor
from notify.cli.groups import Group, example
from notify.cli.options import as_json, tenant, text
from notify.cli.wiring import opened_app
from notify.errors import NotFound
from notify.feedback import unmatched as reports
from notify.feedback.incoming import take_again
from notify.feedback.unmatched import Resolved
from notify.model import IncomingState
from notify.store import incoming as store
from notify.store.incoming import Incoming

ID = "0198c5f2-6d3b-7c1e-9a57-3f0d8e2b4a61"
COLUMNS = ("Id", "Received (UTC)", "Kind", "Reason", "Recipient", "Verdict", "What was said")


@click.group(cls=Group, epilog=example("notify bounces unmatched list", f"notify bounces unmatched show {ID}"))
def unmatched() -> None:
    """List, show and resolve reports whose message nobody knows."""


@unmatched.command("list", epilog=example("notify bounces unmatched list", "notify bounces unmatched list --json"))
@click.option("--rejected", is_flag=True, help="Those that were rejected instead: forged, or not readable.")
@click.option("--reason", type=text, help="Only those with this reason.")
@click.option("--limit", type=click.IntRange(min=1), default=20, help="At most so many. Default: 20.")
@as_json
def list_(*, rejected: bool, reason: str | None, limit: int, as_json: bool) -> None:
    """List what waits for somebody to resolve it, the latest first."""
    state = IncomingState.REJECTED if rejected else IncomingState.UNMATCHED
    with opened_app() as app, app.store.read() as connection:
        found = store.listing(connection, [state], reason=reason, limit=limit)
    if as_json:
        screen.print_json([one.as_json() for one in found])
    elif not found:
        screen.console().print("Nothing waits.")
    else:
        rows = [row for one in found for row in _rows(one)]
        screen.console().print(screen.table(COLUMNS, rows, whole=("Id", "Received (UTC)")))


@unmatched.command(epilog=example(f"notify bounces unmatched show {ID}", f"notify bounces unmatched show {ID} --json"))
@click.argument("id", type=click.UUID)
@as_json
def show(*, id: UUID, as_json: bool) -> None:
    """Show one mail: what was read of it, and its octets as far as they are kept."""
    with opened_app() as app, app.store.read() as connection:
        found = store.get(connection, id)
    if found is None:
        raise NotFound(f"no mail {id}\nNext: notify bounces unmatched list")
    body = (found.body or b"").decode("utf-8", "replace")
    if as_json:
        screen.print_json({**found.as_json(), "body": body or None})
        return
    out = screen.console()
    out.print(screen.facts(_facts(found)))
    rows = [(one["address"], one["verdict"], one["status"], one["diagnostic"]) for one in _recipients(found)]
    if rows:
        out.print(screen.table(("Recipient", "Verdict", "Status", "What was said"), rows))
    if body:
        out.print(screen.cell(f"\n{body}"))


@unmatched.command(
    epilog=example(
        f"notify bounces unmatched resolve {ID} --recipient user-42",
        f"notify bounces unmatched resolve {ID} --message {ID}",
        f"notify bounces unmatched resolve {ID} --dismiss",
    )
)
@click.argument("id", type=click.UUID)
@click.option("--recipient", type=text, metavar="KEY", help="It is of the last mail to this recipient.")
@click.option("--message", type=click.UUID, metavar="ID", help="It is of this message.")
@click.option("--dismiss", is_flag=True, help="It is nobody's: nothing follows.")
@tenant
@as_json
def resolve(
    *, id: UUID, recipient: str | None, message: UUID | None, dismiss: bool, tenant: str | None, as_json: bool
) -> None:
    """Say whose a report is: what it tells is recorded, and what follows is done. Harmless when it was done before."""
    if sum((recipient is not None, message is not None, dismiss)) != 1:
        raise click.UsageError("say whose it is: give one of --recipient, --message and --dismiss")
    with opened_app() as app:
        if dismiss:
            done = reports.dismiss(app, id, actor=actor())
        else:
            done = reports.attach(app, id, actor=actor(), message=message, recipient=recipient, tenant=tenant)
    if as_json:
        screen.print_json(_json(id, done))
    else:
        click.echo(_words(done))


@unmatched.command(
    epilog=example(f"notify bounces unmatched retry {ID}", "notify bounces unmatched retry --reason failed --json")
)
@click.argument("ids", type=click.UUID, nargs=-1)
@click.option("--reason", type=text, help="All with this reason.")
@as_json
def retry(*, ids: tuple[UUID, ...], reason: str | None, as_json: bool) -> None:
    """Read mails again, these or all with one reason: after a fault was mended, or their messages came."""
    if bool(ids) is (reason is not None):
        raise click.UsageError("give either ids or --reason")
    with opened_app() as app:
        states = take_again(app, ids, reason, actor=actor())
    if not states:
        raise NotFound("no mail whose octets are kept matches\nNext: notify bounces unmatched list --rejected")
    if as_json:
        screen.print_json({"read": sum(states.values()), "states": states})
    else:
        told = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))
        click.echo(f"{sum(states.values()):,} read again: {told}.")


def _facts(one: Incoming) -> list[tuple[str, Any]]:
    return [
        ("id", one.id),
        ("received", one.received_at),
        ("mailbox", one.mailbox),
        ("place", one.place),
        ("kind", one.kind.replace("_", " ")),
        ("state", screen.state(one.state)),
        ("reason", one.reason),
        ("message", one.message_id),
        ("from", one.sender),
        ("subject", one.subject),
        ("Message-ID", one.header_id),
        ("octets", f"{one.size:,}"),
        ("words", one.text),
        ("resolved", one.resolved_at),
        ("resolved by", one.resolved_by),
    ]


def _rows(one: Incoming) -> list[tuple[Any, ...]]:
    facts = (one.id, one.received_at, one.kind, one.reason)
    said = [(*facts, each["address"], each["verdict"], each["diagnostic"]) for each in _recipients(one)]
    return said or [(*facts, None, None, one.subject)]


def _recipients(one: Incoming) -> list[Mapping[str, Any]]:
    return list((one.report or {}).get("recipients", ()))


def _json(id: UUID, done: Resolved) -> dict[str, Any]:
    return {
        "id": str(id),
        "resolved_now": done.now,
        "reason": done.reason,
        "by": done.by,
        "message": str(done.message_id) if done.message_id else None,
        "address": done.address,
        "names_instead": list(done.instead),
        "events": done.recorded.new,
        "effects": dict(done.recorded.effects or {}),
    }


def _words(done: Resolved) -> str:
    if not done.now:
        return f"It was resolved before, by {done.by}: {done.reason}."
    if done.message_id is None:
        return "Dismissed: nothing follows from it."
    effects = ", ".join(f"{number} {effect}" for effect, number in (done.recorded.effects or {}).items())
    to = f" to {done.address}" if done.address else ""
    instead = f"\nThe report itself names {', '.join(done.instead)}." if done.instead else ""
    followed = effects or "nothing followed"
    return f"It is of message {done.message_id}{to}: {done.recorded.new} recorded; {followed}.{instead}"
