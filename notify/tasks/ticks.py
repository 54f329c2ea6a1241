"""beat's ticks, and the timetable that beat_schedule.py writes down."""

from __future__ import annotations

import runpy
from datetime import timedelta
from pathlib import Path
from typing import Any

from notify import alerts
from notify.app import App, current, shipped
from notify.audience import retention
from notify.broker import SYSTEM, celery
from notify.delivery import relay, replay, sweep, tick
from notify.errors import InvalidSettings, did_you_mean
from notify.feedback import guard, hooks, mailboxes, tracking
from notify.feedback.record import look_again
from notify.intake import fan_out
from notify.tasks.process import worker

LONGEST_SCAN = 240.0  # seconds: within a broker's time for a task (visibility_timeout)
EXPIRES_SECONDS = 60.0  # of a tick that nobody fetches; its slot keeps late ones harmless, and clocks differ

TICKS = frozenset(
    {
        *("notify.relay", "notify.fan_out", "notify.alerts", "notify.replay", "notify.sweep", "notify.retention"),
        *("notify.feedback", "notify.guard", "notify.hooks", "notify.bounces", "notify.tracking"),
    }
)


@celery.task(name="notify.relay")
def relay_tick(every: float) -> None:
    """Ring for what is due."""
    tick(current(), "relay", timedelta(seconds=every), relay)


@celery.task(name="notify.fan_out")
def fan_out_tick(every: float) -> None:
    """Plan messages for everyone, until the next tick is due."""
    tick(current(), "fan_out", timedelta(seconds=every), lambda app: fan_out.run(app, every))


@celery.task(name="notify.alerts")
def alerts_tick(every: float) -> None:
    """Tell operators what they should know."""
    tick(current(), "alerts", timedelta(seconds=every), alerts.look)


@celery.task(name="notify.replay")
def replay_tick(every: float) -> None:
    """Replay dead letters, until the next tick is due."""
    tick(current(), "replay", timedelta(seconds=every), lambda app: replay.run(app, every))


@celery.task(name="notify.hooks")
def hooks_tick(every: float) -> None:
    """Read what webhooks posted, until the next tick is due."""
    tick(current(), "hooks", timedelta(seconds=every), lambda app: hooks.run(app, every))


@celery.task(name="notify.bounces")
def bounces_tick(every: float) -> None:
    """Read what is new in the mailboxes, until the next tick is due; a long backlog goes on at the next one."""
    tick(current(), "bounces", timedelta(seconds=every), lambda app: _read_mailboxes(app, min(every, LONGEST_SCAN)))


def _read_mailboxes(app: App, seconds: float) -> int:
    boxes = mailboxes.imap_mailboxes(app.settings)
    return sum(one.new for one in mailboxes.scan(app, boxes, seconds=seconds, stop=worker.stopping))


@celery.task(name="notify.tracking")
def tracking_tick(every: float) -> None:
    """Record opens and clicks, until the next tick is due."""
    tick(current(), "tracking", timedelta(seconds=every), lambda app: tracking.drain(app, every))


@celery.task(name="notify.sweep")
def sweep_tick(every: float) -> None:
    """Forget what is long gone."""
    tick(current(), "sweep", timedelta(seconds=every), sweep)


@celery.task(name="notify.feedback")
def feedback_tick(every: float) -> None:
    """Look for the messages of events that came early."""
    tick(current(), "feedback", timedelta(seconds=every), look_again)


@celery.task(name="notify.guard")
def guard_tick(every: float) -> None:
    """Look at the rates of bounces and complaints."""
    tick(current(), "guard", timedelta(seconds=every), guard.watch)


@celery.task(name="notify.retention")
def retention_tick(every: float) -> None:
    """Delete what is kept no longer."""
    tick(current(), "retention", timedelta(seconds=every), retention.run)


def timetable(path: Path | None) -> dict[str, dict[str, Any]]:
    """Beat's schedule, from the file at `path` or the one that ships. Raises `InvalidSettings` naming what is wrong."""
    source = path or shipped("beat_schedule.py")
    try:
        written = runpy.run_path(str(source)).get("SCHEDULE")
    except OSError as error:
        raise InvalidSettings(f"NOTIFY_BEAT_SCHEDULE: cannot read {source}: {error.strerror}") from None
    if not isinstance(written, dict) or not written:
        raise InvalidSettings(f"NOTIFY_BEAT_SCHEDULE: {source} defines no SCHEDULE = {{…}}")
    return {name: _entry(source, name, entry) for name, entry in written.items()}


def _entry(source: Path, name: str, entry: Any) -> dict[str, Any]:
    task, every = (entry.get("task"), entry.get("every")) if isinstance(entry, dict) else (None, None)
    if task not in TICKS:
        raise InvalidSettings(f"{source}: {name!r}: unknown task {task!r}{did_you_mean(str(task), TICKS)}")
    if not isinstance(every, int | float) or every <= 0:
        raise InvalidSettings(f"{source}: {name!r}: every must be a number of seconds above 0, not {every!r}")
    return {
        "task": task,
        "schedule": timedelta(seconds=every),
        "args": (float(every),),
        "options": {"queue": SYSTEM, "expires": max(EXPIRES_SECONDS, float(every))},
    }
