"""The figures of docs/performance.md, written from what a run kept: between two marks each, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_PART = re.compile(
    r"(?P<begin><!-- figures: (?P<name>\w+) -->\n).*?(?P<end><!-- written by make bench -->\n)", re.DOTALL
)
NAMES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}
Kept = Mapping[str, Any]
ANSWERED = ("database", "answered", "p50", "p95", "p99", "worst", "CPU each")


def write(kept: Kept) -> None:
    """Put these figures in place of those on the page; a benchmark that was not run keeps what it shows."""
    PAGE.write_text(shown(PAGE.read_text(encoding="utf-8"), kept), encoding="utf-8")


def shown(page: str, kept: Kept) -> str:
    """The page with these figures."""

    def part(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in kept:
            return found[0]
        return f"{found['begin']}{PARTS[name](kept[name])}\n{found['end']}"

    return _PART.sub(part, page)


def _whole(rate: float) -> str:
    return f"{rate:,.0f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _targets(targets: Sequence[Kept]) -> str:
    rows = [(one["name"], one["asked"], " · ".join(map(_figure, one["found"])), _reached(one)) for one in targets]
    return _table(("target", "asked", "found", ""), rows)


def _figure(found: float) -> str:
    return _whole(found) if found >= 100 else f"{found:,.3g}"


def _reached(target: Kept) -> str:
    if target["reached"] is None:
        return "not measured"
    return "reached" if target["reached"] else "**missed**"


def _bulk(runs: Sequence[Kept]) -> str:
    head = (
        "product on",
        "product",
        "batch",
        "naive",
        "of batch",
        "× naive",
        "worker CPU each",
        "of `batch`",
        "memory",
        "limited",
    )
    rows = []
    for run in runs:
        last = run["rounds"][-1]
        rates = [_whole(run[name]) for name in ("product", "batch", "naive")]
        ratios = (f"{run['product_to_batch']:.2f}", f"{run['product_to_naive']:.1f}")
        cpu = [f"{last[name]['worker_us']:.0f} µs" for name in ("product", "batch")]
        limited = f"{run['limited_to_product']:.2f} ×" if "limited_to_product" in run else ""
        rows.append((last["version"], *rates, *ratios, *cpu, f"{run['worker_rss_mb']:.0f} MB", limited))
    return _table(head, rows)


def _scale(runs: Sequence[Kept]) -> str:
    head = ("database", "messages", "messages/s", f"of {runs[0]['short_messages']:,}", "last tenth of first", "memory")
    rows = [
        (
            NAMES[run["database"]],
            f"{run['messages']:,}",
            _whole(run["long"]),
            f"{run['ratio']:.2f} ×",
            f"{run['last_to_first']:.2f} ×",
            " → ".join(f"{run['memory_mb'][when]:.0f} MB" for when in ("warm", "middle", "end")),
        )
        for run in runs
    ]
    return _table(head, rows)


def _planning(runs: Sequence[Kept]) -> str:
    rows = [
        (
            NAMES[run["database"]],
            f"{run['recipients']:,}",
            _whole(run["planned"]),
            f"{run['planner_cpu_us']:.1f} µs",
            "" if run["grown_mb"] is None else f"{run['grown_mb']:.1f} MB",
        )
        for run in runs
    ]
    return _table(("database", "recipients", "recipients/s", "planner's CPU each", "grown by"), rows)


def _scheduled(runs: Sequence[Kept]) -> str:
    rows = [
        (
            NAMES[run["database"]],
            f"{run['messages']:,}",
            run["batch_size"],
            f"{run['tick_ms']:.1f} ms",
            f"{run['idle_tick_ms']:.1f} ms",
            f"{run['first_s']:.1f} s",
            f"{run['thousandth_s']:.1f} s",
        )
        for run in runs
    ]
    head = ("database", "scheduled", "in batches of", "tick", "tick with none", "first after", "thousandth after")
    return _table(head, rows)


def _rosters(runs: Sequence[Kept]) -> str:
    rows = [
        (
            NAMES[run["database"]],
            f"{run['rows']:,}",
            *(_whole(run[name]) for name in ("inserts", "again", "changes", "exported")),
            f"{run['cpu_us']:.0f} µs",
            f"{run['rss_mb']:.0f} MB",
        )
        for run in runs
    ]
    head = (
        "database",
        "rows",
        "all new",
        "the same again",
        "a tenth changed",
        "exported",
        "CPU for a new row",
        "memory",
    )
    return _table(head, rows)


def _latency(runs: Sequence[Kept]) -> str:
    rows = []
    for run in runs:
        beside = f", beside a mailout at {_whole(run['mailout_rate'])}/s" if run["mailout"] else ""
        times = [f"{run[name]:.1f}" for name in ("p50_ms", "p99_ms", "worst_ms", "send_p50_ms")]
        rows.append((f"{NAMES[run['database']]}, {run['lane']}{beside}", f"{run['accepted']:.0f}/s", *times))
    return _table(("database, lane", "came through", "p50", "p99", "worst", "`send()` p50"), rows)


def _distance(runs: Sequence[Kept]) -> str:
    [run] = runs
    rows: list[Sequence[object]] = [
        ("0 ms", "default", run["detail"]["near"]["connections"], _whole(run["near"]), ""),
        (f"{run['delay_ms']} ms", "default", run["connections"], _whole(run["far"]), f"{run['ratio']:.2f} ×"),
    ]
    for step in run["series"]:
        of = f"{step['rate'] / run['near']:.2f} ×"
        rows.append((f"{run['delay_ms']} ms", step["asked"], step["connections"], _whole(step["rate"]), of))
    return _table(("round trip", "`?connections=`", "seen by the server", "messages/s", "of near"), rows)


def _compose(kinds: Sequence[Kept]) -> str:
    names = ("bytes", "render_us", "compose_us", "both_us", "standard_us")
    rows = [(kind["kind"], *(f"{kind[name]:,.0f}" for name in names)) for kind in kinds]
    return _table(("kind", "octets", "render", "compose", "both", "`EmailMessage`"), rows)


def _bounces(forms: Sequence[Kept]) -> str:
    rows = [(one["form"], f"{one['bytes']:,}", f"`{one['kind']}`", _whole(one["rate"])) for one in forms]
    return _table(("form", "octets", "read as", "mails/s"), rows)


def _web(runs: Sequence[Kept]) -> str:
    rows = []
    for run in runs:
        for name, request in (("get", "GET, the page"), ("post", "POST, one click")):
            one = run[name]
            times = [f"{one[key]:.1f}" for key in ("p50_ms", "p95_ms", "p99_ms", "worst_ms", "web_ms")]
            rows.append((NAMES[run["database"]], request, f"{one['answered']:.0f}/s", *times))
    return _table(("database", "request", "answered", "p50", "p95", "p99", "worst", "CPU each"), rows)


def _hooks(runs: Sequence[Kept]) -> str:
    rows = [(*_answered(run), f"{_whole(run['read'])}/s") for run in runs]
    return _table((*ANSWERED, "read"), rows)


def _tracking(runs: Sequence[Kept]) -> str:
    rows = [(*_answered(run), f"{_whole(run['drained'])}/s", f"{run['marked_us']:.0f}") for run in runs]
    return _table((*ANSWERED, "drained", "µs a mail"), rows)


def _answered(run: Kept) -> list[str]:
    times = [f"{run[key]:.1f}" for key in ("p50_ms", "p95_ms", "p99_ms", "worst_ms")]
    return [NAMES[run["database"]], f"{_whole(run['answered'])}/s", *times, f"{run['web_ms']:.2f}"]


def _profile(runs: Sequence[Kept]) -> str:
    by_step = [{step["step"]: step for step in run["steps"]} for run in runs]
    steps = list(dict.fromkeys(step for run in by_step for step in run))
    head = ["step", *(f"{what}, {NAMES[run['database']]}" for run in runs for what in ("CPU", "clock"))]
    rows = [
        [step, *(f"{run[step][what]:.1f}" if step in run else "" for run in by_step for what in ("cpu_us", "clock_us"))]
        for step in steps
    ]
    return _table(head, [*rows, ["sum", *(f"{run[what]:.0f}" for run in runs for what in ("cpu_us", "clock_us"))]])


PARTS: Mapping[str, Callable[[Any], str]] = {
    "targets": _targets,
    "bulk": _bulk,
    "scale": _scale,
    "planning": _planning,
    "scheduled": _scheduled,
    "rosters": _rosters,
    "latency": _latency,
    "distance": _distance,
    "compose": _compose,
    "profile": _profile,
    "web": _web,
    "hooks": _hooks,
    "tracking": _tracking,
    "bounces": _bounces,
}
