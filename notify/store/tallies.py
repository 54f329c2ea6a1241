"""Messages counted: by state and reason, in doubt, put off, and what came back of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from notify.model import BatchState, EventType, MessageState, Outcome
from notify.store.batches import RATE_LIMITED
from notify.store.dialect import any_of
from notify.store.messages import QUIET, REPLAYED, SCHEDULED, THROTTLED
from notify.store.tables import attempts, batches, events, messages
from notify.store.tables.sending import COUNTED


def tally(
    connection: sa.Connection, notification_ids: Iterable[UUID] | None = None
) -> list[tuple[MessageState, str | None, int]]:
    """How many messages are in each state, for each reason; over all notifications, or over these."""
    as_a_whole = (
        sa.select(batches.c.id, batches.c.reason)
        .where(batches.c.state == BatchState.READY, batches.c.reason.is_not(None))
        .subquery()
    )
    reason = sa.func.coalesce(as_a_whole.c.reason, messages.c.reason)
    waits = sa.and_(as_a_whole.c.id == messages.c.batch_id, messages.c.state == MessageState.QUEUED)
    counted = (
        sa.select(messages.c.state, reason, sa.func.count())
        .outerjoin(as_a_whole, waits)
        .group_by(messages.c.state, reason)
    )
    if notification_ids is not None:
        counted = counted.where(any_of(connection, messages.c.notification_id, list(notification_ids)))
    return [(MessageState(state), reason, count) for state, reason, count in connection.execute(counted)]


def doubted(connection: sa.Connection, notification_ids: Iterable[UUID]) -> int:
    """How many messages of these notifications were ever in doubt."""
    counted = (
        sa.select(sa.func.count(attempts.c.message_id.distinct()))
        .join(messages, messages.c.id == attempts.c.message_id)
        .where(
            attempts.c.outcome == Outcome.UNCERTAIN,
            any_of(connection, messages.c.notification_id, list(notification_ids)),
        )
    )
    return connection.scalar(counted) or 0


def came_back(connection: sa.Connection, since: datetime) -> dict[str, int]:
    """Bounces since then by whose fault they are, and complaints; the most first."""
    word = sa.case((events.c.type == EventType.BOUNCED, events.c.bounce), else_=events.c.type)
    counted = sa.select(word, sa.func.count()).where(events.c.received_at >= since, COUNTED).group_by(word)
    found = {str(name): count for name, count in connection.execute(counted)}
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def parked(connection: sa.Connection) -> int:
    """How many events wait for their message, or for its being recorded as sent."""
    return connection.scalar(sa.select(sa.func.count()).where(events.c.look_at.is_not(None))) or 0


def given_up(connection: sa.Connection) -> int:
    """How many events have no message here, and none is looked for any more."""
    nobodys = (events.c.message_id.is_(None), events.c.look_at.is_(None))
    return connection.scalar(sa.select(sa.func.count()).where(*nobodys)) or 0


def without_message(connection: sa.Connection, payload: UUID) -> int:
    """How many events that this delivery told have no message here, or none yet."""
    told = (events.c.message_id.is_(None), events.c.detail["payload"].as_string() == str(payload))
    return connection.scalar(sa.select(sa.func.count()).where(*told)) or 0


def put_off(connection: sa.Connection) -> list[tuple[str, int, datetime]]:
    """Messages that wait untried because their provider takes nothing: for each reason how many, and since when.

    Found by the batches that are not done: in those all waiting messages are, and they are few beside all messages.
    """
    # asked apart, for each state has an index of its own
    not_done = [
        sa.select(batches.c.id, batches.c.reason).where(batches.c.state == one)
        for one in (BatchState.READY, BatchState.LEASED)
    ]
    under_way = sa.union_all(*not_done).subquery()
    reason = sa.func.coalesce(under_way.c.reason, messages.c.reason)  # a batch may wait as a whole
    rows = connection.execute(
        sa.select(reason, sa.func.count(), sa.func.min(messages.c.created_at))
        .join(under_way, under_way.c.id == messages.c.batch_id)
        .where(
            messages.c.state == MessageState.QUEUED,
            messages.c.attempts == 0,
            reason.is_not(None),
            reason.not_in((SCHEDULED, QUIET, REPLAYED, RATE_LIMITED, THROTTLED)),
        )
        .group_by(reason)
    )
    return [(row[0], row[1], row[2]) for row in rows]
