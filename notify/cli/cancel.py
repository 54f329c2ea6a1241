"""`notify cancel`: what no worker has taken yet is not sent."""

from __future__ import annotations

import click

from notify import intake
from notify.cli import screen
from notify.cli.actor import actor
from notify.cli.groups import example
from notify.cli.options import as_json, tenant, text
from notify.cli.wiring import opened_app


@click.command(
    epilog=example(
        "notify cancel newsletter-2031-05",
        "notify cancel --cancellation-key order-17",
        "notify cancel 0198c5f2-6d3b-7c1e-9a57-3f0d8e2b4a61 --json",
    ),
)
@click.argument("id_or_key", type=text, required=False)
@click.option("--cancellation-key", type=text, help="All notifications that were sent with it.")
@tenant
@as_json
def cancel(id_or_key: str | None, cancellation_key: str | None, tenant: str | None, as_json: bool) -> None:
    """Cancel what no worker has taken yet of a notification.

    ID_OR_KEY is the id that `notify send` printed, or the idempotency key it was given.
    """
    if (id_or_key is None) == (cancellation_key is None):
        raise click.UsageError("give an id or a key, or --cancellation-key")
    with opened_app() as app:
        if cancellation_key is not None:
            cancelled = intake.cancel_all(app, cancellation_key, actor=actor(), tenant=tenant)
        else:
            assert id_or_key is not None
            cancelled = intake.cancel(app, id_or_key, actor=actor(), tenant=tenant)
    if as_json:
        screen.print_json({"cancelled": cancelled})
    elif cancelled:
        click.echo(f"Cancelled {cancelled:,} message{'s' if cancelled > 1 else ''}.")
    else:
        click.echo("Nothing was left to cancel: every message is with a worker, or has its final state.")
