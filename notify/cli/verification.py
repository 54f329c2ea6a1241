"""`notify recipients verify`: a mail whose link shows that the address is the recipient's."""

from __future__ import annotations

import click

from notify.cli import screen
from notify.cli.groups import example
from notify.cli.options import as_json, tenant, text
from notify.cli.wiring import opened_app
from notify.intake import confirmations


@click.command(
    epilog=example("notify recipients verify user-42", "notify recipients verify user-42 --address a@example.org")
)
@click.argument("key", type=text)
@click.option("--address", type=text, help="One of the recipient's e-mail addresses; default: the primary one.")
@tenant
@as_json
def verify(key: str, address: str | None, tenant: str | None, as_json: bool) -> None:
    """Send a mail whose link verifies the recipient's e-mail address."""
    with opened_app() as app:
        sent = confirmations.ask_verification(app, key, address=address, tenant=tenant)
    if as_json:
        screen.print_json({"notification": str(sent.id) if sent else None, "verified": sent is None})
    else:
        click.echo(f"Asked by notification {sent.id}." if sent else "It is verified already: nothing was sent.")
