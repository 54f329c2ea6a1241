"""The tick: compare what holds with what was known, and tell every sink what it does not know yet.

At least once: a sink has been told when it took the word and that was stored. Who tells of an alert holds a lease on
its row, so two beats do not tell twice; when they die in between, the word is told again after the lease.
"""

from __future__ import annotations

from datetime import timedelta

from notify.alerts.conditions import observe
from notify.alerts.course import follow
from notify.alerts.telling import Ear, Log, Telling, anything_for
from notify.app import App
from notify.store import alerts

LEASE = timedelta(minutes=3)


def look(app: App) -> int:
    """Returns how many words were taken by the log and the sinks. Raises `Unreachable` without the database."""
    now = app.clock.now()
    sight = observe(app, now)
    ears: tuple[Ear, ...] = (Log(), *app.sinks)
    with app.store.begin() as connection:
        known = alerts.known(connection)
        changed = {one.name: one for one in follow(known, sight, now)}
        alerts.save(connection, list(changed.values()))
        waiting = [name for name, one in {**known, **changed}.items() if anything_for(ears, one, now)]
        leased = alerts.lease(connection, waiting, now, now + LEASE) if waiting else []
    if not leased:
        return 0
    try:
        return Telling(app, leased).to_all(ears)
    finally:
        with app.store.begin() as connection:
            alerts.release(connection, [one.name for one in leased])
