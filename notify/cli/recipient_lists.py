"""`notify recipients list|show|history`: who is known, everything known of one, and how it came to be so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from notify.audience import recipients as people
from notify.cli import options, screen
from notify.cli.groups import example
from notify.cli.options import as_json, tenant, text
from notify.cli.wiring import opened_app
from notify.model import Changed, Channel, OwnAddress, Profile, Status
from notify.store.profiles import Wanted

SHOWN = 20


@click.command(
    "list",
    epilog=example(
        "notify recipients list --tag pilot --status active",
        "notify recipients list --limit 1000 --after user-4711 --json",
    ),
)
@click.option("--tag", "tags", type=text, multiple=True, help="Only with this tag; several: with each of them.")
@click.option(
    "--status", type=click.Choice([one.value for one in Status]), help="Only with this status. Default: not erased."
)
@options.channel("Only who can be reached there.")
@click.option("--address", type=text, help="Only who has this address, whatever its case.")
@click.option("--search", type=text, help="Only with this in key, name or an address.")
@click.option("--limit", type=click.IntRange(min=1), default=SHOWN, help="At most so many. Default: 20.")
@click.option("--after", type=text, metavar="KEY", help="Begin behind this key: the last one of the page before.")
@tenant
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each, and nothing else.")
def list_(
    *,
    tags: tuple[str, ...],
    status: str | None,
    channel: str | None,
    limit: int,
    after: str | None,
    tenant: str | None,
    as_json: bool,
    **given: str | None,
) -> None:
    """List recipients in the order of their keys.

    Who comes or goes meanwhile moves nobody to another page.
    """
    wanted = Wanted(tags, Status(status) if status else None, Channel(channel) if channel else None, **given)
    with opened_app() as app:
        if as_json:
            for one in people.each(app, wanted, after=after, limit=limit, tenant=tenant):
                click.echo(json.dumps(one.as_json(), ensure_ascii=False))
            return
        page = people.page(app, wanted, after=after, limit=limit, tenant=tenant)
    out = screen.console()
    if not page.recipients:
        out.print("No such recipients.")
        return
    columns = ("Key", "Status", "Name", "Addresses", "Locale", "Time zone", "Tags")
    out.print(screen.table(columns, map(_row, page.recipients), whole=("Status",)))
    more = f"; go on with --after {screen.plain(page.after)}" if page.after else ""
    out.print(screen.cell(f"{len(page.recipients):,} of {page.total:,}{more}", "dim"))


def _row(one: Profile) -> tuple[Any, ...]:
    reached = ", ".join(address.value for address in one.addresses if address.primary)
    name = one.attributes.get("name")
    return one.key, screen.state(one.status.value), name, reached, one.locale, one.timezone, ", ".join(one.tags)


@click.command(epilog=example("notify recipients show user-42", "notify recipients show ada@example.org --json"))
@click.argument("named", metavar="KEY|ADDRESS", type=text)
@tenant
@as_json
def show(named: str, tenant: str | None, as_json: bool) -> None:
    """Show everything known of a recipient: fields, addresses and what stands against them, preferences, history."""
    with opened_app() as app:
        one = people.find(app, named, tenant=tenant)
        latest = people.history(app, one.key, limit=1, tenant=tenant)
    if as_json:
        screen.print_json({**one.as_json(), "latest_change": _changed_json(latest[0]) if latest else None})
        return
    out = screen.console()
    out.print(screen.cell(one.key, "bold"))
    out.print(screen.facts(_facts(one, latest)))
    for title, pairs in (
        ("Addresses", _addresses(one)),
        ("Attributes", _attributes(one)),
        ("Preferences", _chosen(one)),
    ):
        if pairs:
            out.print(screen.cell(f"\n{title}", "bold"))
            out.print(screen.facts(pairs))


def _facts(one: Profile, latest: list[Changed]) -> Iterator[tuple[str, Any]]:
    yield "status", screen.state(one.status.value)
    yield "since", one.deactivated_at
    yield "locale", one.locale
    yield "time zone", one.timezone
    yield "tags", ", ".join(one.tags)
    yield "set by hand", ", ".join(one.overrides)
    yield "created", one.created_at
    yield "changed", one.updated_at
    if latest:
        last = latest[0]
        many = f"{one.changes:,} changes, the last" if one.changes > 1 else "changed"
        yield "history", f"{many} {screen.plain(last.at)} by {last.actor} ({last.source})"
    yield "id", one.id


def _addresses(one: Profile) -> list[tuple[str, Any]]:
    return [(address.channel.value, _address(address)) for address in one.addresses]


def _address(one: OwnAddress) -> Any:
    line = screen.cell(one.value)
    words = ["primary"] if one.primary else []
    words.append("verified" if one.verified else "not verified")
    line.append(f"  {', '.join(words)}", "dim")
    for row in one.suppressions:
        until = f" until {screen.plain(row.expires_at)}" if row.expires_at else ""
        line.append(f"\nsuppressed for {row.scope}: {screen.plain(row.reason)} ({row.source}){until}", "yellow")
    return line


def _attributes(one: Profile) -> list[tuple[str, Any]]:
    return [(screen.plain(name), _value(value)) for name, value in sorted(one.attributes.items())]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _chosen(one: Profile) -> list[tuple[str, Any]]:
    wishes = one.preferences
    found: list[tuple[str, Any]] = [
        (f"{category} by {channel.value}", "yes" if chosen else "no")
        for category, row in sorted(wishes.choices.items())
        for channel, chosen in sorted(row.items())
    ]
    found.append(("quiet hours", wishes.quiet and str(wishes.quiet)))
    found += [("paused until", wishes.paused_until), ("undisturbed until", wishes.undisturbed_until)]
    return [(name, value) for name, value in found if value is not None]


@click.command(epilog=example("notify recipients history user-42 --limit 5"))
@click.argument("key", type=text)
@click.option("--limit", type=click.IntRange(min=1), default=SHOWN, help="At most so many. Default: 20.")
@tenant
@as_json
def history(key: str, limit: int, tenant: str | None, as_json: bool) -> None:
    """Show what was changed of a recipient, newest first: when, by whom, by which way, why, and what was before."""
    with opened_app() as app:
        found = people.history(app, key, limit=limit, tenant=tenant)
    if as_json:
        screen.print_json([_changed_json(one) for one in found])
        return
    out = screen.console()
    if not found:
        out.print("Nothing was changed since it was added.")
        return
    for one in found:
        head = screen.cell(one.at, "bold")
        out.print(head.append(f"  {screen.plain(one.actor)} ({one.source})", "dim"))
        out.print(screen.facts([("why", one.reason), *_fields(one.changes)]))


def _fields(changes: Mapping[str, tuple[Any, Any]]) -> Iterator[tuple[str, str]]:
    for field, (was, now) in changes.items():
        yield screen.plain(field), f"{_shown(was)} → {_shown(now)}"


def _shown(value: Any) -> str:
    return "nothing" if value in (None, []) else _value(value)


def _changed_json(one: Changed) -> dict[str, Any]:
    said = {"at": one.at.isoformat(), "actor": one.actor, "source": one.source, "reason": one.reason}
    return {**said, "changes": {field: list(pair) for field, pair in one.changes.items()}}
