"""`notify dead replay`, `replays`, `cancel`: dead letters are sent after all, by a job that is watched and stopped."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from notify.app import App
from notify.cli import INTERRUPTED, REFUSED, filters, screen
from notify.cli.actor import actor
from notify.cli.filters import DEAD_LETTERS, IDS, by, require_some
from notify.cli.groups import example
from notify.cli.options import as_json, tenant
from notify.cli.wiring import opened_app
from notify.delivery import replay as replaying
from notify.delivery.replay import Terms
from notify.model import Replay, ReplayState
from notify.store import replays as store
from notify.store import tenants

ID = "0198c5f2-6d3b-7c1e-9a57-3f0d8e2b4a61"
WHY = {
    "possibly_sent": "may have been accepted by a provider: --possibly-sent replays them, too",
    "expired": "their deadline is over",
    "no_kept_mail": "left no mail, for they were never rendered or too large: replay them without --as-was",
    "kind_unusable": "their kind is missing or broken: notify kinds check",
    "not_dead": "are dead no longer",
    "payload_cut": "are tasks too large to be kept whole",
}


@click.command(
    epilog=example(
        "notify dead replay --kind welcome --reason unrenderable --dry-run",
        f"notify dead replay {ID} --as-was",
    )
)
@IDS
@by(*DEAD_LETTERS)
@click.option("--all", "everything", is_flag=True, help="Every dead letter of the tenant.")
@click.option("--as-was", is_flag=True, help="Send the very mails that died, and render nothing.")
@click.option("--possibly-sent", is_flag=True, help="Also those that a provider may have accepted: some may go twice.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@tenant
@as_json
@click.pass_context
def replay(
    ctx: click.Context,
    /,
    *,
    everything: bool,
    as_was: bool,
    possibly_sent: bool,
    dry_run: bool,
    tenant: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Send dead letters after all, by id or by option: rendered with the templates and data of now.

    What went out meanwhile is not sent again; what is passed over is told. A task that could not run goes back to its
    queue. The work is done here and by the workers; Ctrl-C leaves it to them. Exit code 1 when nothing matches, or
    everything is passed over.
    """
    require_some(given, everything, "dead letter")
    terms = Terms(as_was=as_was, possibly_sent=possibly_sent)
    with opened_app() as app:
        _, wanted = filters.read(app, tenant, given)
        if dry_run:
            job = replaying.survey(app, wanted, terms, tenant=tenant)
        else:
            job = _watched(app, replaying.begin(app, wanted, terms, actor=actor(), tenant=tenant))
    if as_json:
        told = job.as_json()
        screen.print_json({**told, "id": None, "dry_run": True} if dry_run else told)
    else:
        _tell(job, dry_run)
    if job.state is ReplayState.RUNNING:
        ctx.exit(INTERRUPTED)
    if not job.replayed:
        ctx.exit(REFUSED)


def _watched(app: App, job: Replay) -> Replay:
    """Work at it and show how far it is, until it ends or Ctrl-C is pressed."""
    console = screen.console(stderr=True)
    columns = (TextColumn("Replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=job.total)
        try:
            for so_far in replaying.work(app, job):
                job = so_far
                shown.update(task, completed=job.replayed + sum(job.passed_over.values()))
        except KeyboardInterrupt:
            return job
    return job


def _tell(job: Replay, dry_run: bool) -> None:
    did = "Would replay" if dry_run else "Replayed"
    click.echo(f"{did} {job.replayed:,} of {job.total:,} dead letter{'s' if job.total > 1 else ''}.")
    for reason, count in sorted(job.passed_over.items()):
        click.echo(f"Passed over {count:,} that {WHY[reason]}.")
    if job.state is ReplayState.RUNNING:
        click.echo(
            f"The rest is left to the workers: `notify dead replays` tells how far they are.\n"
            f"Next: to stop it, notify dead cancel {job.id}"
        )
    elif job.state is ReplayState.CANCELLED:
        click.echo("It was cancelled.")


@click.command(epilog=example("notify dead replays --json"))
@click.option("--limit", type=click.IntRange(min=1), default=20, help="At most so many. Default: 20.")
@tenant
@as_json
def replays(limit: int, tenant: str | None, as_json: bool) -> None:
    """List replays, newest first, and how far each has come."""
    with opened_app() as app, app.store.read() as connection:
        found = store.listing(connection, tenants.tenant_id(connection, tenant), limit=limit)
    if as_json:
        screen.print_json([job.as_json() for job in found])
        return
    out = screen.console()
    if not found:
        out.print("No replays.")
        return
    columns = ("Replay", "State", "Total", "Replayed", "Passed over", "By", "Begun (UTC)")
    whole, right = ("Replay", "State", "Begun (UTC)"), ("Total", "Replayed", "Passed over")
    out.print(screen.table(columns, map(_row, found), whole=whole, right=right))


def _row(job: Replay) -> tuple[Any, ...]:
    begun = screen.plain(job.created_at).removesuffix(" UTC")
    counts = (f"{count:,}" for count in (job.total, job.replayed, sum(job.passed_over.values())))
    return job.id, screen.state(job.state), *counts, job.actor, begun


@click.command(epilog=example(f"notify dead cancel {ID}"))
@click.argument("id_", metavar="ID", type=click.UUID)
@tenant
@as_json
def cancel(id_: UUID, tenant: str | None, as_json: bool) -> None:
    """Stop a replay: what it has not come to stays dead."""
    with opened_app() as app:
        job = replaying.cancel(app, id_, actor=actor(), tenant=tenant)
    if as_json:
        screen.print_json(job.as_json())
    elif job.state is ReplayState.CANCELLED:
        click.echo(f"Cancelled: {job.replayed:,} of {job.total:,} dead letters were replayed before.")
    else:
        click.echo(f"It had ended already: {job.replayed:,} of {job.total:,} dead letters were replayed.")
