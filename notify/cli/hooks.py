"""`notify hooks`: what webhooks posted; listed, shown as it came, and read again when it was rejected."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import click

from notify.cli import screen
from notify.cli.actor import actor
from notify.cli.groups import Group, example
from notify.cli.options import as_json, text
from notify.cli.wiring import opened_app
from notify.errors import NotFound
from notify.model import HookState
from notify.store import audit, tallies
from notify.store import hooks as store
from notify.store.hooks import Kept
from notify.store.tenants import DEFAULT_ID

ID = "0198c5f2-6d3b-7c1e-9a57-3f0d8e2b4a61"
COLUMNS = ("Id", "Received (UTC)", "Provider", "State", "Events", "Reason", "Problem")


@click.group(cls=Group, epilog=example("notify hooks list --state rejected", "notify hooks retry --reason failed"))
def hooks() -> None:
    """List and show what webhooks posted; read again what was rejected."""


@hooks.command("list", epilog=example("notify hooks list", "notify hooks list --state rejected --json"))
@click.option("--state", type=click.Choice([one.value for one in HookState]), help="Only those in this state.")
@click.option("--provider", type=text, help="Only those of this provider.")
@click.option("--reason", type=text, help="Only those that were rejected for this reason.")
@click.option("--limit", type=click.IntRange(min=1), default=20, help="At most so many. Default: 20.")
@as_json
def list_(*, state: str | None, provider: str | None, reason: str | None, limit: int, as_json: bool) -> None:
    """List deliveries, the latest first."""
    with opened_app() as app, app.store.read() as connection:
        found = store.listing(
            connection,
            state=HookState(state) if state else None,
            provider=provider,
            reason=reason,
            limit=limit,
        )
    if as_json:
        screen.print_json([_json(one) for one in found])
        return
    if not found:
        screen.console().print("No such deliveries.")
        return
    rows = [
        (one.id, one.received_at, one.provider, screen.state(one.state), one.events, one.reason, one.problem)
        for one in found
    ]
    screen.console().print(screen.table(COLUMNS, rows, whole=("Id", "Received (UTC)"), right=("Events",)))


@hooks.command(epilog=example(f"notify hooks show {ID}"))
@click.argument("id", type=click.UUID)
@as_json
def show(*, id: UUID, as_json: bool) -> None:
    """Show one delivery with its body, as it came."""
    with opened_app() as app, app.store.read() as connection:
        found = store.get(connection, id)
        strange = tallies.without_message(connection, id)
    if found is None:
        raise NotFound(f"no delivery {id}\nNext: notify hooks list")
    kept, headers, body = found
    if as_json:
        told = {"without_message": strange, "headers": dict(headers), "body": body.decode("utf-8", "replace")}
        screen.print_json({**_json(kept), **told})
        return
    out = screen.console()
    out.print(screen.facts([*_facts(kept, strange), *headers.items()]))
    out.print(screen.cell(f"\n{_readable(body)}"))


@hooks.command(epilog=example(f"notify hooks retry {ID}", "notify hooks retry --reason failed --json"))
@click.argument("ids", type=click.UUID, nargs=-1)
@click.option("--reason", type=text, help="All that were rejected for this reason.")
@as_json
def retry(*, ids: tuple[UUID, ...], reason: str | None, as_json: bool) -> None:
    """Read rejected deliveries again: these, or all of one reason."""
    if bool(ids) is (reason is not None):
        raise click.UsageError("give either ids or --reason")
    with opened_app() as app, app.store.begin() as connection:
        count = store.again(connection, ids, reason)
        subject = reason or ",".join(map(str, ids))
        detail = {"deliveries": count}
        now = app.clock.now()
        audit.write(connection, DEFAULT_ID, actor=actor(), action="hooks.retry", subject=subject, detail=detail, at=now)
    if not count:
        raise NotFound("no rejected delivery matches\nNext: notify hooks list --state rejected")
    if as_json:
        screen.print_json({"to_be_read": count})
    else:
        click.echo(f"{count:,} to be read again.")


def _json(one: Kept) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "provider": one.provider,
        "delivery": one.payload_id,
        "state": one.state,
        "reason": one.reason,
        "problem": one.problem,
        "events": one.events,
        "tries": one.tries,
        "received_at": one.received_at.isoformat(),
        "look_at": one.look_at.isoformat() if one.look_at else None,
        "processed_at": one.processed_at.isoformat() if one.processed_at else None,
    }


def _facts(one: Kept, strange: int) -> list[tuple[str, Any]]:
    nobodys = f", {strange:,} of no message that is known here" if strange else ""
    return [
        ("id", one.id),
        ("provider", one.provider),
        ("delivery", one.payload_id),
        ("state", screen.state(one.state)),
        ("reason", one.reason),
        ("problem", one.problem),
        ("events", f"{one.events:,}{nobodys}"),
        ("failed tries", one.tries or None),
        ("received", one.received_at),
        ("read", one.processed_at),
    ]


def _readable(body: bytes) -> str:
    """JSON on several lines; anything else as it is."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
