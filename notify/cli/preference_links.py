"""`notify preferences link`: the way to a recipient's own page."""

from __future__ import annotations

from datetime import timedelta

import click

from notify.audience import own_page
from notify.cli import screen
from notify.cli.groups import example
from notify.cli.options import as_json, tenant, text
from notify.cli.wiring import opened_app


@click.command(epilog=example("notify preferences link user-42", "notify preferences link user-42 --days 1"))
@click.argument("key", type=text)
@click.option(
    "--days", type=click.IntRange(1, 366), default=own_page.LASTS.days, show_default=True, help="How long it works."
)
@tenant
@as_json
def link(key: str, days: int, tenant: str | None, as_json: bool) -> None:
    """Print a link to a recipient's own page. Whoever has it may change what they receive: give it to them alone."""
    with opened_app() as app:
        url = own_page.link(app, key, lasts=timedelta(days=days), tenant=tenant)
    if as_json:
        screen.print_json({"key": key, "url": url, "days": days})
    else:
        click.echo(url)
