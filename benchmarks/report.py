"""What was measured, as tables for a person: the product beside the yardsticks of the same run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.box import SIMPLE
from rich.console import Group
from rich.table import Table

from benchmarks.targets import Target

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
            _or_unknown(run["worker_rss_mb"], ".0f"),
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
    names = ("database", "lane", "mailout", "asked", "done", "p50", "p99", "send p50", "p99", "CPU")
    table = _table("From send() to accepted by SMTP: rates per second, times and the worker's CPU time in ms", *names)
    for run in runs:
        times = (run[name] for name in ("p50_ms", "p99_ms", "send_p50_ms", "send_p99_ms"))
        table.add_row(
            run["database"],
            run["lane"],
            "none" if run["mailout_rate"] is None else f"{run['mailout_rate']:,.0f}",
            f"{run['rate']:,.0f}",
            f"{run['accepted']:,.0f}",
            *(f"{time:,.1f}" for time in times),
            _or_unknown(run["worker_ms"], ".1f"),
        )
    return table


def web(runs: Iterable[Figures]) -> Table:
    """A row per run and request of `benchmarks.web`."""
    names = ("database", "request", "asked", "answered", "p50", "p95", "p99", "worst", "CPU")
    table = _table("Links that are followed: rates per second, times and the process's CPU time in ms", *names)
    for run in runs:
        for name, request in (("get", "GET page"), ("post", "one-click POST")):
            one = run[name]
            times = (f"{one[key]:,.1f}" for key in ("p50_ms", "p95_ms", "p99_ms", "worst_ms"))
            asked, answered = f"{run['rate']:,.0f}", f"{one['answered']:,.0f}"
            table.add_row(run["database"], request, asked, answered, *times, _or_unknown(one["web_ms"], ".1f"))
    return table


def hooks(runs: Iterable[Figures]) -> Table:
    """A row per run of `benchmarks.hooks`."""
    names = ("database", "asked", "answered", "p50", "p95", "p99", "worst", "CPU", "read")
    table = _table("What providers post: rates per second, times and the process's CPU time in ms", *names)
    for run in runs:
        times = (f"{run[key]:,.1f}" for key in ("p50_ms", "p95_ms", "p99_ms", "worst_ms"))
        asked, answered = f"{run['rate']:,.0f}", f"{run['answered']:,.0f}"
        used, read = _or_unknown(run["web_ms"], ".2f"), f"{run['read']:,.0f}"
        table.add_row(run["database"], asked, answered, *times, used, read)
    return table


def tracking(runs: Iterable[Figures]) -> Table:
    """A row per run of `benchmarks.tracking`."""
    names = ("database", "asked", "answered", "p50", "p95", "p99", "worst", "CPU", "drained", "µs a mail")
    table = _table("Opens and clicks: rates per second, times and the process's CPU time in ms", *names)
    for run in runs:
        times = (f"{run[key]:,.1f}" for key in ("p50_ms", "p95_ms", "p99_ms", "worst_ms"))
        asked, answered = f"{run['rate']:,.0f}", f"{run['answered']:,.0f}"
        used, drained = _or_unknown(run["web_ms"], ".2f"), f"{run['drained']:,.0f}"
        table.add_row(run["database"], asked, answered, *times, used, drained, f"{run['marked_us']:,.0f}")
    return table


def scale(runs: Iterable[Figures]) -> Table:
    """A row per run of `benchmarks.scale`."""
    names = ("database", "messages", "short/s", "long/s", "of short", "last of first", "MB warm", "middle", "end")
    table = _table("A long mailout beside a short one", *names)
    for run in runs:
        sizes = run["memory_mb"] or {}
        table.add_row(
            run["database"],
            f"{run['messages']:,}",
            *(f"{run[name]:,.0f}" for name in ("short", "long")),
            f"{run['ratio']:.0%}",
            _or_unknown(run["last_to_first"], ".0%"),
            *(_or_unknown(sizes.get(name), ".0f") for name in ("warm", "middle", "end")),
        )
    return table


def bounces(runs: Iterable[Figures]) -> Table:
    """A row per form of `benchmarks.bounces`."""
    table = _table("Reading mails that came back, on one core", "form", "bytes", "read as", "mails/s")
    for run in runs:
        table.add_row(run["form"], f"{run['bytes']:,}", run["kind"], f"{run['rate']:,.0f}")
    return table


def distance(runs: Iterable[Figures]) -> Table:
    """The rate near and far, and the far one by connections per worker process, of `benchmarks.distance`."""
    table = _table("A distant SMTP server: rate by connections", "round trip", "asked", "seen", "messages/s", "of near")
    for run in runs:
        near, far = run["detail"]["near"], run["detail"]["far"]
        rows = [("0 ms", "default", near), (f"{run['delay_ms']} ms", "default", far)]
        rows += [(f"{run['delay_ms']} ms", str(step["asked"]), step) for step in run["series"]]
        for trip, asked, found in rows:
            rate = found["rate"]
            table.add_row(trip, asked, str(found["connections"]), f"{rate:,.0f}", f"{rate / run['near']:.0%}")
    return table


def profile(runs: Iterable[Figures]) -> Group:
    """The steps of each run of `benchmarks.profile`, and functions where it names any."""
    return Group(*(table for run in runs for table in _profile(run)))


def _profile(run: Figures) -> Iterator[Table]:
    steps = _table(f"Where a message's time goes on {run['database']}, one thread, µs", "step", "CPU", "clock")
    for step in run["steps"]:
        steps.add_row(step["step"], f"{step['cpu_us']:,.1f}", f"{step['clock_us']:,.1f}")
    steps.add_section()
    steps.add_row("sum", f"{run['cpu_us']:,.1f}", f"{run['clock_us']:,.1f}")
    yield steps
    if run["functions"]:
        functions = _table("The dearest functions, with what they call elsewhere", "function", "CPU")
        for function in run["functions"]:
            functions.add_row(function["function"], f"{function['cpu_us']:,.1f}")
        yield functions


def planning(runs: Iterable[Figures]) -> Table:
    """A row per run of `benchmarks.planning`."""
    names = ("database", "recipients", "planned/s", "imported/s", "planner CPU µs", "grown MB")
    table = _table("Planning a mailout to everyone", *names)
    for run in runs:
        figures = (run[name] for name in ("recipients", "planned", "imported", "planner_cpu_us", "grown_mb"))
        table.add_row(run["database"], *(f"{figure:,.1f}" if figure < 100 else f"{figure:,.0f}" for figure in figures))
    return table


def scheduled(runs: Iterable[Figures]) -> Table:
    """A row per run of `benchmarks.scheduled`."""
    names = ("scheduled", "in batches of", "tick ms", "tick ms, idle", "first s", "thousandth s")
    table = _table("Scheduled for one second", "database", *names)
    for run in runs:
        table.add_row(
            run["database"],
            f"{run['messages']:,}",
            f"{run['batch_size']:,}",
            f"{run['tick_ms']:.2f}",
            f"{run['idle_tick_ms']:.2f}",
            f"{run['first_s']:.2f}",
            f"{run['thousandth_s']:.2f}",
        )
    return table


def rosters(runs: Iterable[Figures]) -> Table:
    """A row per run of `benchmarks.rosters`."""
    names = ("database", "rows", "new/s", "again/s", "a tenth changed/s", "exported/s", "CPU µs", "peak MB")
    table = _table("Importing and exporting a roster", *names)
    for run in runs:
        rates = (f"{run[name]:,.0f}" for name in ("rows", "inserts", "again", "changes", "exported"))
        table.add_row(run["database"], *rates, f"{run['cpu_us']:.0f}", f"{run['rss_mb']:.0f}")
    return table


def targets(found: Iterable[Target]) -> Table:
    """A row per target."""
    table = _table("Targets", "", "asked", "found", "")
    for target in found:
        table.add_row(
            target.name,
            target.asked,
            " · ".join(f"{figure:,.0f}" if figure >= 100 else f"{figure:,.3g}" for figure in target.found),
            "not measured" if target.reached is None else "[green]reached[/]" if target.reached else "[red]missed[/]",
        )
    return table


def _or_unknown(figure: float | None, form: str) -> str:
    return "?" if figure is None else format(figure, form)


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE, padding=0)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
