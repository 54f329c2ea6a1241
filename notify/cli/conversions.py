"""`notify conversions`: what recipients did that mails were sent for, and which mail led to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from notify.cli import screen
from notify.cli.groups import Group, example
from notify.cli.options import as_json, moment, tenant, text
from notify.cli.wiring import opened_app
from notify.feedback import conversions as recording
from notify.store import conversions as store
from notify.store import tenants
from notify.store.conversions import Attributed

COLUMNS = ("At", "Recipient", "Name", "Value", "Kind", "Message", "Clicked")


@click.group(cls=Group, epilog=example("notify conversions record user-42 order --value 49.90 --key order-1187"))
def conversions() -> None:
    """Record what recipients did after a click, and list it."""


@conversions.command(epilog=example("notify conversions record user-42 order --value 49.90 --key order-1187"))
@click.argument("recipient", type=text)
@click.argument("name", type=text)
@click.option("--value", type=float, help="What it is worth.")
@click.option("--at", type=moment, metavar="WHEN", help="When it was, like 2031-05-01T09:00+02:00. Default: now.")
@click.option("--key", type=text, help="Your own name of it: under the same it is recorded once.")
@tenant
@as_json
def record(
    *,
    recipient: str,
    name: str,
    value: float | None,
    at: datetime | None,
    key: str | None,
    tenant: str | None,
    as_json: bool,
) -> None:
    """Record that a recipient did what mails were sent for. Harmless when it was done before under the same key."""
    with opened_app() as app:
        kept, new = recording.record(app, recipient, name, value, at, key=key, tenant=tenant)
    if as_json:
        facts = {"id": str(kept.id), "recipient": recipient, "name": kept.name, "key": kept.key, "value": kept.value}
        screen.print_json({**facts, "at": kept.at.isoformat(), "new": new})
    elif new:
        click.echo(f"Recorded {kept.name} of {recipient}, key {kept.key}.")
    else:
        click.echo(f"It was recorded before: {kept.name} of {recipient}, key {kept.key}, at {screen.plain(kept.at)}.")


@conversions.command(
    "list", epilog=example("notify conversions list --kind newsletter", "notify conversions list --name order --json")
)
@click.option("--name", type=text, help="Only those of this name.")
@click.option("--kind", type=text, help="Only those that mails of this kind led to.")
@click.option("--since", type=moment, metavar="WHEN", help="From then on, like 2031-05-01T09:00+02:00.")
@click.option("--limit", type=click.IntRange(min=1), default=20, help="At most so many. Default: 20.")
@tenant
@as_json
def list_(
    *, name: str | None, kind: str | None, since: datetime | None, limit: int, tenant: str | None, as_json: bool
) -> None:
    """List conversions, the latest first, each with the message whose link was followed last before it."""
    with opened_app() as app, app.store.read() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        found = store.listing(connection, tenant_id, name=name, kind=kind, since=since, limit=limit)
    if as_json:
        screen.print_json([_json(one) for one in found])
    elif not found:
        screen.console().print("No such conversions.")
    else:
        rows = [
            (did.at, one.recipient, did.name, did.value, one.kind, one.message_id, one.clicked_at)
            for one in found
            for did in [one.conversion]
        ]
        screen.console().print(screen.table(COLUMNS, rows, whole=("At", "Message", "Clicked"), right=("Value",)))


def _json(one: Attributed) -> dict[str, Any]:
    did = one.conversion
    return {
        "id": str(did.id),
        "recipient": one.recipient,
        "name": did.name,
        "key": did.key,
        "value": did.value,
        "at": did.at.isoformat(),
        "kind": one.kind,
        "message": str(one.message_id) if one.message_id else None,
        "link": one.link_id,
        "clicked_at": one.clicked_at.isoformat() if one.clicked_at else None,
    }
