"""How long a message is worth trying: as its kind says, and never past its deadline."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from uuid import UUID

from notify.app import App
from notify.errors import RequestError
from notify.model import Batch, Channel, Death, ErrorClass, MessageState
from notify.policy import EXPIRED, RetryPolicy, expired
from notify.store import batches, dead_letters, messages, work
from notify.store.work import Overdue
from notify.telemetry import emit

AT_ONCE = 10  # batches in one transaction: at most 5,000 messages


def retry_policy(app: App, kind: str, channel: Channel) -> RetryPolicy:
    """What the kind says of retries, over the settings. A kind that has gone since follows the settings alone."""
    try:
        said = app.kinds.get(kind).facts.retry.get(channel)
    except RequestError:
        said = None
    return RetryPolicy.of(said, app.settings)


def expire(app: App) -> int:
    """Let die what waits past its deadline, though no worker has come for it; returns how many messages.

    A batch that no provider takes, or that no worker claims, may wait for long: nobody should read `queued` of a
    message that will never go out.
    """
    dead = 0
    while True:
        now = app.clock.now()
        with app.store.begin() as connection:
            found = batches.overdue(connection, now, limit=AT_ONCE)
            gone = [(one, batch) for batch in found for one in work.overdue(connection, batch, now)]
            ends = defaultdict[str, list[UUID]](list)
            for one, _ in gone:
                ends[expired(one.expires_at).rule].append(one.id)
            for rule, ids in ends.items():
                messages.move(
                    connection, ids, MessageState.QUEUED, MessageState.DEAD, at=now, reason=EXPIRED, rule=rule
                )
            dead_letters.bury(connection, [_death(one, batch, now) for one, batch in gone])
            work.note_deadlines(connection, found)
        for one, _ in gone:
            rule = expired(one.expires_at).rule
            emit("message.dead", message=one.id, notification=one.notification_id, reason=EXPIRED, rule=rule)
        dead += len(gone)
        if len(found) < AT_ONCE:
            return dead


def _death(overdue: Overdue, batch: Batch, now: datetime) -> Death:
    return Death(
        tenant_id=batch.tenant_id,
        message_id=overdue.id,
        error=ErrorClass.EXPIRED,
        reason=EXPIRED,
        detail=expired(overdue.expires_at).rule,
        at=now,
        kind=overdue.kind,
        channel=batch.channel,
    )
