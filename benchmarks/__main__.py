"""Runs every benchmark at a moderate size, within six minutes, shows the tables and keeps the figures.

`python -m benchmarks` writes `benchmarks/results/<date>.json`; a second run on one day replaces the first.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from benchmarks import bulk, compose, latency, report
from benchmarks.services import exit_on_sigterm

RATES = (25, 100)  # calls of send() per second: within reach of one worker, and the target
RESULTS = Path(__file__).parent / "results"


@click.command(help=__doc__)
@click.option(
    "--messages", type=click.IntRange(min=bulk.LEAST), default=30_000, show_default=True, help="Of each mailout."
)
def main(messages: int) -> None:
    """The command."""
    exit_on_sigterm()
    console = Console()
    console.print("[dim]Making single mails…[/]")
    kinds = compose.measure()
    console.print(report.compose(kinds))
    mailouts, waits = [], []
    for database in ("postgresql", "sqlite"):
        console.print(f"[dim]A mailout on {database}…[/]")
        mailouts.append(bulk.measure(messages, database=database))
        console.print(f"[dim]Single sends on {database}…[/]")
        waits += [latency.measure(database=database, rate=rate) for rate in RATES]
    console.print(report.bulk(mailouts), report.latency(waits), sep="\n")
    now = datetime.now(UTC)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{now:%Y-%m-%d}.json"
    kept = {"at": now.isoformat(timespec="seconds"), "compose": kinds, "bulk": mailouts, "latency": waits}
    path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    console.print(f"Kept in {path}")


if __name__ == "__main__":
    main()
