"""Rows that are old enough are deleted, a bounded slice at a time; what still waits, and what proves consent, stays.

Ids are UUIDs of version 7, so the oldest rows stand first in every primary key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import BatchState, FanOutState, HookState, MessageState
from notify.policy.aftermath import HALF_LIFE
from notify.store import audit as trail
from notify.store.dialect import any_of
from notify.store.forgetting import ERASED
from notify.store.tables import (
    attachments,
    attempts,
    audit,
    batches,
    consequences,
    conversions,
    dead_letters,
    events,
    fan_outs,
    guard_holds,
    hook_payloads,
    incoming_mails,
    kept_mails,
    messages,
    notifications,
    recipient_changes,
    soft_bounces,
    tracked_links,
)
from notify.store.tenants import DEFAULT_ID

LEAST_SCORE = 0.01
"""What weighs less decides nothing."""
LONGEST_HALVING = 20  # half-lives: by then ten thousand soft bounces weigh as little
WAITING = (MessageState.QUEUED, MessageState.SENDING, MessageState.IN_DOUBT)


def done_messages(connection: sa.Connection, before: datetime, limit: int) -> int:
    """Messages that are done since before then, with their attempts; returns how many.

    Those with a dead letter stay, for they may be replayed. A notification of which no message is left loses its data
    and files, but keeps its idempotency key: nothing is ever sent twice.
    """
    buried = sa.exists().where(dead_letters.c.message_id == messages.c.id)
    rows = connection.execute(
        sa.select(messages.c.id, messages.c.notification_id, messages.c.batch_id)
        .where(
            messages.c.id < first_id(before),
            messages.c.updated_at < before,
            messages.c.state.not_in(WAITING),
            sa.not_(buried),
        )
        .order_by(messages.c.id)
        .limit(limit)
    ).all()
    ids = [row.id for row in rows]
    if ids:
        for table, column in ((attempts, attempts.c.message_id), (kept_mails, kept_mails.c.message_id)):
            connection.execute(sa.delete(table).where(any_of(connection, column, ids)))
        connection.execute(sa.delete(messages).where(any_of(connection, messages.c.id, ids)))
        _empty(connection, list({row.notification_id for row in rows}))
        _close(connection, list({row.batch_id for row in rows if row.batch_id is not None}))
    return len(ids)


def _empty(connection: sa.Connection, ids: Sequence[UUID]) -> None:
    """Take data and files from those of these notifications that have no message left, nor will get any."""
    left = sa.exists().where(messages.c.notification_id == notifications.c.id)
    planning = sa.exists().where(
        fan_outs.c.notification_id == notifications.c.id, fan_outs.c.state == FanOutState.PLANNING
    )
    of_these = any_of(connection, notifications.c.id, ids)
    emptied = connection.scalars(
        sa.update(notifications)
        .where(of_these, sa.not_(left), sa.not_(planning))
        .values(data={})
        .returning(notifications.c.id)
    ).all()
    if emptied:
        theirs = any_of(connection, attachments.c.notification_id, list(emptied))
        connection.execute(sa.delete(attachments).where(theirs))


def _close(connection: sa.Connection, ids: Sequence[UUID]) -> None:
    """Delete those of these batches that are done and have no message left."""
    if ids:
        left = sa.exists().where(messages.c.batch_id == batches.c.id)
        done = (any_of(connection, batches.c.id, ids), batches.c.state == BatchState.DONE, sa.not_(left))
        connection.execute(sa.delete(batches).where(*done))


def reported(connection: sa.Connection, before: datetime, limit: int) -> int:
    """Events, what followed from them, conversions, and what the guard held; returns how many rows."""
    told = (events.c.received_at, consequences.c.at, conversions.c.recorded_at, guard_holds.c.ended_at)
    return sum(_oldest(connection, column.table, before, limit, column < before) for column in told)


def weightless(connection: sa.Connection, now: datetime, limit: int) -> int:
    """Scores of soft bounces that weigh next to nothing by now, whatever the settings keep; returns how many."""
    spent = sa.or_(
        *(
            sa.and_(soft_bounces.c.at < now - times * HALF_LIFE, soft_bounces.c.score < LEAST_SCORE * 2**times)
            for times in range(LONGEST_HALVING)
        )
    )
    ids = connection.scalars(sa.select(soft_bounces.c.id).where(spent).limit(limit)).all()
    if ids:
        # one may have been counted anew meanwhile
        connection.execute(sa.delete(soft_bounces).where(any_of(connection, soft_bounces.c.id, list(ids)), spent))
    return len(ids)


def dead(connection: sa.Connection, before: datetime, limit: int) -> int:
    """Dead letters, with the mails that were kept of them; returns how many. Their messages stay dead."""
    ids = connection.scalars(_ids(dead_letters, before, limit, dead_letters.c.died_at < before)).all()
    if ids:
        chosen = any_of(connection, dead_letters.c.id, list(ids))
        theirs = sa.select(dead_letters.c.message_id).where(chosen, dead_letters.c.message_id.is_not(None))
        connection.execute(sa.delete(kept_mails).where(kept_mails.c.message_id.in_(theirs)))
        connection.execute(sa.delete(dead_letters).where(chosen))
    return len(ids)


def changes(connection: sa.Connection, before: datetime, limit: int) -> int:
    """The history of recipients; returns how many rows. That somebody was erased stays on record."""
    return _oldest(
        connection,
        recipient_changes,
        before,
        limit,
        recipient_changes.c.at < before,
        recipient_changes.c.source != ERASED,
    )


def posted(connection: sa.Connection, before: datetime, limit: int) -> int:
    """What webhooks posted, unless it waits to be read; returns how many."""
    done = hook_payloads.c.state != HookState.RECEIVED
    return _oldest(connection, hook_payloads, before, limit, hook_payloads.c.received_at < before, done)


def mailed(connection: sa.Connection, before: datetime, limit: int) -> int:
    """What is kept of mails that came back, reports that nobody resolved too; returns how many. Their events stay."""
    return _oldest(connection, incoming_mails, before, limit, incoming_mails.c.received_at < before)


def linked(connection: sa.Connection, before: datetime, limit: int) -> int:
    """Where links of tracked mails led that no mail has had since; returns how many. Their ids tell no time."""
    old = sa.select(tracked_links.c.id).where(tracked_links.c.used_at < before).limit(limit)
    ids = connection.scalars(old).all()
    if ids:
        # one may have come into use again meanwhile
        unused = tracked_links.c.used_at < before
        connection.execute(sa.delete(tracked_links).where(any_of(connection, tracked_links.c.id, list(ids)), unused))
    return len(ids)


def audited(connection: sa.Connection, before: datetime, limit: int) -> int:
    """What was done; returns how many rows."""
    with trail.door(connection, DEFAULT_ID, before):
        return _oldest(connection, audit, before, limit, audit.c.at < before)


def _oldest(
    connection: sa.Connection, table: sa.Table, before: datetime, limit: int, *old: sa.ColumnElement[bool]
) -> int:
    ids = connection.scalars(_ids(table, before, limit, *old)).all()
    if ids:
        connection.execute(sa.delete(table).where(any_of(connection, table.c.id, list(ids))))
    return len(ids)


def _ids(table: sa.Table, before: datetime, limit: int, *old: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(table.c.id).where(table.c.id < first_id(before), *old).order_by(table.c.id).limit(limit)


def first_id(moment: datetime) -> UUID:
    """The smallest id of that moment: no UUID of version 7 made at `moment` or later is smaller (RFC 9562 §5.7)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


Slice = Callable[[sa.Connection, datetime, int], int]
POLICIES: dict[str, Slice] = {
    "messages": done_messages,
    "events": reported,
    "dead": dead,
    "changes": changes,
    "hooks": posted,
    "mails": mailed,
    "links": linked,
    "audit": audited,
}
"""What `NOTIFY_RETENTION_<NAME>_DAYS` deletes."""
