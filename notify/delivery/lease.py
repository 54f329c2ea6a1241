"""A batch in hand: claimed under an epoch, renewed while work goes on, and what a dead holder left made good."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from notify.app import App
from notify.delivery import doubt
from notify.delivery.journal import Journal
from notify.errors import Unreachable
from notify.model import Batch
from notify.store import batches, messages
from notify.store.messages import Work
from notify.telemetry import emit

CLOCK_SKEW = timedelta(seconds=2)
"""A batch whose bell rings is due: that our clock runs behind the planner's must not make us turn it away."""


class Lease:
    """One worker's hold on one batch, until another takes it over."""

    def __init__(self, batch: Batch, journal: Journal, work: Sequence[Work], until: datetime) -> None:
        self.batch = batch
        self.journal = journal
        self.work = work
        self._until = until
        self._lost = threading.Event()

    def held(self, now: datetime) -> bool:
        """Whether this worker may still act on the batch. A process that was stopped finds out here."""
        return not self._lost.is_set() and now < self._until

    def renew(self, app: App) -> None:
        """Prolong the hold, or learn that it is lost."""
        until = app.clock.now() + app.settings.lease
        with app.store.begin() as connection:
            kept = batches.renew(connection, self.batch, until)
        if kept:
            self._until = until
        else:
            self._lost.set()


def claim(app: App, batch_id: UUID, worker: str) -> Lease | None:
    """Lease a batch and load its work; None when it is not due, done, or in another worker's hands.

    What an earlier holder left half-way is settled by its journal first, in the same transaction.
    """
    now = app.clock.now()
    until = now + app.settings.lease
    with app.store.begin() as connection:
        due_by = now + CLOCK_SKEW
        batch = batches.claim(connection, batch_id, worker=worker, now=now, due_by=due_by, lease_until=until)
        if batch is None:
            return None
        doubt.settle_half_way(app, connection, batch, now)
        journal = Journal(app.redis, batch, batch.epoch)
        journal.open()  # before the commit: whatever is in state sending has a journal
        work = messages.take(connection, batch, due_by=due_by, at=now)
    emit("batch.claimed", batch=batch.id, epoch=batch.epoch, messages=len(work))
    return Lease(batch, journal, work, until)


@contextmanager
def renewing(app: App, lease: Lease) -> Iterator[None]:
    """Renew the lease three times per term until the block ends."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(app.settings.lease_seconds / 3):
            try:
                lease.renew(app)
            except Unreachable:
                continue  # the lease runs on by the clock; past it, held() says no

    thread = threading.Thread(target=renew, name=f"lease-{lease.batch.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
