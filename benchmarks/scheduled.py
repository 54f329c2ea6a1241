"""How soon work begins that is all due in one second, and what it costs while it waits.

`python -m benchmarks.scheduled --messages 1000000 --json` ends with one JSON line: `tick_ms`, the relay's tick while
all of it waits, beside `idle_tick_ms`, the same with nothing there; `first_s` and `thousandth_s`, from when it is all
due to the first and the thousandth mail that the SMTP server accepted. Beat ticks, a worker of `critical,system`
does what it says, and two of bulk deliver, as the Procfile starts them. `--batch-size 1` is what single calls of
`send(at=…)` leave behind.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console

import notify
from benchmarks import machine, newsletter, planning, product, report
from benchmarks.bulk import DATABASES
from benchmarks.services import OWN, Failed, exit_on_sigterm, postgresql, sink, temporary_folder, until, valkey
from notify.app import App, using
from notify.delivery import relay
from notify.intake import fan_out
from notify.model import Lane
from notify.store import presence

SLOWEST = 12_000  # recipients planned per second: so far ahead lies the second
SETTLE_SECONDS = 20.0  # for workers to start, and the relay's tick to be measured
TICKS = 20

MANY = 1_000
PATIENCE_SECONDS = 120.0


def measure(messages: int, *, database: str = "postgresql", batch_size: int = 500) -> dict[str, Any]:
    """Schedule so many messages for one second, and wait for it."""
    facts = machine.facts()
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        socket = stack.enter_context(valkey(folder))
        url = stack.enter_context(postgresql()) if database == "postgresql" else f"sqlite:///{folder / 'notify.db'}"
        app = stack.enter_context(product.installed(url, socket, folder, Lane.BULK))
        facts["database"] = product.database_version(app)
        planning.fill(app, url, messages)
        idle = _tick(app)
        due = _plan(app, messages, batch_size)
        found = _run(app, folder, due)
    sizes = {"messages": messages, "batch_size": batch_size, "database": database}
    return {**sizes, "idle_tick_ms": idle, **found, "machine": facts}


def _plan(app: App, messages: int, batch_size: int) -> datetime:
    """When they are all due."""
    ahead = messages / SLOWEST * (1 if batch_size > 1 else 6) + SETTLE_SECONDS
    due = (app.clock.now() + timedelta(seconds=ahead)).replace(microsecond=0)
    with using(replace(app, settings=app.settings.model_copy(update={"batch_size": batch_size}))) as ours:
        notify.send_many(newsletter.kind_of(Lane.BULK), notify.everyone(), newsletter.DATA, at=due)
        fan_out.run(ours)
    product.rest(app)
    if app.clock.now() > due - timedelta(seconds=SETTLE_SECONDS / 2):
        raise Failed("planning took so long that the second is too near: the machine is too slow")
    return due


def _run(app: App, folder: Path, due: datetime) -> dict[str, float]:
    arrivals = folder / "arrivals"
    tick = _tick(app)
    with ExitStack() as stack:
        server = stack.enter_context(sink(OWN, folder, arrivals=arrivals))
        for name, count in (("beat", 1), ("worker-critical", 1), ("worker-bulk", 2)):
            stack.enter_context(product.running(app, name, server, log=folder / f"{name}.log", count=count))
        until(lambda: _workers(app) >= 3, PATIENCE_SECONDS, "the workers live")
        begin = time.monotonic() + (due - app.clock.now()).total_seconds()
        if begin < time.monotonic():
            raise Failed("the second was over before the workers lived")
        until(lambda: server.count.messages >= MANY, begin - time.monotonic() + PATIENCE_SECONDS, "a thousand came")
    came = sorted(float(line.split(" ")[1]) for line in arrivals.read_text(encoding="latin-1").splitlines())
    if came[0] < begin - 2:  # a worker whose clock is behind takes what is rung for
        raise Failed("a mail came before its time")
    return {
        "tick_ms": tick,
        "first_s": round(came[0] - begin, 2),
        "thousandth_s": round(came[MANY - 1] - begin, 2),
    }


def _tick(app: App) -> float:
    """The relay's tick in ms, the median of some."""
    took = []
    for _ in range(TICKS):
        began = time.perf_counter()
        relay(app)
        took.append(time.perf_counter() - began)
    return round(sorted(took)[TICKS // 2] * 1000, 3)


def _workers(app: App) -> int:
    with app.store.read() as connection:
        return len(presence.alive(connection))


@click.command(help=__doc__)
@click.option("--messages", type=click.IntRange(min=MANY), default=1_000_000, show_default=True)
@click.option("--batch-size", type=click.IntRange(min=1, max=500), default=500, show_default=True)
@click.option("--database", type=DATABASES, default="postgresql", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def main(*, messages: int, batch_size: int, database: str, as_json: bool) -> None:
    """The command."""
    exit_on_sigterm()
    found = measure(messages, database=database, batch_size=batch_size)
    if as_json:
        click.echo(json.dumps(found))
    else:
        Console().print(report.scheduled([found]))


if __name__ == "__main__":
    main()
