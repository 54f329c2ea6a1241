"""`notify suppressions`: addresses that must not be used, and why; each change is audited."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from notify.audience import suppressing, suppression_import
from notify.audience.suppressing import Standing
from notify.audience.suppression_import import Imported, Line
from notify.audience.suppression_lists import FORMS
from notify.cli import REFUSED, options, screen
from notify.cli.actor import actor
from notify.cli.groups import Group, example
from notify.cli.options import as_json, deadline, tenant, text
from notify.cli.wiring import opened_app
from notify.model import Channel
from notify.model.recipient import REASONS
from notify.store import suppressions as store
from notify.store import tenants
from notify.store.consequences import Caused
from notify.store.suppressions import Kept

SHOWN = 20

on = options.channel("Of which channel. Default: email.", default=Channel.EMAIL.value)


@click.group(
    cls=Group,
    epilog=example(
        "notify suppressions show ada@example.org",
        "notify suppressions add ada@example.org --reason unsubscribed --scope newsletter",
    ),
)
def suppressions() -> None:
    """List, add, remove, import and export addresses not to be used."""


@suppressions.command("list", epilog=example("notify suppressions list --reason complained --json"))
@options.channel("Of this channel.")
@click.option("--reason", type=click.Choice(REASONS), help="For this reason.")
@click.option("--scope", type=text, help="Of this scope: `all`, a category, or kind:NAME.")
@click.option("--limit", type=click.IntRange(min=1), default=20, help="At most so many. Default: 20.")
@tenant
@as_json
def list_(
    *, channel: str | None, reason: str | None, scope: str | None, limit: int, tenant: str | None, as_json: bool
) -> None:
    """List suppressions, the latest first; expired ones too."""
    with opened_app() as app, app.store.read() as connection:
        tenant_id, where = tenants.tenant_id(connection, tenant), Channel(channel) if channel else None
        found = store.listing(connection, tenant_id, channel=where, reason=reason, scope=scope, limit=limit + 1)
    shown = found[:limit]
    if as_json:
        screen.print_json([_json(one) for one in shown])
        return
    out = screen.console()
    if not shown:
        out.print("No address is suppressed." if not (channel or reason or scope) else "None is suppressed like that.")
        return
    out.print(_table(shown))
    if len(found) > limit:
        out.print(screen.cell(f"There are more than these {limit:,}; --limit shows more, `export` all.", "dim"))


@suppressions.command(epilog=example("notify suppressions show ada@example.org"))
@click.argument("address")
@on
@tenant
@as_json
def show(address: str, channel: str, tenant: str | None, as_json: bool) -> None:
    """Show all that stands against an address, and who has it.

    One whose owner was erased is found, too, though nobody can read it any more.
    """
    with opened_app() as app:
        known = suppressing.show(app, address, channel=channel, tenant=tenant)
    if as_json:
        rows = [_json(one) for one in known.suppressions]
        screen.print_json(
            {
                "channel": known.channel,
                "address": known.address,
                "suppressions": rows,
                "recipients": list(known.recipients),
                "consequences": [one.as_json() for one in known.consequences],
            }
        )
    else:
        _show(known)


def _show(known: Standing) -> None:
    out = screen.console()
    out.print(screen.cell(f"{known.address} on {known.channel}", "bold"))
    if known.suppressions:
        out.print(_table(known.suppressions, address=False))
    else:
        out.print("Nothing stands against it.")
    if known.consequences:
        rows = [(one.consequence.at, *_followed(one), one.message_id) for one in known.consequences]
        out.print(screen.table(("At", "Effect", "Because of", "Message"), rows, whole=("At", "Message")))
    if known.recipients:
        out.print(screen.cell(f"Recipients who have it: {', '.join(known.recipients)}"))
    else:
        out.print("No recipient has it.")


def _followed(one: Caused) -> tuple[str, str]:
    done = one.consequence
    return f"{done.effect.value}: {done.detail}" if done.detail else done.effect.value, one.cause


@suppressions.command(
    epilog=example(
        "notify suppressions add ada@example.org --reason unsubscribed --scope newsletter",
        "notify suppressions add ada@example.org --expires 30d --note 'mailbox is being moved'",
    )
)
@click.argument("address")
@on
@click.option("--reason", type=click.Choice(REASONS), default="manual", help="Why. Default: manual.")
@click.option("--scope", type=text, default="all", help="`all`, a category, or kind:NAME. Default: all.")
@click.option("--expires", type=deadline, metavar="WHEN", help="Until when: 30d, or 2031-05-01T09:00+02:00.")
@click.option("--note", help="Further words, for who looks at it later.")
@tenant
@as_json
def add(
    *,
    address: str,
    channel: str,
    reason: str,
    scope: str,
    expires: timedelta | datetime | None,
    note: str | None,
    tenant: str | None,
    as_json: bool,
) -> None:
    """Suppress an address. What stands already is never weakened by it."""
    with opened_app() as app:
        changed = suppressing.add(
            app,
            address,
            actor=actor(),
            channel=channel,
            reason=reason,
            scope=scope,
            expires=expires,
            note=note,
            tenant=tenant,
        )
    if as_json:
        screen.print_json({"changed": changed})
    else:
        click.echo("Suppressed." if changed else "It stands already: nothing was changed.")


@suppressions.command(
    epilog=example("notify suppressions remove ada@example.org --reason 'the mailbox is back, says her office'")
)
@click.argument("address")
@on
@click.option("--scope", type=text, help="Only this scope; default: every one.")
@click.option("--reason", type=text, required=True, help="Why it may be used again; the audit keeps it.")
@click.option("--force", is_flag=True, help="Also what the person said: they have changed their mind.")
@tenant
@as_json
def remove(
    *, address: str, channel: str, scope: str | None, reason: str, force: bool, tenant: str | None, as_json: bool
) -> None:
    """Let an address be used again. The audit keeps what stood.

    A complaint or an unsubscribe is only removed with --force: to write to who said no is an offence in many countries.
    """
    with opened_app() as app:
        rows = suppressing.remove(
            app, address, actor=actor(), reason=reason, channel=channel, scope=scope, force=force, tenant=tenant
        )
    if as_json:
        screen.print_json({"removed": [_json(one) for one in rows]})
    else:
        click.echo(f"Removed {len(rows):,} suppression{'s' if len(rows) != 1 else ''}.")


@suppressions.command(
    "import",
    epilog=example(
        "notify suppressions import bounces.csv",
        "notify suppressions import suppression_blocks.csv --form sendgrid-blocks",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--form", type=click.Choice(list(FORMS)), help="Whose list it is, where its columns do not tell.")
@click.option("--scope", type=text, help="The category that it is about; default: everything.")
@tenant
@as_json
@click.pass_context
def import_(
    ctx: click.Context, *, file: Path, form: str | None, scope: str | None, tenant: str | None, as_json: bool
) -> None:
    """Import a list that SES, SendGrid, Mailgun, Postmark or `export` wrote, CSV or JSON.

    Soft bounces and blocks are passed over: they say nothing of the address. Importing again changes nothing. Rows that
    cannot be used are listed with their line, and the exit code is 1.
    """
    with opened_app() as app:
        result = suppression_import.import_list(app, file, actor=actor(), form=form, scope=scope, tenant=tenant)
    if as_json:
        screen.print_json({"file": str(file), **asdict(result)})
    else:
        _tell(result)
    if result.refused:
        ctx.exit(REFUSED)


@suppressions.command(epilog=example("notify suppressions export > suppressions.csv"))
@tenant
def export(tenant: str | None) -> None:
    """Write every suppression to standard output as CSV, for `import` or a spreadsheet."""
    with opened_app() as app:
        suppression_import.export(app, sys.stdout, tenant=tenant)
    sys.stdout.flush()


def _json(one: Kept) -> dict[str, Any]:
    return {**suppressing.as_json(one.suppression), "tombstone": one.tombstone}


def _table(rows: tuple[Kept, ...] | list[Kept], *, address: bool = True) -> Any:
    columns = ("Scope", "Reason", "Source", "Since", "Until", "Note")
    shown = []
    for one in rows:
        row = one.suppression
        until = row.expires_at or "for ever"
        note = "of a person who was erased" if one.tombstone else row.note
        shown.append(
            (
                *((row.channel, row.address) if address else ()),
                row.scope,
                row.reason,
                row.source,
                one.since,
                until,
                note,
            )
        )
    named = ("Channel", "Address", *columns) if address else columns
    return screen.table(named, shown, whole=("Since", "Until"))


def _tell(result: Imported) -> None:
    _lines("Refused:", result.lines_refused, result.refused, "red")
    _lines("Passed over:", result.lines_passed_over, result.passed_over, "yellow")
    counts = [
        ("suppressed", result.added),
        ("stood already", result.unchanged),
        ("passed over", result.passed_over),
        ("refused", result.refused),
    ]
    out = screen.console()
    out.print(screen.table(("Rows", ""), [(name, f"{count:,}") for name, count in counts], right=("",)))


def _lines(title: str, lines: list[Line], count: int, style: str) -> None:
    if not count:
        return
    out = screen.console()
    out.print(screen.cell(title, style))
    out.print(screen.facts([(f"line {one.line}", one.reason) for one in lines[:SHOWN]]))
    if count > SHOWN:
        out.print(screen.cell(f"  … and {count - SHOWN:,} more", "dim"))
    out.print()
