"""`notify dead`: what was given up, by cause; shown, exported, replayed or discarded."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click

from notify.cli import REFUSED, filters, screen
from notify.cli.actor import actor
from notify.cli.dead_export import export
from notify.cli.dead_replay import cancel, replay, replays
from notify.cli.filters import DEAD_LETTERS, IDS, by, require_some
from notify.cli.groups import Group, example
from notify.cli.options import as_json, tenant
from notify.cli.wiring import opened_app
from notify.delivery import replay as replaying
from notify.errors import NotFound
from notify.model import DeadLetter, Filter
from notify.store import dead_letters as store
from notify.store.dead_letters import Group as Cause

ID = "0198c5f2-6d3b-7c1e-9a57-3f0d8e2b4a61"


@click.group(cls=Group, epilog=example("notify dead list", "notify dead replay --kind welcome --reason unrenderable"))
def dead() -> None:
    """List, replay and discard what was given up."""


for command in (export, replay, replays, cancel):
    dead.add_command(command)


@dead.command("list", epilog=example("notify dead list", "notify dead list --each --error rejected --json"))
@by(*DEAD_LETTERS)
@click.option("--each", is_flag=True, help="List every dead letter, oldest first, and not causes.")
@click.option("--limit", type=click.IntRange(min=1), default=20, help="At most so many lines. Default: 20.")
@tenant
@as_json
@click.pass_context
def list_(ctx: click.Context, /, *, each: bool, limit: int, tenant: str | None, as_json: bool, **given: Any) -> None:
    """List dead letters by cause, the most frequent first.

    Equal failures are one line: those whose kind, class of error, reason and text are the same but for numbers, ids,
    addresses and quoted words. Exit code 1 when options are given and nothing matches.
    """
    with opened_app() as app:
        tenant_id, wanted = filters.read(app, tenant, given)
        with app.store.read() as connection:
            if each:
                letters = store.listing(connection, tenant_id, wanted, limit=limit + 1)
                lines = [one.as_json() for one in letters[:limit]]
                drawn = screen.table(LETTER, map(_letter_row, letters[:limit]), whole=("Id", "Died (UTC)"))
                more = len(letters) > limit
            else:
                causes = store.groups(connection, tenant_id, wanted, limit=limit + 1)
                lines = [_cause_json(one) for one in causes[:limit]]
                drawn = screen.table(
                    CAUSE,
                    map(_cause_row, causes[:limit]),
                    whole=("First (UTC)", "Last (UTC)", "Fingerprint"),
                    right=("Count",),
                )
                more = len(causes) > limit
    _print(lines, drawn, as_json, more=more, limit=limit)
    if not lines and wanted:
        ctx.exit(REFUSED)


def _print(lines: list[dict[str, Any]], drawn: Any, as_json: bool, *, more: bool, limit: int) -> None:
    if as_json:
        screen.print_json(lines)
        return
    out = screen.console()
    out.print(drawn if lines else "No such dead letters.")
    if more:
        out.print(screen.cell(f"There are more than these {limit:,}; --limit shows more.", "dim"))


CAUSE = ("Count", "Kind", "Error", "Reason", "Provider", "First (UTC)", "Last (UTC)", "Fingerprint", "For example")
LETTER = ("Id", "Kind", "Error", "Reason", "Provider", "Recipient", "Died (UTC)")


def _cause_row(cause: Cause) -> tuple[Any, ...]:
    death = cause.example.death
    more = f" and {cause.providers - 1} more" if cause.providers > 1 else ""
    return (
        f"{cause.count:,}",
        death.kind,
        screen.state(death.error),
        death.reason,
        f"{cause.provider or ''}{more}",
        _time(cause.first),
        _time(cause.last),
        cause.example.fingerprint,
        cause.example.shown_id,
    )


def _cause_json(cause: Cause) -> dict[str, Any]:
    death = cause.example.death
    return {
        "count": cause.count,
        "kind": death.kind,
        "error": death.error,
        "reason": death.reason,
        "provider": cause.provider,
        "providers": cause.providers,
        "first": cause.first.isoformat(),
        "last": cause.last.isoformat(),
        "fingerprint": cause.example.fingerprint,
        "example": str(cause.example.shown_id),
        "detail": death.detail,
    }


def _letter_row(letter: DeadLetter) -> tuple[Any, ...]:
    death = letter.death
    error = screen.state(death.error)
    return letter.shown_id, death.kind, error, death.reason, death.provider, letter.recipient, _time(death.at)


def _time(moment: Any) -> str:
    return screen.plain(moment).removesuffix(" UTC")


@dead.command(epilog=example(f"notify dead show {ID}"))
@click.argument("id_", metavar="ID", type=click.UUID)
@tenant
@as_json
def show(id_: UUID, tenant: str | None, as_json: bool) -> None:
    """Show one dead letter, by the message's id or its own.

    `notify messages show` tells the whole story of its message.
    """
    with opened_app() as app:
        tenant_id, wanted = filters.read(app, tenant, {"ids": (id_,)})
        with app.store.read() as connection:
            found = store.listing(connection, tenant_id, wanted, limit=1)
            alike = store.count(connection, tenant_id, Filter(fingerprint=found[0].fingerprint))[0] if found else 0
    if not found:
        raise NotFound(f"no dead letter {id_}; `notify dead list --each` shows them")
    [letter] = found
    if as_json:
        screen.print_json({**letter.as_json(), "alike": alike})
        return
    death, out = letter.death, screen.console()
    out.print(screen.cell(f"dead letter {letter.shown_id}", "bold"))
    out.print(
        screen.facts(
            [
                ("kind", death.kind),
                ("channel", death.channel),
                ("error", screen.state(death.error)),
                ("reason", death.reason),
                ("detail", death.detail),
                ("provider", death.provider),
                ("died", death.at),
                ("recipient", letter.recipient),
                ("address", letter.address),
                ("notification", letter.notification_id),
                ("mail", "kept: --as-was can send it again" if letter.kept else None),
                ("fingerprint", f"{letter.fingerprint} ({alike:,} of this cause)"),
                ("task", death.payload),
            ]
        )
    )


@dead.command(epilog=example("notify dead discard --reason mailbox_unknown --until 2031-05-01T00:00Z"))
@IDS
@by(*DEAD_LETTERS)
@click.option("--all", "everything", is_flag=True, help="Every dead letter of the tenant.")
@click.option("--dry-run", is_flag=True, help="Only say how many.")
@tenant
@as_json
def discard(*, everything: bool, dry_run: bool, tenant: str | None, as_json: bool, **given: Any) -> None:
    """Forget dead letters, by id or by option: their messages stay dead for good, and cannot be replayed.

    What was kept of their mails is deleted. Exit code 1 when nothing matches.
    """
    require_some(given, everything, "dead letter")
    with opened_app() as app:
        tenant_id, wanted = filters.read(app, tenant, given)
        if dry_run:
            with app.store.read() as connection:
                count, last = store.count(connection, tenant_id, wanted)
            if last is None:
                raise NotFound(replaying.NONE)
        else:
            count = replaying.discard(app, wanted, actor=actor(), tenant=tenant)
    if as_json:
        screen.print_json({"would_discard" if dry_run else "discarded": count})
    else:
        letters = f"{count:,} dead letter{'s' if count > 1 else ''}"
        click.echo(f"Would discard {letters}." if dry_run else f"Discarded {letters}.")
