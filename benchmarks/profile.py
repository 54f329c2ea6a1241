"""Where a message's time goes: `deliver()` in this process, in one thread, looked at a few hundred times a second.

`python -m benchmarks.profile --messages 20000 --json` ends with one JSON line: µs per message of each step, of CPU time
and by the clock, which waiting adds to. Nothing is wrapped or slowed down: a timer interrupts, and whatever module of
notify stands innermost then is charged, for what it calls elsewhere as well. `--functions 20` names the dearest
functions, too. A machine that was busy otherwise shows in the clock, not in the CPU time.
"""

from __future__ import annotations

import gc
import json
import logging
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import UUID

import click
import sqlalchemy as sa
from rich.console import Console

from benchmarks import machine, product, report
from benchmarks.bulk import DATABASES, SINKS
from benchmarks.services import (
    SMTP_SINK,
    Failed,
    default_sink,
    exit_on_sigterm,
    postgresql,
    sink,
    temporary_folder,
    valkey,
)
from notify import telemetry
from notify.app import App
from notify.delivery import Worker, deliver
from notify.model import Lane
from notify.store.tables import batches

INTERVAL = 0.002  # seconds; the kernel may round it up to its own tick
WARM_UP_BATCHES = 2  # not looked at: templates compile, connections open
STEPS = {
    "notify.kinds": "render",
    "notify.channels.email.smtp": "SMTP",  # a prefix of smtp_dialogue, too
    "notify.channels.email": "compose",
    "notify.delivery.journal": "journal",
    "notify.delivery.lease": "claim and renew",
    "notify.delivery.doubt": "claim and renew",
    "notify.delivery.ledger": "note outcomes",
    "notify.delivery.prepare": "prepare",
    "notify.delivery": "deliver",
    "notify.policy": "policy",
    "notify.store": "database",
    "notify.telemetry": "telemetry",
}
"""The longest prefix of a module's name decides its step; what has none works for whoever called it."""
NOT_OURS = "else"


def measure(
    messages: int, *, database: str = "postgresql", sink_name: str | None = None, functions: int = 0
) -> dict[str, Any]:
    """Plan a mailout, deliver its batches one after the other, and look."""
    sink_name = sink_name or default_sink()
    facts = machine.facts()
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        socket = stack.enter_context(valkey(folder))
        url = stack.enter_context(postgresql()) if database == "postgresql" else f"sqlite:///{folder / 'notify.db'}"
        server = stack.enter_context(sink(sink_name, folder))
        provider = product.provider_url(server)
        app = stack.enter_context(product.installed(url, socket, folder, Lane.BULK, provider=provider))
        facts["database"] = product.database_version(app)
        product.plan(app, messages, Lane.BULK)
        stack.enter_context(_logging(app, folder / "worker.log"))
        ids = _batches(app)
        for batch_id in ids[:WARM_UP_BATCHES]:
            _deliver(app, batch_id)
        gc.collect()
        looks = Looks()
        used, began = time.process_time(), time.perf_counter()
        with looks.taken():
            sent = sum(_deliver(app, batch_id) for batch_id in ids[WARM_UP_BATCHES:])
        used, seconds = time.process_time() - used, time.perf_counter() - began
    return {
        "messages": sent,
        "cpu_us": round(used / sent * 1e6, 1),
        "clock_us": round(seconds / sent * 1e6, 1),
        "steps": looks.charged(used / sent * 1e6, seconds / sent * 1e6),
        "functions": looks.functions(used / sent * 1e6)[:functions],
        "looks": looks.cpu.total(),
        "database": database,
        "sink": sink_name,
        "machine": facts,
    }


@contextmanager
def _logging(app: App, path: Path) -> Iterator[None]:
    """Write the log that a worker writes: it pays for that, too."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with path.open("w", encoding="utf-8") as log:
        with redirect_stderr(log):
            telemetry.start(app.settings)
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)


def _batches(app: App) -> list[UUID]:
    with app.store.read() as connection:
        found = list(connection.scalars(sa.select(batches.c.id).order_by(batches.c.id)))
    if len(found) <= WARM_UP_BATCHES:
        raise Failed(f"{len(found)} batches: ask for more --messages")
    return found


def _deliver(app: App, batch_id: UUID) -> int:
    counts = deliver(app, batch_id, Worker("profile"))
    if not counts or set(counts) != {"sent"}:
        raise Failed(f"batch {batch_id} was to be sent, but came to {counts}")
    return counts["sent"]


Where = tuple[str, str]  # module, function


class Looks:
    """Where this thread was, at each tick of the CPU's clock and of the wall's."""

    def __init__(self) -> None:
        self.cpu: Counter[Where] = Counter()
        self.wall: Counter[Where] = Counter()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Look while the block runs."""

        def tick(number: int, frame: FrameType | None) -> None:
            (self.cpu if number == signal.SIGPROF else self.wall)[innermost(frame)] += 1

        timers = {signal.ITIMER_PROF: signal.SIGPROF, signal.ITIMER_REAL: signal.SIGALRM}
        before = {number: signal.signal(number, tick) for number in timers.values()}
        for timer in timers:
            signal.setitimer(timer, INTERVAL, INTERVAL)
        try:
            yield
        finally:
            for timer in timers:
                signal.setitimer(timer, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    def charged(self, cpu_us: float, clock_us: float) -> list[dict[str, Any]]:
        """The two sums, shared out over the steps, the dearest first."""
        cpu, wall = _by_step(self.cpu), _by_step(self.wall)
        return [
            {
                "step": step,
                "cpu_us": round(cpu_us * cpu[step] / max(1, cpu.total()), 1),
                "clock_us": round(clock_us * wall[step] / max(1, wall.total()), 1),
            }
            for step, _ in (wall + cpu).most_common()
        ]

    def functions(self, cpu_us: float) -> list[dict[str, Any]]:
        """The CPU time shared out over functions, the dearest first."""
        total = max(1, self.cpu.total())
        return [
            {"function": ".".join(where), "cpu_us": round(cpu_us * count / total, 1)}
            for where, count in self.cpu.most_common()
        ]


def innermost(frame: FrameType | None) -> Where:
    """The innermost function on this stack that belongs to a step."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if step_of(module) != NOT_OURS:
            return module, frame.f_code.co_qualname
        frame = frame.f_back
    return NOT_OURS, ""


@cache
def step_of(module: str) -> str:
    """The step that a module works for."""
    prefixes = [prefix for prefix in STEPS if module.startswith(prefix)]
    return STEPS[max(prefixes, key=len)] if prefixes else NOT_OURS


def _by_step(looks: Counter[Where]) -> Counter[str]:
    steps: Counter[str] = Counter()
    for (module, _), count in looks.items():
        steps[step_of(module)] += count
    return steps


@click.command(help=__doc__)
@click.option("--messages", type=click.IntRange(min=2000), default=20_000, show_default=True)
@click.option("--database", type=DATABASES, default="postgresql", show_default=True)
@click.option(
    "--sink", "sink_name", type=SINKS, help=f"SMTP server. [default: {SMTP_SINK} where there is one, else own]"
)
@click.option("--functions", type=click.IntRange(min=0), default=0, help="Show so many of the dearest functions.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def main(*, messages: int, database: str, sink_name: str | None, functions: int, as_json: bool) -> None:
    """The command."""
    exit_on_sigterm()
    found = measure(messages, database=database, sink_name=sink_name, functions=functions)
    if as_json:
        click.echo(json.dumps(found))
    else:
        Console().print(report.profile([found]))


if __name__ == "__main__":
    main()
