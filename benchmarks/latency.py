"""How long from `send()` to accepted by the SMTP server, while an application calls it at a steady rate.

`python -m benchmarks.latency --json` ends with one JSON line: percentiles in ms of the whole way and of `send()` alone,
and `accepted`, the rate that came through. Where that is below `rate` the machine was too slow, and the times only say
how long the queue grew. A message's time begins when its call was due, not when the application came round to making
it: a slow `send()` cannot hide by delaying the next. `late_p99_ms` tells how late calls began, and `caller_cpu` what
share of a core the application took, so that it can be seen when the application itself is the bound.

One worker of the Procfile delivers the lane. With `--mailout` the lane bulk delivers so many messages at the same
time, in two workers of its own, and beat ticks: `--lane critical --mailout 1000000` is a password reset during a
mailout. The SMTP server of the single sends is our own, for it notes when each Message-ID came; the mailout has
another.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import sqlalchemy as sa
from rich.console import Console

import notify
from benchmarks import machine, newsletter, product, report
from benchmarks.bulk import DATABASES
from benchmarks.drain import LOOK_SECONDS, Workers, all_speak
from benchmarks.services import (
    OWN,
    Failed,
    Sink,
    default_sink,
    exit_on_sigterm,
    postgresql,
    sink,
    temporary_folder,
    until,
    valkey,
)
from notify.app import App
from notify.channels.email import letter
from notify.model import Lane, MessageState
from notify.store import presence
from notify.store.tables import messages

CALLERS = 4  # threads of the application
WARM_UP = 50  # sends that do not count: the first renders compile, the first calls connect
PATIENCE_SECONDS = 60.0
BULK_WORKERS = 2


def measure(
    *, database: str = "postgresql", rate: int = 100, seconds: int = 20, lane: Lane = Lane.NORMAL, mailout: int = 0
) -> dict[str, Any]:
    """Send at `rate` per second for `seconds`. Raises `Failed` when the mailout is over before that."""
    facts = machine.facts()
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        socket = stack.enter_context(valkey(folder))
        url = stack.enter_context(postgresql()) if database == "postgresql" else f"sqlite:///{folder / 'notify.db'}"
        app = stack.enter_context(product.installed(url, socket, folder, lane, Lane.BULK))
        facts["database"] = product.database_version(app)
        if mailout:
            product.plan(app, mailout, Lane.BULK)
        found = _run(app, folder, lane=lane, rate=rate, count=rate * seconds, mailout=mailout)
    return {"rate": rate, "lane": lane.value, "database": database, **found, "machine": facts}


def _run(app: App, folder: Path, *, lane: Lane, rate: int, count: int, mailout: int) -> dict[str, Any]:
    arrivals = folder / "arrivals"
    kind = newsletter.kind_of(lane)
    with ExitStack() as stack:
        server = stack.enter_context(sink(OWN, folder, arrivals=arrivals))
        log = folder / "worker.log"
        workers = stack.enter_context(product.running(app, f"worker-{lane}", server, log=log))
        until(lambda: _workers(app), PATIENCE_SECONDS, "the worker lives")
        other = stack.enter_context(_mailout(app, folder)) if mailout else None
        _send(kind, WARM_UP, rate)
        until(lambda: server.count.messages >= WARM_UP, PATIENCE_SECONDS, "the first messages are accepted")
        bulk = other.count.messages if other else 0
        began, used, before = time.perf_counter(), time.process_time(), _cpu(workers)
        sent = _send(kind, count, rate)
        caller_cpu = (time.process_time() - used) / (time.perf_counter() - began)
        bulk_rate = (other.count.messages - bulk) / (time.perf_counter() - began) if other else None
        until(lambda: server.count.messages >= WARM_UP + count, PATIENCE_SECONDS, "every message is accepted")
        after = _cpu(workers)
        if other and other.count.messages >= mailout:
            raise Failed("the mailout was over before the single sends were: ask for a larger --mailout")
    arrived = _arrived(app, sent, arrivals)
    return {
        "accepted": round(len(sent) / (max(arrived) - sent[0].due), 1),
        "messages": len(sent),
        "mailout": mailout,
        "mailout_rate": None if bulk_rate is None else round(bulk_rate, 1),
        **_percentiles("", [at - call.due for at, call in zip(arrived, sent, strict=True)]),
        **_percentiles("send_", [call.done - call.begun for call in sent]),
        "late_p99_ms": _percentiles("", [call.begun - call.due for call in sent])["p99_ms"],
        "caller_cpu": round(caller_cpu, 2),
        "worker_ms": None if before is None or after is None else round((after - before) / len(sent) * 1000, 2),
    }


@contextmanager
def _mailout(app: App, folder: Path) -> Iterator[Sink]:
    """Bulk workers in the middle of their work, and beat, until the block ends; yields their SMTP server."""
    with ExitStack() as stack:
        server = stack.enter_context(sink(default_sink(), folder))
        stack.enter_context(product.running(app, "beat", server, log=folder / "beat.log"))
        log = folder / "worker-bulk.log"
        workers = stack.enter_context(product.running(app, "worker-bulk", server, log=log, count=BULK_WORKERS))
        until(lambda: all_speak(workers, server), PATIENCE_SECONDS, "the mailout goes out", every=LOOK_SECONDS)
        yield server


@dataclass(frozen=True, slots=True)
class Call:
    """One `send()`: which notification, and when it was due, begun and done, in monotonic seconds."""

    notification: UUID
    due: float
    begun: float
    done: float


def _send(kind: str, count: int, rate: int) -> list[Call]:
    begin = time.monotonic() + 0.1

    def call(number: int) -> Call:
        due = begin + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        begun = time.monotonic()
        to = {"key": f"caller-{number}", "email": f"caller-{number}@example.com", "name": f"Caller {number}"}
        notification = notify.send(kind, to, newsletter.DATA)
        return Call(notification.id, due, begun, time.monotonic())

    with ThreadPoolExecutor(CALLERS) as callers:
        return list(callers.map(call, range(count)))


def _arrived(app: App, sent: Sequence[Call], arrivals: Path) -> list[float]:
    """When the SMTP server accepted the message of each; raises `Failed` when one never came or is not `sent`."""
    lines = (line.split(" ") for line in arrivals.read_text(encoding="latin-1").splitlines())
    arrived = {name: float(at) for name, at in lines}
    with app.store.read() as connection:
        found = connection.execute(
            sa.select(messages.c.notification_id, messages.c.id).where(
                messages.c.notification_id.in_([call.notification for call in sent]),
                messages.c.state == MessageState.SENT,
            )
        )
        header_of = {row.notification_id: letter.header_id(app.settings, row.id).strip("<>") for row in found}
    missing = sum(header_of.get(call.notification) not in arrived for call in sent)
    if missing:
        raise Failed(f"{missing} of {len(sent)} messages never reached the SMTP server, or are not known as sent")
    return [arrived[header_of[call.notification]] for call in sent]


def _workers(app: App) -> int:
    with app.store.read() as connection:
        return len(presence.alive(connection))


def _cpu(workers: Workers) -> float | None:
    return machine.cpu_seconds(worker.pid for worker in workers)


def _percentiles(prefix: str, seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 2)

    return {f"{prefix}p50_ms": at(0.5), f"{prefix}p99_ms": at(0.99), f"{prefix}worst_ms": at(1)}


@click.command(help=__doc__)
@click.option("--database", type=DATABASES, default="postgresql", show_default=True)
@click.option("--rate", type=click.IntRange(min=1), default=100, show_default=True, help="Calls of send() per second.")
@click.option("--seconds", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--lane", type=click.Choice(["normal", "critical"]), default="normal", show_default=True)
@click.option("--mailout", type=click.IntRange(min=0), default=0, help="Messages of a mailout that runs meanwhile.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def main(*, database: str, rate: int, seconds: int, lane: str, mailout: int, as_json: bool) -> None:
    """The command."""
    exit_on_sigterm()
    found = measure(database=database, rate=rate, seconds=seconds, lane=Lane(lane), mailout=mailout)
    if as_json:
        click.echo(json.dumps(found))
    else:
        Console().print(report.latency([found]))


if __name__ == "__main__":
    main()
