"""The ticks: ring for what is due, ring again for what nobody came for, forget the dead. Each slot is done once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from notify import failpoints
from notify.app import App, ring
from notify.delivery import patience, pauses
from notify.store import batches, presence

AT_ONCE = 500
FORGET_WORKERS_AFTER = timedelta(days=1)


def relay(app: App) -> int:
    """Ring for batches that nobody works on though they are due; returns how many. This rebuilds an emptied broker.

    They were never rung for, or nobody claimed them in `republish_seconds`, or their lease ran out; or they waited for
    a provider whose pause is over, for its URL has changed.
    """
    pauses.in_force(app)
    rung = 0
    while True:
        now = app.clock.now()
        unclaimed_since = now - timedelta(seconds=app.settings.republish_seconds)
        with app.store.begin() as connection:
            found = batches.due(connection, now, unclaimed_since=unclaimed_since, limit=AT_ONCE)
        failpoints.reach("relay.stamped")
        rung += (reached := ring(app, found))
        failpoints.reach("relay.published")
        if len(found) < AT_ONCE or not reached:
            return rung


def sweep(app: App) -> int:
    """Let die what waits past its deadline, and forget workers that died long ago; returns how many workers."""
    patience.expire(app)
    with app.store.begin() as connection:
        return presence.forget_before(connection, app.clock.now() - FORGET_WORKERS_AFTER)


def tick(app: App, name: str, every: timedelta, work: Callable[[App], int]) -> int | None:
    """Do `work` unless this slot of `every` was done already, by this or another beat; returns what it returned."""
    now = app.clock.now()
    span = every.total_seconds()
    slot = int(now.timestamp() // span * span * 1000)  # its beginning in ms: grows even when the timetable changes
    with app.store.begin() as connection:
        if not presence.claim_slot(connection, name, slot, now):
            return None
    return work(app)
