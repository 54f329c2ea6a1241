"""Runs every benchmark at a moderate size, within ten minutes, shows the tables and keeps the figures.

`python -m benchmarks` writes `benchmarks/results/<date>.json` and the tables of `docs/performance.md`; a second run on
one day replaces the first. `--only bulk
--only scale` runs some of them, and keeps the others' figures of that day. Each is also a command of its own:
`python -m benchmarks.bulk --help`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console, RenderableType

from benchmarks import (
    bounces,
    bulk,
    compose,
    distance,
    hooks,
    latency,
    page,
    planning,
    profile,
    report,
    rosters,
    scale,
    scheduled,
    tracking,
    web,
)
from benchmarks.services import exit_on_sigterm
from benchmarks.targets import targets
from notify.model import Lane

DATABASES = ("postgresql", "sqlite")
RATE = 100  # single sends per second
RESULTS = Path(__file__).parent / "results"
Runs = list[dict[str, Any]]


def _bulk() -> Runs:
    return [bulk.measure(60_000, database=database, limited=database == "postgresql") for database in DATABASES]


def _planning() -> Runs:
    return [planning.measure(1_000_000)]


def _scheduled() -> Runs:
    return [scheduled.measure(100_000), scheduled.measure(20_000, batch_size=1)]


def _rosters() -> Runs:
    return [rosters.measure(200_000, database=database) for database in DATABASES]


def _latency() -> Runs:
    alone = [latency.measure(database=database, rate=RATE) for database in ("postgresql", "sqlite")]
    return [*alone, latency.measure(rate=RATE, lane=Lane.CRITICAL, mailout=250_000)]


def _scale() -> Runs:
    return [scale.measure(200_000)]


def _distance() -> Runs:
    return [distance.measure(250_000)]


def _web() -> Runs:
    return [web.measure(database=database) for database in DATABASES]


def _hooks() -> Runs:
    return [hooks.measure(database=database) for database in DATABASES]


def _tracking() -> Runs:
    return [tracking.measure(database=database) for database in DATABASES]


def _profile() -> Runs:
    return [profile.measure(20_000, database=database) for database in ("postgresql", "sqlite")]


BENCHMARKS: dict[str, tuple[Callable[[], Runs], Callable[[Runs], RenderableType]]] = {
    "compose": (compose.measure, report.compose),
    "bulk": (_bulk, report.bulk),
    "planning": (_planning, report.planning),
    "scheduled": (_scheduled, report.scheduled),
    "rosters": (_rosters, report.rosters),
    "latency": (_latency, report.latency),
    "scale": (_scale, report.scale),
    "distance": (_distance, report.distance),
    "web": (_web, report.web),
    "hooks": (_hooks, report.hooks),
    "tracking": (_tracking, report.tracking),
    "bounces": (bounces.measure, report.bounces),
    "profile": (_profile, report.profile),
}


@click.command(help=__doc__)
@click.option("--only", multiple=True, type=click.Choice(list(BENCHMARKS)), help="Run this one. [default: all]")
def main(only: Sequence[str]) -> None:
    """The command."""
    exit_on_sigterm()
    console = Console()
    now = datetime.now(UTC)
    path = RESULTS / f"{now:%Y-%m-%d}.json"
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if only and path.exists() else {}
    kept["at"] = now.isoformat(timespec="seconds")
    for name in only or BENCHMARKS:
        console.print(f"[dim]{name}…[/]")
        measure, table = BENCHMARKS[name]
        kept[name] = measure()
        console.print(table(kept[name]))
    found = targets({name: kept[name] for name in BENCHMARKS if name in kept})
    console.print(report.targets(found))
    RESULTS.mkdir(exist_ok=True)
    kept["targets"] = [asdict(target) for target in found]
    path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    page.write(kept)
    console.print(f"Kept in {path}, and shown in {page.PAGE}")


if __name__ == "__main__":
    main()
