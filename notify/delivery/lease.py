"""A batch in hand: claimed under an epoch, renewed while work goes on, and what a dead holder left made good."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from notify import failpoints
from notify.app import App, ring
from notify.audience import ruling
from notify.delivery import doubt, paused, poison
from notify.delivery.addressing import addressed
from notify.delivery.journal import Journal
from notify.delivery.route import Wait
from notify.errors import RequestError
from notify.model import Batch, Suppression
from notify.policy import Rules
from notify.store import Connection, batches, consents, suppressions, work
from notify.store.work import Work
from notify.telemetry import emit

CLOCK_SKEW = timedelta(seconds=2)
"""A batch whose bell rings is due: that our clock runs behind the planner's must not make us turn it away."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be done, and what stands for or against it.

    `forbidden` are the suppressions of the messages' addresses, by folded address; `agreed` the consents of their
    recipients, by recipient and category, where a kind asks for them; `rules` are their tenant's.
    """

    work: Sequence[Work]
    forbidden: Mapping[str, Sequence[Suppression]]
    agreed: Mapping[tuple[UUID, str], UUID]
    rules: Rules


class Lease:
    """One worker's hold on one batch, until another takes it over."""

    def __init__(self, batch: Batch, journal: Journal, load: Load, until: datetime) -> None:
        self.batch = batch
        self.journal = journal
        self.work = load.work
        self.forbidden = load.forbidden
        self.agreed = load.agreed
        self.rules = load.rules
        self.moved_at = time.monotonic()
        self._until = until
        self._lost = threading.Event()

    def held(self, now: datetime) -> bool:
        """Whether this worker may still act on the batch. A process that was stopped finds out here."""
        return now < self._until and not self._lost.is_set()

    def moves(self) -> None:
        """The batch makes progress: note the time."""
        self.moved_at = time.monotonic()

    def rests(self) -> None:
        """It waits for its turn: that may take as long as it will."""
        self.moved_at = math.inf

    def renew(self, app: App) -> None:
        """Prolong the hold, or learn that it is lost."""
        until = app.clock.now() + app.settings.lease
        with app.store.begin() as connection:
            kept = batches.renew(connection, self.batch, until)
        if kept:
            self._until = until
        else:
            self._lost.set()


def claim(
    app: App,
    batch_id: UUID,
    worker: str,
    *,
    alone: bool = True,
    waits: Callable[[Batch], Wait | None] = lambda _: None,
) -> Lease | None:
    """Lease a batch and load its work; None when it is not due, done, in another worker's hands, or put off.

    What an earlier holder left half-way is settled by its journal first, in the same transaction. A batch that was
    claimed again and again without an outcome is halved instead. One that `waits` for something is put off as a whole,
    before any of its messages is written to, and the claim counts as none. Raises `LastTry`, and claims nothing, when
    it is the batch's last try before that and the caller is not `alone`.
    """
    now = app.clock.now()
    until, due_by = now + app.settings.lease, now + CLOCK_SKEW
    halves: Sequence[Batch] | None = None
    wait: Wait | None = None
    with app.store.begin() as connection:
        batch = batches.claim(connection, batch_id, worker=worker, now=now, due_by=due_by, lease_until=until)
        if batch is None:
            return None
        if batch.epoch == poison.CLAIMS and not alone:
            raise poison.LastTry
        if batch.epoch > 1:
            doubt.settle_half_way(app, connection, batch, now)
            halves = poison.isolate(connection, batch, due_by=due_by, now=now)
        if halves is None and (wait := waits(batch)) and work.needs_a_provider(connection, batch):
            _put_off(connection, batch, wait, now)
        elif halves is None:
            load = _load(app, connection, batch, due_by, now)
            wait = paused.whole(batch, load.work, now)
            if wait is None:
                journal = Journal(app.redis, batch, batch.epoch)
                journal.open()  # before the commit: whatever is in state sending has a journal
            else:
                _put_off(connection, batch, wait, now)
    if halves is not None:
        ring(app, halves)
        return None
    if wait is not None:
        emit("batch.put_off", batch=batch.id, reason=wait.reason, until=wait.until, messages=batch.size)
        return None
    failpoints.reach("claim.committed")
    emit("batch.claimed", batch=batch.id, epoch=batch.epoch, messages=len(load.work))
    return Lease(batch, journal, load, until)


def _put_off(connection: Connection, batch: Batch, wait: Wait, now: datetime) -> None:
    work.release(connection, batch, now)  # what was taken just now, or a dead holder left untried
    batches.put_off(connection, batch, wait.until, reason=wait.reason, rule=wait.rule)


def _load(app: App, connection: Connection, batch: Batch, due_by: datetime, now: datetime) -> Load:
    rules = ruling.rules(app, connection, batch.tenant_id)
    taken = addressed(app, connection, batch, work.take(connection, batch, due_by=due_by, at=now))
    if rules.require_verified:
        taken = work.with_verified(connection, batch, taken)
    folded = [address.folded for one in taken for address in one.recipient.addresses.values()]
    forbidden = suppressions.of_addresses(connection, batch.tenant_id, batch.channel, folded, app.settings.secrets)
    return Load(taken, forbidden, _agreed(app, connection, taken), rules)


def _agreed(app: App, connection: Connection, taken: Sequence[Work]) -> Mapping[tuple[UUID, str], UUID]:
    """The consents of these recipients; nothing is asked where no kind wants to know."""
    categories = set[str]()
    for name in {one.occasion.kind for one in taken}:
        with suppress(RequestError):  # a kind that cannot be used ends its messages one by one
            facts = app.kinds.get(name).facts
            categories |= {facts.category} if facts.consent else set()
    return consents.granted(connection, [one.recipient.id for one in taken], categories) if categories else {}
