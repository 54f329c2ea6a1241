"""One bell answered: the life of a batch, from claim to settlement, as one pipeline."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from uuid import UUID

from notify import failpoints
from notify.app import App, ring
from notify.delivery.gates import Gates
from notify.delivery.hand_over import hand_over
from notify.delivery.lease import Lease, claim
from notify.delivery.ledger import LeaseLost, Ledger
from notify.delivery.poison import LastTry
from notify.delivery.route import Wait
from notify.delivery.worker import Worker
from notify.errors import Unreachable
from notify.model import Batch
from notify.store import batches
from notify.telemetry import bind, emit

RETRY_SETTLING_SECONDS = 1.0
WAIT_ALONE_SECONDS = 20.0


def deliver(app: App, batch_id: UUID, worker: Worker) -> dict[str, int] | None:
    """Deliver one batch; returns how many messages ended how, or None when there was nothing to do.

    Safe to call at any time, by anyone, any number of times: the claim lets one caller in.
    """
    with bind(batch=batch_id):
        try:
            with worker.among_others():
                return _carry(app, batch_id, worker, alone=False)
        except LastTry:
            with worker.alone(WAIT_ALONE_SECONDS) as alone:
                # else this thread is needed elsewhere, and the relay rings again
                return _carry(app, batch_id, worker, alone=True) if alone else None


def _carry(app: App, batch_id: UUID, worker: Worker, *, alone: bool) -> dict[str, int] | None:
    """From the claim to the settlement."""
    routes = worker.routes(app)
    routes.limits.quotas.renew()
    gates = Gates(routes.limits, routes.look())
    draw = random.random()  # noqa: S311 - spreads what waits for the same

    def waits(batch: Batch) -> Wait | None:
        """Why the batch is put off as a whole, if it is: its messages cost nothing then."""
        return gates.wait(batch, draw)

    lease = claim(app, batch_id, worker.name, alone=alone, waits=waits)
    if lease is None:
        return None
    ledger = Ledger(app, lease)
    try:
        with worker.holding(app, lease):
            whole = hand_over(app, lease, ledger, worker.stopping, gates)
            rest = _settle(app, lease, ledger)
    except LeaseLost:
        emit("batch.lost", epoch=lease.batch.epoch)
        return None
    finally:
        gates.close()
        lease.journal.leave()
    failpoints.reach("settle.committed")
    with suppress(Unreachable):  # then it expires by itself
        lease.journal.close()
    counts = dict(+ledger.counts)
    emit("batch.settled", epoch=lease.batch.epoch, **counts)
    if whole:
        ring(app, rest)
    else:
        _leave_to_the_relay(app, rest)
    return counts


def _leave_to_the_relay(app: App, rest: list[Batch]) -> None:
    """Journal or database failed us a moment ago: the next tick rings for these, not we at once, nor a minute later."""
    with suppress(Unreachable), app.store.begin() as connection:
        batches.mark_published(connection, rest, None)


def _settle(app: App, lease: Lease, ledger: Ledger) -> list[Batch]:
    """Settle, and wait for a database that is away while the lease holds: what was sent should be known as sent."""
    failpoints.reach("settle.begun")
    pause = threading.Event()
    while True:
        try:
            return ledger.settle()
        except Unreachable:
            if not lease.held(app.clock.now()):
                raise
            pause.wait(RETRY_SETTLING_SECONDS)
