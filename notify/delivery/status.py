"""Is everything moving? Counts by state, what waits longest, and whether beat and workers live."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from notify.app import App
from notify.model import FanOut
from notify.store import batches, fan_outs, incoming, presence, schema, tallies
from notify.store.presence import Worker

CAME_BACK_WITHIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the house at `at`. `problems` is empty when all is well; each names the next step.

    `planning` has the notifications to everyone that are not planned yet, each with the time of its last slice.
    `came_back` counts the bounces of a day by whose fault they are, and complaints; `unmatched` are the reports that
    wait for an operator; `parked` the events that wait for their message, `given_up` those whose message never came.
    """

    at: datetime
    states: dict[str, int]
    reasons: dict[str, dict[str, int]]
    oldest_due: datetime | None
    ticks: dict[str, datetime]
    workers: tuple[Worker, ...]
    planning: tuple[tuple[FanOut, datetime], ...]
    problems: tuple[str, ...]
    came_back: dict[str, int] = field(default_factory=dict)
    unmatched: int = 0
    parked: int = 0
    given_up: int = 0

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "at": self.at.isoformat(),
            "healthy": not self.problems,
            "problems": list(self.problems),
            "states": self.states,
            "reasons": self.reasons,
            "came_back": self.came_back,
            "unmatched": self.unmatched,
            "parked": self.parked,
            "given_up": self.given_up,
            "oldest_due": self.oldest_due.isoformat() if self.oldest_due else None,
            "ticks": {name: moment.isoformat() for name, moment in self.ticks.items()},
            "workers": [
                {
                    "name": worker.name,
                    "queues": worker.queues.split(","),
                    "started_at": worker.started_at.isoformat(),
                    "seen_at": worker.seen_at.isoformat(),
                }
                for worker in self.workers
            ],
            "planning": [
                {
                    "notification": str(fan_out.notification.id),
                    "recipients": fan_out.recipients,
                    "messages": fan_out.messages,
                    "moved_at": moved.isoformat(),
                }
                for fan_out, moved in self.planning
            ],
        }


def status(app: App) -> Status:
    """Look. Raises `Unreachable` or `MigrationNeeded` when the database cannot answer."""
    schema.require_head(app.store)
    now = app.clock.now()
    with app.store.read() as connection:
        tally = tallies.tally(connection)
        oldest = batches.oldest_due(connection)
        unattended = batches.unattended(connection, now)
        planning = tuple(fan_outs.under_way(connection))
        put_off = tallies.put_off(connection)
        ticks = presence.ticks(connection)
        workers = tuple(presence.alive(connection))
        came_back = tallies.came_back(connection, now - CAME_BACK_WITHIN)
        unmatched = incoming.waiting(connection)
        parked, given_up = tallies.parked(connection), tallies.given_up(connection)
    states: Counter[str] = Counter()
    reasons: dict[str, dict[str, int]] = {}
    for state, reason, count in tally:
        states[state] += count
        if reason:
            reasons.setdefault(state, {})[reason] = count
    stale = timedelta(seconds=app.settings.stale_seconds)
    problems = [
        *_beat(ticks.get("relay"), now, stale),
        *_workers(workers, now, stale),
        *_backlog(unattended, now, stale),
        *_outage(put_off, now, stale),
        *_standstill(planning, now, stale),
    ]
    told = (oldest, ticks, workers, planning, tuple(problems))
    back = (came_back, unmatched, parked, given_up)
    return Status(now, dict(states), reasons, *told, *back)


def beat_problems(app: App) -> list[str]:
    """What is wrong with beat, each with the next step. Raises `Unreachable` or `MigrationNeeded`."""
    schema.require_head(app.store)
    with app.store.read() as connection:
        ticks = presence.ticks(connection)
    return _beat(ticks.get("relay"), app.clock.now(), timedelta(seconds=app.settings.stale_seconds))


def worker_problems(app: App) -> list[str]:
    """What is wrong with workers, each with the next step. Raises `Unreachable` or `MigrationNeeded`."""
    schema.require_head(app.store)
    with app.store.read() as connection:
        workers = tuple(presence.alive(connection))
    return _workers(workers, app.clock.now(), timedelta(seconds=app.settings.stale_seconds))


def _beat(relayed: datetime | None, now: datetime, stale: timedelta) -> list[str]:
    if relayed is None:
        return ["beat has never run. Next: notify beat, and a worker for the lane system"]
    if now - relayed > stale:
        return [
            f"beat's relay last ran {_ago(now - relayed)} ago: retries and schedules wait. "
            "Next: notify beat, and a worker for the lane system"
        ]
    return []


def _workers(workers: tuple[Worker, ...], now: datetime, stale: timedelta) -> list[str]:
    """Silent workers whose queues nobody else serves; one that was replaced is no trouble any more."""
    fresh = [worker for worker in workers if now - worker.seen_at <= stale]
    served = {queue for worker in fresh for queue in worker.queues.split(",")}
    silent = [
        f"worker {worker.name} was last seen {_ago(now - worker.seen_at)} ago. Next: look at its log, start it again"
        for worker in workers
        if worker not in fresh and not served.issuperset(worker.queues.split(","))
    ]
    return silent if fresh else [*silent, "no worker is alive. Next: notify worker"]


def _backlog(unattended: dict[str, datetime], now: datetime, stale: timedelta) -> list[str]:
    return [
        f"messages in {queue} wait that were due {_ago(now - due)} ago, and no worker takes them. "
        f"Next: notify worker --lanes {queue.partition('.')[2]}"
        for queue, due in sorted(unattended.items())
        if now - due > stale
    ]


def _outage(put_off: list[tuple[str, int, datetime]], now: datetime, stale: timedelta) -> list[str]:
    return [
        f"{count} message{'s wait' if count > 1 else ' waits'} untried, the oldest for {_ago(now - since)}, "
        f"because of the provider: {reason}. "
        "Next: notify providers list"
        for reason, count, since in sorted(put_off)
        if now - since > stale
    ]


def _standstill(planning: tuple[tuple[FanOut, datetime], ...], now: datetime, stale: timedelta) -> list[str]:
    return [
        f"the planning of notification {fan_out.notification.id} ({fan_out.notification.kind}) stands still for "
        f"{_ago(now - moved)}. Next: look at the log of a worker for the lane system; notify kinds check"
        for fan_out, moved in planning
        if now - moved > stale
    ]


def _ago(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
