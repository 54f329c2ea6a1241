"""`notify status`: is everything moving? A problem is always followed by the next step, and by exit code 2."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click
from redis.exceptions import RedisError

from notify.alerts import on_the_way_back
from notify.app import App
from notify.cli import UNHEALTHY, screen
from notify.cli.groups import example
from notify.cli.options import as_json
from notify.cli.wiring import opened_app
from notify.delivery import Status
from notify.delivery import status as delivery_status
from notify.errors import OperatorError
from notify.settings import redact

STEPS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@click.command(epilog=example("notify status", "notify status --json | jq .problems"))
@as_json
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Say whether everything moves, and what to do if not.

    Exit code 2 when there is a problem: a service is away, the schema is old, beat, workers, messages or mailboxes
    are stale, or the guard holds something.
    """
    with opened_app() as app:
        now = app.clock.now()
        problems = list(_redis(app))
        found: Status | None = None
        try:
            found = delivery_status(app)
            problems += found.problems
            problems += [one.summary for one in on_the_way_back(app, now)]
        except OperatorError as error:
            problems.append(str(error))
    if as_json:
        known: dict[str, Any] = found.as_json() if found else {"at": now.isoformat()}
        screen.print_json({**known, "healthy": not problems, "problems": problems})
    else:
        _show(found, problems, now)
    if problems:
        ctx.exit(UNHEALTHY)


def _redis(app: App) -> Iterator[str]:
    try:
        app.redis.ping()
    except RedisError as error:
        yield (
            f"Redis {redact(app.settings.redis)} does not answer: {error}\n"
            "Next: check that it runs and that NOTIFY_REDIS_URL is right (notify config)."
        )


def _show(found: Status | None, problems: list[str], now: datetime) -> None:
    out = screen.console()
    if found:
        _messages(found)
        out.print()
        out.print(screen.facts(_processes(found, now), indent=0))
        out.print()
    if not problems:
        out.print(screen.cell("All is well.", "green"))
        return
    for problem in problems:
        what, _, step = problem.replace(" Next: ", "\nNext: ").partition("\nNext: ")
        out.print(screen.cell(f"✗ {what}", "red"))
        if step:
            out.print(screen.cell(f"  Next: {step}"))


def _messages(found: Status) -> None:
    out = screen.console()
    if not found.states:
        out.print("No messages yet.")
        return
    rows = []
    for word, count in found.states.items():
        reasons = found.reasons.get(word, {})
        said = ", ".join(f"{reason} {number:,}" for reason, number in sorted(reasons.items()) if reason != word)
        rows.append((screen.state(word), f"{count:,}", screen.cell(said, "dim")))
    out.print(screen.table(("Messages", "", "Reasons"), rows, whole=("Messages",), right=("",)))


def _processes(found: Status, now: datetime) -> Iterator[tuple[str, Any]]:
    waiting = found.oldest_due
    label = "next due" if waiting and waiting > now else "oldest due"
    yield label, f"{screen.plain(waiting)}, {_span(waiting, now)}" if waiting else "nothing waits"
    if found.came_back:
        yield "came back in a day", ", ".join(f"{word} {count:,}" for word, count in found.came_back.items())
    if found.unmatched:
        yield "unmatched reports", f"{found.unmatched:,}: notify bounces unmatched list"
    if found.parked or found.given_up:
        waits, ended = f"{found.parked:,} wait for it", f"{found.given_up:,} were given up"
        yield "events without a message", ", ".join([waits] * bool(found.parked) + [ended] * bool(found.given_up))
    for name, moment in sorted(found.ticks.items()):
        yield f"beat: {name}", _span(moment, now)
    if not found.ticks:
        yield "beat", "never seen"
    for worker in found.workers:
        lanes = dict.fromkeys(queue.rpartition(".")[2] for queue in worker.queues.split(","))
        yield f"worker {worker.name}", f"{_span(worker.seen_at, now)}, lanes {', '.join(lanes)}"
    if not found.workers:
        yield "workers", "none"


def _span(moment: datetime, now: datetime) -> str:
    seconds = (now - moment).total_seconds()
    size, unit = next((step for step in STEPS if abs(seconds) >= step[0]), STEPS[-1])
    return f"{seconds / size:.0f} {unit} ago" if seconds >= 0 else f"in {-seconds / size:.0f} {unit}"
