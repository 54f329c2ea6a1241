"""`notify tenants`: whose notifications an installation keeps apart."""

from __future__ import annotations

import click

from notify.cli import screen
from notify.cli.actor import actor
from notify.cli.groups import Group, example
from notify.cli.options import as_json, text
from notify.cli.wiring import opened_app
from notify.store import audit
from notify.store import tenants as store


@click.group(cls=Group, epilog=example("notify tenants add acme"))
def tenants() -> None:
    """Add and list tenants."""


@tenants.command(epilog=example("notify tenants add acme"))
@click.argument("key", type=text)
def add(key: str) -> None:
    """Add a tenant; one that is there already stays as it is."""
    with opened_app() as app, app.store.begin() as connection:
        now = app.clock.now()
        if added := store.add(connection, key, now):
            tenant_id = store.tenant_id(connection, key)
            audit.write(connection, tenant_id, actor=actor(), action="tenants.add", subject=key, detail={}, at=now)
    click.echo(f"Added tenant {key}." if added else f"Tenant {key} was there already: nothing was changed.")


@tenants.command("list", epilog=example("notify tenants list --json"))
@as_json
def list_(as_json: bool) -> None:
    """List every tenant."""
    with opened_app() as app, app.store.read() as connection:
        keys = store.keys(connection)
    if as_json:
        screen.print_json([{"key": key} for key in keys])
        return
    for key in keys:
        click.echo(key)
