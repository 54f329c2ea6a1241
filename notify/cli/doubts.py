"""`notify doubts`: messages of which nobody knows whether they went out, settled by somebody who has looked."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click

from notify.cli import REFUSED, filters, screen
from notify.cli.actor import actor
from notify.cli.filters import MESSAGES, by
from notify.cli.groups import Group, example
from notify.cli.options import as_json, tenant
from notify.cli.wiring import opened_app
from notify.delivery import settling
from notify.delivery.settling import Word
from notify.store import waiting as store
from notify.store.waiting import Waiting

ID = "0198c5f2-6d3b-7c1e-9a57-3f0d8e2b4a61"


@click.group(cls=Group, epilog=example("notify doubts list", f"notify doubts settle {ID} --sent"))
def doubts() -> None:
    """List messages in doubt that are held, and settle them."""


@doubts.command("list", epilog=example("notify doubts list --kind invoice --json"))
@by(*MESSAGES)
@click.option("--limit", type=click.IntRange(min=1), default=20, help="At most so many. Default: 20.")
@tenant
@as_json
@click.pass_context
def list_(ctx: click.Context, /, *, limit: int, tenant: str | None, as_json: bool, **given: Any) -> None:
    """List messages in doubt, oldest first.

    `notify messages show` tells the Message-ID to search the provider's log for. Exit code 1 when options are given and
    nothing matches.
    """
    with opened_app() as app:
        tenant_id, wanted = filters.read(app, tenant, given)
        with app.store.read() as connection:
            found = store.doubts(connection, tenant_id, wanted, limit=limit + 1)
    shown = found[:limit]
    if as_json:
        screen.print_json([one.as_json() for one in shown])
    else:
        _show(shown, more=len(found) > limit)
    if not shown and wanted:
        ctx.exit(REFUSED)


def _show(shown: list[Waiting], *, more: bool) -> None:
    out = screen.console()
    if not shown:
        out.print("Nothing is held in doubt.")
        return
    columns = ("Message", "Kind", "Recipient", "Address", "Reason", "Provider", "Since (UTC)")
    out.print(screen.table(columns, map(_row, shown), whole=("Message", "Since (UTC)")))
    if more:
        out.print(screen.cell(f"There are more than these {len(shown):,}; --limit shows more.", "dim"))


def _row(one: Waiting) -> tuple[Any, ...]:
    since = screen.plain(one.since).removesuffix(" UTC")
    return one.id, one.kind, one.recipient, one.address, one.reason, one.provider, since


@doubts.command(epilog=example(f"notify doubts settle {ID} --sent"))
@click.argument("ids", type=click.UUID, nargs=-1, required=True, metavar="ID...")
@click.option("--sent", "word", flag_value=Word.SENT.value, help="The provider has them.")
@click.option("--resend", "word", flag_value=Word.RESEND.value, help="It has not: send them again, as new.")
@click.option("--dead", "word", flag_value=Word.DEAD.value, help="Nobody knows: give them up.")
@tenant
@as_json
@click.pass_context
def settle(
    ctx: click.Context, /, *, ids: tuple[UUID, ...], word: str | None, tenant: str | None, as_json: bool
) -> None:
    """Say what became of messages in doubt. Exit code 1 when one of them was not in doubt."""
    if word is None:
        raise click.UsageError("say what became of them: --sent, --resend or --dead")
    with opened_app() as app:
        done = settling.settle(app, ids, Word(word), actor=actor(), tenant=tenant)
    if as_json:
        screen.print_json({"settled": list(map(str, done.settled)), "refused": list(map(str, done.refused))})
    else:
        count = len(done.settled)
        click.echo(f"Settled {count:,} message{'s' if count != 1 else ''}: {word}.")
        for one in done.refused:
            click.echo(f"Left alone {one}: it is not in doubt, or its kind is gone.")
    if done.refused:
        ctx.exit(REFUSED)
