"""`notify audit`: who did what, as the database keeps it; nothing is ever changed there."""

from __future__ import annotations

import json
from datetime import datetime

import click

from notify.cli import screen
from notify.cli.groups import Group, example
from notify.cli.options import as_json, moment, tenant, text
from notify.cli.wiring import opened_app
from notify.store import audit as store
from notify.store import tenants


@click.group(cls=Group, epilog=example("notify audit list --action suppressions. --since 2031-05-01T00:00Z"))
def audit() -> None:
    """List who did what."""


@audit.command(
    "list", epilog=example("notify audit list --actor cli:ada --json", "notify audit list --action recipients.")
)
@click.option("--actor", type=text, help="By whom.")
@click.option("--action", type=text, help="What; one that ends in a dot stands for all that begin so.")
@click.option("--subject", type=text, help="To whom or what; a recipient by key or id.")
@click.option("--since", type=moment, metavar="WHEN", help="From then on, like 2031-05-01T09:00+02:00.")
@click.option("--limit", type=click.IntRange(min=1), default=20, help="At most so many. Default: 20.")
@tenant
@as_json
def list_(
    *,
    actor: str | None,
    action: str | None,
    subject: str | None,
    since: datetime | None,
    limit: int,
    tenant: str | None,
    as_json: bool,
) -> None:
    """List what was done, the latest first."""
    with opened_app() as app, app.store.read() as connection:
        found = store.listing(
            connection,
            tenants.tenant_id(connection, tenant),
            actor=actor,
            action=action,
            subject=subject,
            since=since,
            limit=limit,
        )
    if as_json:
        names = ("actor", "action", "subject", "detail")
        screen.print_json([{**{name: getattr(one, name) for name in names}, "at": one.at.isoformat()} for one in found])
        return
    if not found:
        screen.console().print("Nothing was done that matches.")
        return
    rows = [(one.at, one.actor, one.action, one.subject, json.dumps(one.detail, ensure_ascii=False)) for one in found]
    screen.console().print(screen.table(("When", "Who", "What", "To", "Detail"), rows, whole=("When",)))
