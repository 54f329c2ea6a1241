"""A batch that its workers do not survive is halved, down to the one message that is the cause."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from uuid_utils.compat import uuid7

from notify.delivery import burial
from notify.delivery.burial import Dead
from notify.model import Attempt, Batch, MessageState, Outcome
from notify.store import Connection, attempts, batches, messages, work
from notify.store.work import Work
from notify.telemetry import emit

CLAIMS = 3  # so many in vain: its workers died, or gave it up
POISON = "poison"
RULE = f"{CLAIMS} workers in a row died of it or did not come to its end, and nothing else was in their hands"


class LastTry(Exception):
    """A batch that failed its workers twice is tried a last time, and no other batch beside it in the process.

    A process has several batches in hand, and one of them takes all of them down with it: so far it may be innocent.
    """


def isolate(connection: Connection, batch: Batch, *, due_by: datetime, now: datetime) -> Sequence[Batch] | None:
    """Halve a batch that was claimed `CLAIMS` times without an outcome; returns its halves, None when it may go on.

    A message that was alone in such a batch from the beginning is dead: one worker more would not help it. The batch is
    done then.
    """
    if batch.epoch <= CLAIMS:
        return None
    left = work.take(connection, batch, due_by=due_by, at=now)
    batches.finish(connection, batch, now)
    if len(left) == batch.size == 1:
        _bury(connection, batch, left[0], now)
    work.release(connection, batch, now)
    halves = [*work.halve(connection, batch, due_by, now), *work.rebatch(connection, batch, now)]
    emit("batch.halved", batch=batch.id, epoch=batch.epoch, messages=len(left), batches=len(halves))
    return halves


def _bury(connection: Connection, batch: Batch, one: Work, now: datetime) -> None:
    """The cause is found: no worker takes it again."""
    messages.move(
        connection,
        [one.id],
        MessageState.SENDING,
        MessageState.DEAD,
        at=now,
        tried=True,
        reason=POISON,
        rule=RULE,
    )
    attempt = Attempt(
        id=uuid7(),
        tenant_id=batch.tenant_id,
        message_id=one.id,
        number=one.attempts + 1,
        epoch=batch.epoch,
        outcome=Outcome.UNRENDERABLE,
        at=now,
        reason=POISON,
        response=RULE,
    )
    attempts.record(connection, [attempt])
    burial.bury(connection, [Dead(one, POISON, RULE, attempt)], now)
    emit("message.dead", message=one.id, notification=one.occasion.notification_id, reason=POISON)
