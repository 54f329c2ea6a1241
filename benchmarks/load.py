"""Whether a provider's rate is held and reached: four workers, one limit, counted by the SMTP server.

`python -m benchmarks.load --rate 100/s --json` ends with a JSON line: `asked` and `achieved` in messages/s, `ratio` of
the two, and `highest`: the most messages that came within any `span` (the rate's own, a second at least). Beat and a
worker for its ticks run beside. Says so and exits with 1 when the rate was exceeded (`exceeded`).
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks import machine, product
from benchmarks.bulk import DATABASES
from benchmarks.drain import LOOK_SECONDS, Progress
from benchmarks.services import OWN, exit_on_sigterm, postgresql, sink, temporary_folder, until, valkey
from notify.app import App
from notify.model import Lane
from notify.rates import Rate, rate

WORKERS = 4
SECONDS = 20.0
WARM_UP_SECONDS, PATIENCE_SECONDS = 4.0, 120.0  # the slowest worker starts in that time
ARRIVALS = "arrivals"
SPARE_SECONDS = 30.0  # more is planned than the limit lets through


def measure(
    limit: Rate, *, seconds: float = SECONDS, workers: int = WORKERS, database: str = "sqlite"
) -> dict[str, Any]:
    """Let so many workers eat of a mailout under this limit for so long."""
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        socket = stack.enter_context(valkey(folder))
        url = stack.enter_context(postgresql()) if database == "postgresql" else f"sqlite:///{folder / 'notify.db'}"
        app = stack.enter_context(product.installed(url, socket, folder, Lane.BULK))
        product.plan(app, int(limit.per_second * (WARM_UP_SECONDS + seconds + SPARE_SECONDS)) + 1, Lane.BULK)
        begun = _run(app, limit, folder, workers=workers, seconds=seconds)
        moments = _moments(folder / ARRIVALS)
    return _judged(limit, moments, begun, seconds) | {
        "workers": workers,
        "database": database,
        "machine": machine.facts(),
    }


def _run(app: App, limit: Rate, folder: Path, *, workers: int, seconds: float) -> float:
    """Let the workers work; returns since when they count, by the monotonic clock."""
    log = folder / "worker.log"
    options = f"?rate={limit}&name=main"
    with (
        sink(OWN, folder, arrivals=folder / ARRIVALS) as server,
        product.running(app, "beat", server, log=folder / "beat.log"),
        product.running(app, "worker-critical", server, log=folder / "ticks.log"),
        product.running(app, "worker-bulk", server, log=log, count=workers, options=options) as bulk,
    ):
        until(lambda: server.count.messages, PATIENCE_SECONDS, "the first mail has come", every=LOOK_SECONDS)
        progress = Progress(bulk, server, log)
        _look_on(progress, WARM_UP_SECONDS)
        begun = time.monotonic()
        _look_on(progress, seconds)
    return begun


def _look_on(progress: Progress, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        progress()
        time.sleep(0.2)


def _judged(limit: Rate, moments: list[float], begun: float, seconds: float) -> dict[str, Any]:
    span = max(1.0, limit.seconds / min(1.0, limit.count))
    most = max(1, int(limit.count))
    counted = sum(begun < moment <= begun + seconds for moment in moments)
    found = highest(moments, span)
    return {
        "rate": str(limit),
        "asked": round(limit.per_second, 3),
        "achieved": round(counted / seconds, 3),
        "ratio": round(counted / seconds / limit.per_second, 3),
        "highest": found,
        "span": span,
        "exceeded": found > most,
        "seconds": seconds,
    }


def highest(moments: list[float], span: float) -> int:
    """The most of these ordered moments that lie within any half-open span of so many seconds."""
    found = first = 0
    for number, moment in enumerate(moments):
        while moments[first] <= moment - span:
            first += 1
        found = max(found, number - first + 1)
    return found


def _moments(arrivals: Path) -> list[float]:
    """When each mail had come, in seconds."""
    return sorted(float(line.split()[-1]) for line in arrivals.read_text(encoding="latin-1").splitlines())


def table(found: list[dict[str, Any]]) -> Table:
    """For people."""
    shown = Table("limit", "workers", "achieved/s", "of it", "highest in any span", "span", "", title="Limits")
    for one in found:
        verdict = "EXCEEDED" if one["exceeded"] else "held"
        shown.add_row(
            *(one["rate"], str(one["workers"]), f"{one['achieved']:g}", f"{one['ratio']:.1%}"),
            *(str(one["highest"]), f"{one['span']:g} s", verdict),
        )
    return shown


@click.command(help=__doc__)
@click.option("--rate", "rates", default=("14/s", "100/s", "1000/s"), multiple=True, show_default=True, help="Limits.")
@click.option("--seconds", type=click.FloatRange(min=2), default=SECONDS, show_default=True, help="For each limit.")
@click.option("--workers", type=click.IntRange(min=1), default=WORKERS, show_default=True, help="Processes.")
@click.option("--database", type=DATABASES, default="sqlite", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line for each limit.")
def main(*, rates: tuple[str, ...], seconds: float, workers: int, database: str, as_json: bool) -> None:
    """The command."""
    exit_on_sigterm()
    try:
        limits = [rate(written) for written in rates]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    found = []
    for limit in limits:
        found.append(measure(limit, seconds=seconds, workers=workers, database=database))
        if as_json:
            click.echo(json.dumps(found[-1]))
    if not as_json:
        Console().print(table(found))
    exceeded = [one for one in found if one["exceeded"]]
    for one in exceeded:
        click.echo(
            f"EXCEEDED: {one['highest']} messages within {one['span']:g} s at a limit of {one['rate']}", err=True
        )
    sys.exit(1 if exceeded else 0)


if __name__ == "__main__":
    main()
