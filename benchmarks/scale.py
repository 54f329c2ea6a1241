"""Whether a long mailout goes as fast as a short one, and whether its workers stay as small.

`python -m benchmarks.scale --messages 1000000 --json` ends with one JSON line: `short` and `long` in messages/s, the
`ratio` of the two, the rate in each tenth of the long run, and the memory of its largest worker at the start, the
middle and the end. Each run has a database of its own, and all that the Procfile runs for a mailout: two bulk workers,
a worker for beat's ticks, and beat. The short run is repeated and its median counts, for it is over in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise
from statistics import median
from typing import Any

import click
from rich.console import Console

from benchmarks import machine, product, report
from benchmarks.bulk import DATABASES, LEAST, SINKS
from benchmarks.drain import Drain, Moment
from benchmarks.services import default_sink, exit_on_sigterm, postgresql, temporary_folder, valkey
from notify.model import Lane

WORKERS = 2
BESIDE = ("worker-critical", "beat")
SHORT_RUNS = 3
PARTS = 10
WARM = 0.1  # the share of a run after which its workers have all they need in memory


def measure(
    messages: int, *, short: int = 20_000, database: str = "postgresql", sink: str | None = None
) -> dict[str, Any]:
    """Run the short mailout a few times and the long one once."""
    sink = sink or default_sink()
    facts = machine.facts()
    few = [_run(short, database, sink)[0].rate for _ in range(SHORT_RUNS)]
    drain, planned, facts["database"] = _run(messages, database, sink)
    rates = part_rates(drain.trail)
    return {
        "short": round(median(few), 1),
        "long": drain.rate,
        "ratio": round(drain.rate / median(few), 3),
        "parts": rates,
        "last_to_first": round(rates[-1] / rates[0], 3) if rates else None,
        "memory_mb": memory(drain.trail),
        "worker_rss_mb": drain.worker_mb,
        "imported": planned.imported,
        "planned": planned.planned,
        "short_messages": short,
        "short_runs": few,
        "messages": messages,
        "database": database,
        "sink": sink,
        "detail": drain.figures(),
        "machine": facts,
    }


def _run(messages: int, database: str, sink: str) -> tuple[Drain, product.Planned, str]:
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        socket = stack.enter_context(valkey(folder))
        url = stack.enter_context(postgresql()) if database == "postgresql" else f"sqlite:///{folder / 'notify.db'}"
        app = stack.enter_context(product.installed(url, socket, folder, Lane.BULK))
        planned = product.plan(app, messages, Lane.BULK)
        drain = product.deliver(app, messages, workers=WORKERS, sink_name=sink, folder=folder, beside=BESIDE)
        return drain, planned, product.database_version(app)


def part_rates(trail: Sequence[Moment]) -> list[float]:
    """Messages/s in each tenth of the run's time; fewer parts when there are not that many moments."""
    step = max(1, (len(trail) - 1) // PARTS)
    edges = [*trail[: step * PARTS : step][:PARTS], trail[-1]]
    return [
        round((after.messages - before.messages) / (after.seconds - before.seconds), 1)
        for before, after in pairwise(edges)
        if after.seconds > before.seconds
    ]


def memory(trail: Sequence[Moment]) -> dict[str, float] | None:
    """The largest worker's memory in MB, and how much it grew after the first tenth; None where nobody can tell."""
    sizes = [moment.worker_mb for moment in trail if moment.worker_mb is not None]
    if not sizes:
        return None
    warm = sizes[int(len(sizes) * WARM)]
    return {
        "start": sizes[0],
        "warm": warm,
        "middle": sizes[len(sizes) // 2],
        "end": sizes[-1],
        "grown": round(sizes[-1] - warm, 1),
    }


@click.command(help=__doc__)
@click.option("--messages", type=click.IntRange(min=LEAST), default=200_000, show_default=True, help="The long run.")
@click.option("--short", type=click.IntRange(min=LEAST), default=20_000, show_default=True, help="The short run.")
@click.option("--database", type=DATABASES, default="postgresql", show_default=True)
@click.option("--sink", type=SINKS, help="SMTP server. [default: smtp-sink where there is one, else own]")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def main(*, messages: int, short: int, database: str, sink: str | None, as_json: bool) -> None:
    """The command."""
    exit_on_sigterm()
    found = measure(messages, short=short, database=database, sink=sink)
    if as_json:
        click.echo(json.dumps(found))
    else:
        Console().print(report.scale([found]))


if __name__ == "__main__":
    main()
