"""`notify guard`: what bounced or was complained of too much, and letting it go on."""

from __future__ import annotations

from uuid import UUID

import click

from notify.cli import screen
from notify.cli.actor import actor
from notify.cli.groups import Group, example
from notify.cli.options import as_json
from notify.cli.wiring import opened_app
from notify.feedback import guard as guarding
from notify.model import Hold

COLUMNS = ("Hold", "Of", "Name", "Rate", "Provider", "Since")


@click.group(cls=Group, epilog=example("notify guard list"))
def guard() -> None:
    """Show what the reputation guard holds, and end a hold."""


@guard.command("list", epilog=example("notify guard list", "notify guard list --json"))
@as_json
def list_(as_json: bool) -> None:
    """List the holds that nobody has ended, the oldest first."""
    with opened_app() as app:
        held = guarding.in_force(app)
    if as_json:
        screen.print_json([_json(one) for one in held])
    elif not held:
        screen.console().print("Nothing is held.")
    else:
        rows = [(one.id, one.scope, one.subject, one.words, one.provider, one.began_at) for one in held]
        screen.console().print(screen.table(COLUMNS, rows, whole=("Hold", "Since")))


@guard.command(epilog=example("notify guard resume 0196e0a4-7f3c-7c1e-a3b1-5d2c9f7e8a10"))
@click.argument("hold", type=click.UUID)
@as_json
def resume(hold: UUID, as_json: bool) -> None:
    """End one hold: what it paused goes on at once. `notify providers resume` ends all of a provider."""
    with opened_app() as app:
        [ended] = guarding.resume(app, actor=actor(), hold_id=hold)
    if as_json:
        screen.print_json(_json(ended))
    else:
        click.echo(f"The guard holds {ended.scope} {ended.subject} no longer: {ended.words}.")


def _json(one: Hold) -> dict[str, str | int | None]:
    return {
        "id": str(one.id),
        "scope": one.scope,
        "subject": one.subject,
        "measure": one.measure,
        "bad": one.bad,
        "sent": one.sent,
        "provider": one.provider,
        "since": one.began_at.isoformat(),
    }
