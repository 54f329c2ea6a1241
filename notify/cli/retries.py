"""`notify retries`: messages that wait for another try, sent on now or given up."""

from __future__ import annotations

from typing import Any

import click

from notify.cli import REFUSED, filters, screen
from notify.cli.actor import actor
from notify.cli.filters import IDS, MESSAGES, by, require_some
from notify.cli.groups import Group, example
from notify.cli.options import as_json, tenant
from notify.cli.wiring import opened_app
from notify.delivery import retries as retrying
from notify.store import waiting as store
from notify.store.waiting import Waiting


@click.group(cls=Group, epilog=example("notify retries list", "notify retries now --reason unreachable"))
def retries() -> None:
    """List messages that wait for another try; try them now, or cancel them."""


@retries.command("list", epilog=example("notify retries list --kind welcome --json"))
@by(*MESSAGES)
@click.option("--limit", type=click.IntRange(min=1), default=20, help="At most so many. Default: 20.")
@tenant
@as_json
@click.pass_context
def list_(ctx: click.Context, /, *, limit: int, tenant: str | None, as_json: bool, **given: Any) -> None:
    """List messages that wait for another try, or were put off, oldest first.

    What waits for the time it was planned for is not among them. Exit code 1 when options are given and nothing
    matches.
    """
    with opened_app() as app:
        tenant_id, wanted = filters.read(app, tenant, given)
        with app.store.read() as connection:
            found = store.retries(connection, tenant_id, wanted, limit=limit)
            count = store.count_retries(connection, tenant_id, wanted) if len(found) == limit else len(found)
    if as_json:
        screen.print_json([one.as_json() for one in found])
    else:
        _show(found, count)
    if not found and wanted:
        ctx.exit(REFUSED)


def _show(found: list[Waiting], count: int) -> None:
    out = screen.console()
    if not found:
        out.print("Nothing waits for another try.")
        return
    columns = ("Message", "Kind", "Recipient", "Attempts", "Reason", "Provider", "Due (UTC)")
    out.print(screen.table(columns, map(_row, found), whole=("Message", "Due (UTC)"), right=("Attempts",)))
    if count > len(found):
        out.print(screen.cell(f"These are {len(found):,} of {count:,}; --limit shows more.", "dim"))


def _row(one: Waiting) -> tuple[Any, ...]:
    due = screen.plain(one.due_at).removesuffix(" UTC")
    return one.id, one.kind, one.recipient, one.attempts, one.reason, one.provider, due


@retries.command(epilog=example("notify retries now --reason unreachable", "notify retries now --all"))
@IDS
@by(*MESSAGES)
@click.option("--all", "everything", is_flag=True, help="Every message that waits for another try.")
@tenant
@as_json
def now(*, everything: bool, tenant: str | None, as_json: bool, **given: Any) -> None:
    """Try messages at once, by id or by option. Exit code 1 when nothing matches."""
    require_some(given, everything, "message that waits for another try")
    with opened_app() as app:
        _, wanted = filters.read(app, tenant, given)
        moved = retrying.now(app, wanted, actor=actor(), tenant=tenant)
    if as_json:
        screen.print_json({"due_now": moved})
    else:
        click.echo(f"{moved:,} message{'s are' if moved != 1 else ' is'} due now.")


@retries.command(epilog=example("notify retries cancel --notification newsletter-2031-05"))
@IDS
@by(*MESSAGES)
@click.option("--all", "everything", is_flag=True, help="Every message that waits for another try.")
@tenant
@as_json
def cancel(*, everything: bool, tenant: str | None, as_json: bool, **given: Any) -> None:
    """Give messages up that wait for another try, by id or by option. Exit code 1 when nothing matches."""
    require_some(given, everything, "message that waits for another try")
    with opened_app() as app:
        _, wanted = filters.read(app, tenant, given)
        withdrawn = retrying.cancel(app, wanted, actor=actor(), tenant=tenant)
    if as_json:
        screen.print_json({"cancelled": withdrawn})
    else:
        click.echo(f"Cancelled {withdrawn:,} message{'s' if withdrawn != 1 else ''}.")
