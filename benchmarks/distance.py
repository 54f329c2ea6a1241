"""What a distant SMTP server costs: the rate at round trips of 30 ms beside that at none, and how connections help.

`python -m benchmarks.distance --delay 30 --json` ends with one JSON line: `near` and `far` in messages/s with notify's
own choice of connections, how many the server saw, `ratio` of the two, and `series`: the far rate with so many
connections per worker process. The SMTP server is our own, which sends each reply so late. All runs eat of one mailout,
each for a few seconds: a rate is what the server accepted in that time, after a warm-up.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks import machine, product, report
from benchmarks.bulk import DATABASES, LEAST
from benchmarks.drain import LOOK_SECONDS, Drain, Progress, Watch, Workers, all_speak
from benchmarks.services import OWN, Failed, Sink, exit_on_sigterm, postgresql, sink, temporary_folder, until, valkey
from notify.app import App
from notify.model import Lane

WORKERS = 2
WARM_UP_SECONDS, SECONDS = 4.0, 6.0
PATIENCE_SECONDS = 60.0
SERIES = (1, 4, 16, 64, 128)


def measure(
    messages: int,
    *,
    delay_ms: int = 30,
    series: tuple[int, ...] = SERIES,
    database: str = "postgresql",
    seconds: float = SECONDS,
) -> dict[str, Any]:
    """Measure near, far, and far with each number of connections. Raises `Failed` when `messages` do not suffice."""
    facts = machine.facts()
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        socket = stack.enter_context(valkey(folder))
        url = stack.enter_context(postgresql()) if database == "postgresql" else f"sqlite:///{folder / 'notify.db'}"
        app = stack.enter_context(product.installed(url, socket, folder, Lane.BULK))
        facts["database"] = product.database_version(app)
        product.plan(app, messages, Lane.BULK)
        ground = _Ground(app, folder, messages, seconds)
        far = ground.rate(delay_ms)
        near = ground.rate(0)
        steps = [ground.rate(delay_ms, connections) for connections in series]
    return {
        "near": near["rate"],
        "far": far["rate"],
        "ratio": round(far["rate"] / near["rate"], 3),
        "connections": far["connections"],
        "delay_ms": delay_ms,
        "series": [step | {"asked": asked} for asked, step in zip(series, steps, strict=True)],
        "database": database,
        "workers": WORKERS,
        "detail": {"near": near, "far": far},
        "machine": facts,
    }


class _Ground:
    """One mailout, of which each measurement eats a part."""

    def __init__(self, app: App, folder: Path, messages: int, seconds: float) -> None:
        self._app = app
        self._folder = folder
        self._left = messages
        self._seconds = seconds

    def rate(self, delay_ms: int, connections: int | None = None) -> dict[str, Any]:
        """Messages/s of two workers to a server at that distance, and the most connections that it saw at once."""
        options = "" if connections is None else f"?connections={connections}"
        log = self._folder / "worker.log"
        with (
            sink(OWN, self._folder, delay_ms=delay_ms) as server,
            product.running(self._app, "worker-bulk", server, log=log, count=WORKERS, options=options) as workers,
        ):
            drain = self._watched(workers, server, Progress(workers, server, log))
        self._left -= server.count.messages
        if self._left <= 0:
            raise Failed("the mailout was over before the time was: ask for more --messages")
        return drain.figures() | {"connections": server.count.most_connections}

    def _watched(self, workers: Workers, server: Sink, progress: Progress) -> Drain:
        def begun() -> bool:
            return progress() > 0 and all_speak(workers, server)

        def watched(seconds: float) -> Drain:
            watch = Watch(workers, server)
            until(
                lambda: progress() and watch.seconds >= seconds,
                PATIENCE_SECONDS + seconds,
                f"{seconds:.0f} s are over",
                every=LOOK_SECONDS,
            )
            return watch.end()

        until(begun, PATIENCE_SECONDS, "each worker has spoken to the SMTP server", every=LOOK_SECONDS)
        watched(WARM_UP_SECONDS)
        return watched(self._seconds)


def _numbers(_context: click.Context, _option: click.Parameter, given: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in given.split(",") if number)
    except ValueError:
        raise click.BadParameter(f"{given} is no list of numbers such as 1,4,16") from None


@click.command(help=__doc__)
@click.option("--messages", type=click.IntRange(min=LEAST), default=250_000, show_default=True, help="Of the mailout.")
@click.option(
    "--delay", "delay_ms", type=click.IntRange(min=0), default=30, show_default=True, help="Round trip in ms."
)
@click.option("--series", default=",".join(map(str, SERIES)), callback=_numbers, show_default=True, help="Connections.")
@click.option("--seconds", type=click.FloatRange(min=1), default=SECONDS, show_default=True, help="For each rate.")
@click.option("--database", type=DATABASES, default="postgresql", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def main(
    *, messages: int, delay_ms: int, series: tuple[int, ...], seconds: float, database: str, as_json: bool
) -> None:
    """The command."""
    exit_on_sigterm()
    found = measure(messages, delay_ms=delay_ms, series=series, database=database, seconds=seconds)
    if as_json:
        click.echo(json.dumps(found))
    else:
        Console().print(report.distance([found]))


if __name__ == "__main__":
    main()
