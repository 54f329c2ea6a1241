"""`notify consent`: what recipients agreed to, and proof that the log of it was not changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from notify.audience import consent as log_of_consent
from notify.cli import REFUSED, screen
from notify.cli.actor import actor
from notify.cli.groups import Group, example
from notify.cli.options import as_json, tenant, text
from notify.cli.wiring import opened_app
from notify.intake import confirmations
from notify.model import Author, Consent, Sealed, Source

SOURCE = "command line"

key = click.argument("key", type=text)
category = click.argument("category", type=text)
wording = click.option("--wording", required=True, help="What the recipient agrees to, word for word.")
source = click.option("--source", type=text, default=SOURCE, show_default=True, help="Where it was said.")
reason = click.option("--reason", type=text, help="Why; it stands in the recipient's history.")


@click.group(cls=Group, epilog=example("notify consent show user-42", "notify consent verify"))
def consent() -> None:
    """Show, log and check what recipients agreed to."""


@consent.command(epilog=example("notify consent show user-42"))
@key
@tenant
@as_json
def show(key: str, tenant: str | None, as_json: bool) -> None:
    """Show what a recipient agrees to now, by category."""
    with opened_app() as app:
        found = log_of_consent.state(app, key, tenant=tenant)
    if as_json:
        screen.print_json({name: _json(entry) for name, entry in found.items()})
    elif not found:
        click.echo(f"Nothing was ever asked of {screen.plain(key)}.")
    else:
        rows = [(name, entry.action, entry.at, entry.source, entry.wording) for name, entry in sorted(found.items())]
        screen.console().print(screen.table(("Category", "State", "Since", "Source", "Wording"), rows))


@consent.command(epilog=example("notify consent log user-42", "notify consent log --after 1000 --json"))
@click.argument("key", type=text, required=False)
@click.option("--after", type=click.IntRange(0), default=0, help="Only entries after the one of this number.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many.")
@tenant
@as_json
def log(key: str | None, after: int, limit: int, tenant: str | None, as_json: bool) -> None:
    """List the entries of a recipient, or of the whole tenant, oldest first."""
    with opened_app() as app:
        found = log_of_consent.log(app, key, after=after, limit=limit, tenant=tenant)
    if as_json:
        screen.print_json([_sealed_json(sealed) for sealed in found])
        return
    rows = [
        (one.number, one.entry.at, one.entry.action, one.entry.category, one.entry.source, one.entry.recipient_id)
        for one in found
    ]
    columns = ("Number", "At", "Action", "Category", "Source", "Recipient")
    out = screen.console()
    out.print(screen.table(columns, rows, right=("Number",)) if rows else "There are no entries.")
    if len(found) == limit:
        out.print(screen.cell(f"More: --after {found[-1].number}", "dim"))


@consent.command(epilog=example("notify consent verify", "notify consent verify --tenant acme --json"))
@tenant
@as_json
@click.pass_context
def verify(ctx: click.Context, tenant: str | None, as_json: bool) -> None:
    """Prove that no entry of the log was changed or taken out since it was written; else the exit code is 1.

    Note down the digest that is printed: when a later check shows fewer entries, the end of the log was cut off.
    """
    with opened_app() as app:
        chain = log_of_consent.verify_chain(app, tenant=tenant)
    if as_json:
        faults = [{"number": number, "fault": fault} for number, fault in chain.faults]
        screen.print_json({"entries": chain.entries, "head": chain.head, "faults": faults})
    else:
        for number, fault in chain.faults:
            click.echo(f"entry {number}: {fault}")
        said = "nothing was changed" if not chain.faults else f"faults: {len(chain.faults)}"
        click.echo(f"{chain.entries:,} entries, {said}; digest of the last: {chain.head}")
    if chain.faults:
        ctx.exit(REFUSED)


@consent.command(
    epilog=example('notify consent ask user-42 newsletter --wording "Send me the newsletter once a month."')
)
@key
@category
@wording
@source
@reason
@tenant
@as_json
def ask(
    *, key: str, category: str, wording: str, source: str, reason: str | None, tenant: str | None, as_json: bool
) -> None:
    """Send a mail whose link says yes (double opt-in). Who agreed already is not asked again."""
    with opened_app() as app:
        by = _by(reason)
        found = confirmations.ask_consent(app, key, category, wording=wording, source=source, by=by, tenant=tenant)
    _tell(found, as_json)


@consent.command(
    epilog=example(
        'notify consent grant user-42 newsletter --wording "Send me the newsletter." --source "paper form"',
    )
)
@key
@category
@wording
@source
@click.option("--proof", type=text, multiple=True, metavar="NAME=VALUE", help="What shows it; may be repeated.")
@reason
@tenant
@as_json
def grant(
    *,
    key: str,
    category: str,
    wording: str,
    source: str,
    proof: tuple[str, ...],
    reason: str | None,
    tenant: str | None,
    as_json: bool,
) -> None:
    """Note that a recipient agreed to a category, in these words."""
    shown = dict(_pair(one) for one in proof) or None
    with opened_app() as app:
        by = _by(reason)
        found = log_of_consent.grant(
            app, key, category, wording=wording, source=source, proof=shown, by=by, tenant=tenant
        )
    _tell(found, as_json)


@consent.command(epilog=example('notify consent withdraw user-42 newsletter --source "phone call"'))
@key
@category
@source
@reason
@tenant
@as_json
def withdraw(*, key: str, category: str, source: str, reason: str | None, tenant: str | None, as_json: bool) -> None:
    """Note that a recipient agrees to a category no more."""
    with opened_app() as app:
        found = log_of_consent.withdraw(app, key, category, source=source, by=_by(reason), tenant=tenant)
    _tell(found, as_json)


def _tell(found: Consent | None, as_json: bool) -> None:
    if as_json:
        screen.print_json(_json(found) if found else None)
    elif found is None:
        click.echo("There was nothing to withdraw.")
    else:
        click.echo(f"{found.category}: {found.action} at {screen.plain(found.at)}")


def _by(reason: str | None) -> Author:
    return Author(actor(), Source.CLI, reason)


def _pair(given: str) -> tuple[str, str]:
    name, separator, value = given.partition("=")
    if not separator or not name.strip():
        raise click.BadParameter(f"write --proof NAME=VALUE, not {given!r}")
    return name.strip(), value


def _json(entry: Consent) -> dict[str, Any]:
    named = ("id", "recipient_id", "category", "action", "source", "at", "wording", "proof")
    return {name: _plain(getattr(entry, name)) for name in named}


def _sealed_json(sealed: Sealed) -> dict[str, Any]:
    place = {name: getattr(sealed, name) for name in ("number", "proof_digest", "previous", "digest")}
    return {**_json(sealed.entry), **place}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
