"""What was measured, as tables for a person: the product beside the yardsticks of the same run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

Figures = Mapping[str, Any]


def bulk(runs: Iterable[Figures]) -> Table:
    """A row per run of `benchmarks.bulk`."""
    names = ("database", "planned", "product", "batch", "naive", "of batch", "× naive", "worker MB")
    table = _table("Bulk delivery, per second; the yardsticks are on PostgreSQL", *names)
    for run in runs:
        table.add_row(
            run["database"],
            *(f"{run[name]:,.0f}" for name in ("planned", "product", "batch", "naive")),
            f"{run['product_to_batch']:.0%}",
            f"{run['product_to_naive']:.1f}",
            "?" if run["worker_rss_mb"] is None else f"{run['worker_rss_mb']:.0f}",
        )
    return table


def compose(kinds: Iterable[Figures]) -> Table:
    """A row per kind of `benchmarks.compose`."""
    table = _table("Making one mail, µs of CPU", "kind", "bytes", "render", "compose", "both", "EmailMessage")
    for kind in kinds:
        times = (kind["render_us"], kind["compose_us"], kind["render_us"] + kind["compose_us"], kind["standard_us"])
        table.add_row(kind["kind"], f"{kind['bytes']:,}", *(f"{time:,.0f}" for time in times))
    return table


def latency(runs: Iterable[Figures]) -> Table:
    """A row per run of `benchmarks.latency`."""
    names = ("database", "asked/s", "done/s", "p50", "p99", "send() p50", "p99", "worker CPU")
    table = _table("From send() to accepted by SMTP, one worker, ms", *names)
    for run in runs:
        times = (run[name] for name in ("p50_ms", "p99_ms", "send_p50_ms", "send_p99_ms"))
        table.add_row(
            run["database"],
            f"{run['rate']:,.0f}",
            f"{run['accepted']:,.0f}",
            *(f"{time:,.1f}" for time in times),
            "?" if run["worker_ms"] is None else f"{run['worker_ms']:.1f}",
        )
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE, padding=0)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
