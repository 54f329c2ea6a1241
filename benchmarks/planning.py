"""How many recipients a second a notification to everyone is planned for, and that memory does not grow with them.

`python -m benchmarks.planning --recipients 1000000 --json` ends with one JSON line: `planned` and `imported` in
recipients/s, `grown_mb` of the planning process between its first and its last slice, database and machine. Nothing
delivers meanwhile.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click
import psycopg
from uuid_utils.compat import uuid7

import notify
from benchmarks import machine, newsletter, product
from benchmarks.services import Failed, exit_on_sigterm, postgresql, temporary_folder, valkey
from notify.app import App
from notify.intake import fan_out
from notify.model import Author, Channel, Lane, Source
from notify.store import notifications, recipients
from notify.store.tenants import DEFAULT_ID

SLICE = 10_000  # recipients written to the roster at once, where there is no COPY


def measure(recipients: int, *, database: str = "postgresql") -> dict[str, Any]:
    """Fill the roster of an empty database, and plan one notification for all of it in this process."""
    facts = machine.facts()
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        socket = stack.enter_context(valkey(folder))
        url = stack.enter_context(postgresql()) if database == "postgresql" else f"sqlite:///{folder / 'notify.db'}"
        with product.installed(url, socket, folder, Lane.BULK) as app:
            began = time.perf_counter()
            fill(app, url, recipients)
            imported = time.perf_counter() - began
            planned, cpu, grown = _plan(app, recipients)
            facts["database"] = product.database_version(app)
    return {
        "planned": round(recipients / planned, 1),
        "imported": round(recipients / imported, 1),
        "planner_cpu_us": round(cpu / recipients * 1e6, 2),
        "grown_mb": grown,
        "recipients": recipients,
        "database": database,
        "machine": facts,
    }


def fill(app: App, url: str, recipients: int) -> None:
    """Put so many recipients into the empty roster of the App, whose database is at this URL."""
    if app.store.engine.dialect.name == "postgresql":
        _copy(url, recipients)
    else:
        _insert(app, recipients)


def _plan(app: App, count: int) -> tuple[float, float, float | None]:
    """Seconds on the clock, seconds of this process's CPU, and MB that it grew by after its first slice."""
    notification = notify.send_many(newsletter.kind_of(Lane.BULK), notify.everyone(), newsletter.DATA, key="everyone")
    before = after = None
    began, cpu = time.perf_counter(), time.process_time()
    while fan_out.run(app, seconds=0):  # one slice at a time
        after = machine.megabytes(os.getpid())
        before = before or after
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    grown = None if after is None or before is None else round(after - before, 1)
    with app.store.read() as connection:
        made = notifications.counts(connection, notification.id)
    if made != {"queued": count}:
        raise Failed(f"{count} recipients, but the messages are {made}")
    return took, cpu, grown


def _copy(dsn: str, count: int) -> None:
    """The roster by COPY, which is what an import could be at best."""
    now = datetime.now(UTC)
    with psycopg.connect(dsn) as connection:
        ids = [uuid7() for _ in range(count)]
        with connection.cursor().copy(
            "COPY recipients (id, tenant_id, key, attributes, tags, created_at, updated_at) FROM STDIN"
        ) as copy:
            for number, one in enumerate(ids):
                name = json.dumps({"name": f"Reader {number}"})
                copy.write_row((one, DEFAULT_ID, f"reader-{number}", name, "[]", now, now))
        with connection.cursor().copy(
            "COPY addresses (id, tenant_id, recipient_id, channel, value, folded, verified, created_at) FROM STDIN"
        ) as copy:
            for row in _addresses(ids, now):
                copy.write_row(row)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE recipients, addresses")  # as autovacuum has long done in a real roster


def _addresses(ids: list[UUID], now: datetime) -> Iterator[tuple[Any, ...]]:
    for number, one in enumerate(ids):
        address = f"reader-{number}@example.com"
        yield uuid7(), DEFAULT_ID, one, Channel.EMAIL.value, address, address, False, now


def _insert(app: App, count: int) -> None:
    for start in range(0, count, SLICE):
        changes = [
            recipients.Change(
                f"reader-{number}",
                attributes={"name": f"Reader {number}"},
                addresses={Channel.EMAIL: f"reader-{number}@example.com"},
            )
            for number in range(start, min(start + SLICE, count))
        ]
        with app.store.begin() as connection:
            recipients.apply(connection, DEFAULT_ID, changes, datetime.now(UTC), by=Author("benchmark", Source.SEND))


@click.command(help=__doc__)
@click.option("--recipients", type=click.IntRange(min=1), default=1_000_000, show_default=True)
@click.option("--database", type=click.Choice(["postgresql", "sqlite"]), default="postgresql", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def main(recipients: int, database: str, as_json: bool) -> None:
    """The command."""
    exit_on_sigterm()
    found = measure(recipients, database=database)
    if as_json:
        click.echo(json.dumps(found))
    else:
        for name in ("planned", "imported", "planner_cpu_us", "grown_mb"):
            click.echo(f"{name:<16}{found[name]:>12,}")


if __name__ == "__main__":
    main()
