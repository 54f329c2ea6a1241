"""Does what workers do, in the test's own process."""

from __future__ import annotations

from datetime import timedelta

from notify.app import App
from notify.delivery import Worker, deliver
from notify.store import batches


def drain(app: App, worker: str = "test") -> int:
    """Deliver everything that is due now; returns how many batches that were."""
    done = 0
    while True:
        now = app.clock.now()
        with app.store.begin() as connection:
            found = batches.due(connection, now, unclaimed_since=now + timedelta(days=1), limit=500)
        delivered = [deliver(app, batch.id, Worker(worker)) for batch in found]
        if not any(result is not None for result in delivered):
            return done
        done += len(delivered)
