"""How many mails a second a mailout makes, end to end, beside the batch and the naive yardstick of the same run.

`python -m benchmarks.bulk --messages 60000 --json` ends with one JSON line: `product`, `batch` and `naive` in
messages/s, `planned` in recipients/s, and how, where and beside what they were measured. With `--repeat` product and
yardsticks take turns, each time on fresh services, and every figure is the median.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from statistics import median
from typing import Any

import click
from rich.console import Console

from benchmarks import machine, product, report
from benchmarks.rivals import Track
from benchmarks.services import OWN, SMTP_SINK, default_sink, exit_on_sigterm, postgresql, temporary_folder, valkey
from notify.model import Lane

LEAST = 10_000  # fewer are all in flight at once: 500 in each thread's hands
NAIVE_SHARE, NAIVE_LEAST = 20, 2000  # the naive yardstick sends a 20th of the messages, but no fewer than 2,000


def measure(
    messages: int,
    *,
    database: str = "postgresql",
    workers: int = 2,
    sink: str | None = None,
    repeat: int = 1,
    limited: bool = False,
) -> dict[str, Any]:
    """Run product and yardsticks, one after the other. The yardsticks are on PostgreSQL whatever the product is on.

    With `limited` the product runs once more, under limits that never bind.
    """
    sink = sink or default_sink()
    facts = machine.facts()
    rounds = [
        _round(messages, database=database, workers=workers, sink=sink, product_first=number % 2 == 0)
        for number in range(repeat)
    ]
    if limited:
        for found in rounds:
            found["limited"] = _ours(messages, database, workers, sink, limited=True)["product"]

    def middle(figure: Callable[[dict[str, Any]], float], digits: int = 1) -> float:
        return round(median(map(figure, rounds)), digits)

    return {
        "product": middle(lambda found: found["product"]["rate"]),
        "batch": middle(lambda found: found["batch"]["rate"]),
        "naive": middle(lambda found: found["naive"]["rate"]),
        "product_to_batch": middle(lambda found: found["product"]["rate"] / found["batch"]["rate"], 3),
        "product_to_naive": middle(lambda found: found["product"]["rate"] / found["naive"]["rate"], 2),
        **({"limited_to_product": middle(_limited_to_product, 3)} if limited else {}),
        "imported": middle(lambda found: found["imported"]),
        "planned": middle(lambda found: found["planned"]),
        "worker_rss_mb": max(found["product"]["worker_mb"] or 0 for found in rounds) or None,
        "messages": messages,
        "database": database,
        "workers": workers,
        "sink": sink,
        "repeat": repeat,
        "rounds": rounds,
        "machine": facts | {"database": rounds[0]["version"]},
    }


def _limited_to_product(found: dict[str, Any]) -> float:
    ratio: float = found["limited"]["rate"] / found["product"]["rate"]
    return ratio


def _round(messages: int, *, database: str, workers: int, sink: str, product_first: bool) -> dict[str, Any]:
    """One turn of each on services of its own."""
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        socket = stack.enter_context(valkey(folder))
        dsn = stack.enter_context(postgresql())
        track = Track(dsn, socket, sink, folder)

        def yardsticks() -> dict[str, Any]:
            batch = track.batch(messages, workers)
            naive = track.naive(max(NAIVE_LEAST, messages // NAIVE_SHARE))
            return {"batch": batch.figures(), "naive": naive.figures()}

        def ours() -> dict[str, Any]:
            return _ours(messages, database, workers, sink, limited=False)

        return ours() | yardsticks() if product_first else yardsticks() | ours()


def _ours(messages: int, database: str, workers: int, sink: str, *, limited: bool) -> dict[str, Any]:
    """The product's turn."""
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        socket = stack.enter_context(valkey(folder))
        url = stack.enter_context(postgresql()) if database == "postgresql" else f"sqlite:///{folder / 'notify.db'}"
        app = stack.enter_context(product.installed(url, socket, folder, Lane.BULK))
        planned = product.plan(app, messages, Lane.BULK)
        drain = product.deliver(app, messages, workers=workers, sink_name=sink, folder=folder, limited=limited)
        return {"version": product.database_version(app), **asdict(planned), "product": drain.figures()}


DATABASES = click.Choice(["postgresql", "sqlite"])
SINKS = click.Choice([SMTP_SINK, OWN])


@click.command(help=__doc__)
@click.option("--messages", type=click.IntRange(min=LEAST), default=60_000, show_default=True)
@click.option("--database", type=DATABASES, default="postgresql", show_default=True, help="What the product is on.")
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Worker processes.")
@click.option("--sink", type=SINKS, help="SMTP server. [default: smtp-sink where there is one, else own]")
@click.option("--repeat", type=click.IntRange(min=1), default=1, show_default=True, help="Rounds; medians count.")
@click.option("--limited", is_flag=True, help="Once more under limits that never bind.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def main(
    *, messages: int, database: str, workers: int, sink: str | None, repeat: int, limited: bool, as_json: bool
) -> None:
    """The command."""
    exit_on_sigterm()
    found = measure(messages, database=database, workers=workers, sink=sink, repeat=repeat, limited=limited)
    if as_json:
        click.echo(json.dumps(found))
    else:
        Console().print(report.bulk([found]))


if __name__ == "__main__":
    main()
