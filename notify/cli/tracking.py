"""`notify tracking`: how often mails were opened and their links followed, by people, and by machines apart."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import click

from notify.cli import screen
from notify.cli.groups import Group, example
from notify.cli.options import as_json, moment, tenant, text
from notify.cli.wiring import opened_app
from notify.store import tenants, tracked_events
from notify.store.tracked_events import Asked, Figures

KINDS = ("Kind", "Opens", "Unique", "By machines", "Clicks", "Unique clicks", "Clicks by machines")
LINKS = ("Link", "Clicks", "Unique", "By machines")
GONE = "(kept no longer)"


@click.group(cls=Group, epilog=example("notify tracking show --kind newsletter"))
def tracking() -> None:
    """Show how often mails were opened and their links followed."""


@tracking.command(
    epilog=example("notify tracking show --since 2031-05-01T00:00Z", "notify tracking show --kind newsletter --json")
)
@click.option("--kind", type=text, help="Only of this kind.")
@click.option("--notification", type=click.UUID, metavar="ID", help="Only of this notification.")
@click.option("--since", type=moment, metavar="WHEN", help="From then on, like 2031-05-01T09:00+02:00.")
@click.option("--links", type=click.IntRange(min=0), default=20, help="At most so many links. Default: 20.")
@tenant
@as_json
def show(
    *,
    kind: str | None,
    notification: UUID | None,
    since: datetime | None,
    links: int,
    tenant: str | None,
    as_json: bool,
) -> None:
    """Show opens and clicks of each kind, and the links that were followed most.

    What machines do, proxies and security scanners, is counted apart. Unique are the messages that were opened or
    clicked at least once.
    """
    with opened_app() as app, app.store.read() as connection:
        asked = Asked(tenants.tenant_id(connection, tenant), kind, notification, since)
        kinds = tracked_events.by_kind(connection, asked)
        followed = tracked_events.by_link(connection, asked, links)
    if as_json:
        screen.print_json(
            {
                "kinds": [
                    {"kind": one.kind, "opens": asdict(one.opens), "clicks": asdict(one.clicks)} for one in kinds
                ],
                "links": [{"link": one.id, "url": one.url, "clicks": asdict(one.clicks)} for one in followed],
            }
        )
        return
    out = screen.console()
    if not kinds:
        out.print("Nothing was opened or clicked.")
        return
    rows = [(one.kind, *_cells(one.opens), *_cells(one.clicks)) for one in kinds]
    out.print(screen.table(KINDS, rows, whole=("Kind",), right=KINDS[1:]))
    if followed:
        out.print()
        shown = [(one.url or GONE, *_cells(one.clicks)) for one in followed]
        out.print(screen.table(LINKS, shown, right=LINKS[1:]))


def _cells(figures: Figures) -> tuple[Any, ...]:
    return tuple(f"{count:,}" for count in (figures.total, figures.unique, figures.machines))
