"""What the project promises, as numbers, and whether a run reached them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, Any]
Kept = Mapping[str, Sequence[Figures]]
"""The runs of each benchmark, by its name."""


@dataclass(frozen=True, slots=True)
class Target:
    """`asked` in words, and what each run `found`; `reached` when all of them did, None when nothing was measured."""

    name: str
    asked: str
    found: tuple[float, ...]
    reached: bool | None


def targets(kept: Kept) -> list[Target]:
    """Every target. Of one that nothing in `kept` can tell about, nothing is `found`."""
    return list(_targets(kept))


def _targets(kept: Kept) -> Iterator[Target]:
    postgresql = [run for run in kept.get("bulk", ()) if run["database"] == "postgresql"]
    embedded = [run for run in kept.get("bulk", ()) if run["database"] == "sqlite"]
    scale, distance = kept.get("scale", ()), kept.get("distance", ())
    brought = [run for run in kept.get("rosters", ()) if run["database"] == "postgresql"]
    single = [run for run in kept.get("latency", ()) if run["rate"] >= 100]
    alone = [run for run in single if not run.get("mailout")]
    beside = [run for run in single if run.get("mailout") and run["lane"] == "critical"]
    mails = [kind for kind in kept.get("compose", ()) if kind["kind"].startswith("newsletter")]

    yield _least("bulk on PostgreSQL, of the batch yardstick", 0.8, postgresql, "product_to_batch")
    yield _least("bulk on PostgreSQL, times the naive yardstick", 25, postgresql, "product_to_naive")
    yield _least("bulk under limits that never bind, of bulk without", 0.95, postgresql, "limited_to_product")
    yield _least("bulk on SQLite, of the batch yardstick", 0.4, embedded, "product_to_batch")
    yield _least("planning, recipients/s", 50_000, kept.get("planning", ()), "planned")
    yield _most("scheduled for one second, first accepted after s", 5, kept.get("scheduled", ()), "first_s")
    yield _least("importing a roster on PostgreSQL, rows/s", 20_000, brought, "inserts")
    yield _least("a long mailout's rate, of a short one's", 0.95, scale, "ratio")
    yield _most("a worker's memory in a long mailout, MB", 200, scale, "worker_rss_mb")
    yield _most("send() to accepted at 100/s, p50 in ms", 20, alone, "p50_ms")
    yield _most("send() to accepted at 100/s, p99 in ms", 100, alone, "p99_ms")
    yield _most("the same on critical during a mailout, p99 in ms", 250, beside, "p99_ms")
    yield _least("at round trips of 30 ms, of the rate at none", 0.8, distance, "ratio")
    clicks = [run[name] for run in kept.get("web", ()) if run["database"] == "postgresql" for name in ("get", "post")]
    yield _most("a page and a one-click POST at 200/s, p95 in ms", 10, clicks, "p95_ms")
    posted = [run for run in kept.get("hooks", ()) if run["database"] == "postgresql"]
    yield _least("webhooks accepted at 1,000/s, deliveries/s", 990, posted, "answered")
    yield _most("the same, p99 in ms", 100, posted, "p99_ms")
    followed = [run for run in kept.get("tracking", ()) if run["database"] == "postgresql"]
    yield _most("opens and clicks at 500/s, p95 in ms", 5, followed, "p95_ms")
    yield _least("reading what came back, mails/s on one core", 500, kept.get("bounces", ()), "rate")
    yield _most("making the newsletter's mail, rendering included, µs of CPU", 60, mails, "both_us")


def _least(name: str, least: float, runs: Sequence[Figures], figure: str) -> Target:
    return _target(name, f"≥ {least:,g}", runs, figure, lambda found: found >= least)


def _most(name: str, most: float, runs: Sequence[Figures], figure: str) -> Target:
    return _target(name, f"≤ {most:,g}", runs, figure, lambda found: found <= most)


def _target(name: str, asked: str, runs: Sequence[Figures], figure: str, good: Callable[[float], bool]) -> Target:
    found = tuple(run[figure] for run in runs if run.get(figure) is not None)
    return Target(name, asked, found, all(map(good, found)) if found else None)
