"""How long from `send()` to accepted by the SMTP server, while an application calls it at a steady rate.

`python -m benchmarks.latency --json` ends with one JSON line: percentiles in ms of the whole way and of `send()` alone,
and `accepted`, the rate that came through. Where that is below `rate` the machine was too slow, and the times only say
how long the queue grew. A message's time begins when its call was due, not when the application came round to making
it: a slow `send()` cannot hide by delaying the next. One worker delivers the lane `normal`; the SMTP server is our own,
for it notes when each Message-ID came.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import sqlalchemy as sa
from rich.console import Console

import notify
from benchmarks import machine, newsletter, product, report
from benchmarks.bulk import DATABASES
from benchmarks.services import OWN, Failed, exit_on_sigterm, postgresql, sink, temporary_folder, until, valkey
from notify.app import App
from notify.channels.email import letter
from notify.model import Lane, MessageState
from notify.store import presence
from notify.store.tables import messages

CALLERS = 4  # threads of the application
WARM_UP = 50  # sends that do not count: the first renders compile, the first calls connect
PATIENCE_SECONDS = 60.0


def measure(*, database: str = "postgresql", rate: int = 100, seconds: int = 20) -> dict[str, Any]:
    """Send at `rate` per second for `seconds`."""
    facts = machine.facts()
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        socket = stack.enter_context(valkey(folder))
        url = stack.enter_context(postgresql()) if database == "postgresql" else f"sqlite:///{folder / 'notify.db'}"
        app = stack.enter_context(product.installed(url, socket, folder, Lane.NORMAL))
        facts["database"] = product.database_version(app)
        arrivals = folder / "arrivals"
        log = folder / "worker.log"
        with (
            sink(OWN, folder, arrivals=arrivals) as server,
            product.working(app, Lane.NORMAL, server, workers=1, log=log) as (running,),
        ):
            until(lambda: _workers(app), PATIENCE_SECONDS, "the worker lives")
            _send(WARM_UP, rate)
            until(lambda: _all_sent(app), PATIENCE_SECONDS, "the first messages are sent")
            before = machine.cpu_seconds([running.pid])
            sent = _send(rate * seconds, rate)
            until(lambda: _all_sent(app), PATIENCE_SECONDS, "every message is sent")
            after = machine.cpu_seconds([running.pid])
        arrived = _arrived(app, sent, arrivals)
    return {
        "rate": rate,
        "accepted": round(len(sent) / (max(arrived) - sent[0][1]), 1),
        "messages": len(sent),
        "database": database,
        **_percentiles("", [at - due for at, (_, due, _) in zip(arrived, sent, strict=True)]),
        **_percentiles("send_", [done - due for _, due, done in sent]),
        "worker_ms": None if before is None or after is None else round((after - before) / len(sent) * 1000, 2),
        "machine": facts,
    }


Sent = tuple[UUID, float, float]  # the notification, when its call was due, when it returned


def _send(count: int, rate: int) -> list[Sent]:
    kind, begin = newsletter.kind_of(Lane.NORMAL), time.monotonic() + 0.1

    def call(number: int) -> Sent:
        due = begin + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        to = {"key": f"reader-{number}", "email": f"reader-{number}@example.com", "name": f"Reader {number}"}
        notification = notify.send(kind, to, newsletter.DATA)
        return notification.id, due, time.monotonic()

    with ThreadPoolExecutor(CALLERS) as callers:
        return list(callers.map(call, range(count)))


def _arrived(app: App, sent: Sequence[Sent], arrivals: Path) -> list[float]:
    """When the SMTP server accepted the message of each; raises `Failed` when one never came."""
    lines = (line.split(" ") for line in arrivals.read_text(encoding="latin-1").splitlines())
    arrived = {name: float(at) for name, at in lines}
    with app.store.read() as connection:
        found = connection.execute(sa.select(messages.c.notification_id, messages.c.id))
        header_of = {row.notification_id: letter.header_id(app.settings, row.id).strip("<>") for row in found}
    missing = sum(header_of[notification] not in arrived for notification, _, _ in sent)
    if missing:
        raise Failed(f"{missing} of {len(sent)} messages never reached the SMTP server")
    return [arrived[header_of[notification]] for notification, _, _ in sent]


def _workers(app: App) -> int:
    with app.store.read() as connection:
        return len(presence.alive(connection))


def _all_sent(app: App) -> bool:
    waiting = sa.select(sa.func.count()).select_from(messages).where(messages.c.state != MessageState.SENT)
    with app.store.read() as connection:
        return connection.scalar(waiting) == 0


def _percentiles(prefix: str, seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 2)

    return {f"{prefix}p50_ms": at(0.5), f"{prefix}p99_ms": at(0.99), f"{prefix}worst_ms": at(1)}


@click.command(help=__doc__)
@click.option("--database", type=DATABASES, default="postgresql", show_default=True)
@click.option("--rate", type=click.IntRange(min=1), default=100, show_default=True, help="Calls of send() per second.")
@click.option("--seconds", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def main(database: str, rate: int, seconds: int, as_json: bool) -> None:
    """The command."""
    exit_on_sigterm()
    found = measure(database=database, rate=rate, seconds=seconds)
    if as_json:
        click.echo(json.dumps(found))
    else:
        Console().print(report.latency([found]))


if __name__ == "__main__":
    main()
