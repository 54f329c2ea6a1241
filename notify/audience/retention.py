"""What is kept no longer is deleted by beat's tick, slice by slice, so that nobody waits; unset keeps for ever."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from notify.app import App
from notify.audience import erasure
from notify.store import ageing
from notify.store.ageing import Slice
from notify.telemetry import emit

SLICE = {"postgresql": 5_000, "sqlite": 500}  # rows; SQLite has one writer at a time, and others wait for it
GIVE_WAY = 0.25  # so much of a slice's time is left to the others after it
LONGEST = 600.0  # seconds: what is left then is the next tick's


def run(app: App) -> int:
    """Delete what is older than the settings keep it, and what weighs nothing any more; returns how many rows.

    Also takes out what was written of people in the moment in which they were erased.
    """
    erasure.mop_up(app)
    until = time.monotonic() + LONGEST
    deleted = _slices(app, ageing.weightless, app.clock.now(), until)
    for name in ageing.POLICIES:
        days: int | None = getattr(app.settings, f"retention_{name}_days")
        if days is None:
            continue
        before = app.clock.now() - timedelta(days=days)
        if count := _slices(app, ageing.POLICIES[name], before, until):
            emit("retention.deleted", what=name, rows=count)
            deleted += count
    return deleted


def _slices(app: App, delete: Slice, before: datetime, until: float) -> int:
    limit = SLICE[app.store.engine.dialect.name]
    deleted = 0
    while time.monotonic() < until:
        began = time.monotonic()
        with app.store.begin() as connection:
            count = delete(connection, before, limit)
        deleted += count
        if count < limit:
            break
        time.sleep((time.monotonic() - began) * GIVE_WAY)
    return deleted
