"""Batches: claimed under a lease, fenced by epoch, rung for again when nobody came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import Batch, BatchState, Channel, Lane, MessageState
from notify.store import window
from notify.store.dialect import any_of
from notify.store.tables import batches, messages

_FIELDS = (
    batches.c.id,
    batches.c.tenant_id,
    batches.c.channel,
    batches.c.lane,
    batches.c.due_at,
    batches.c.state,
    batches.c.epoch,
    batches.c.size,
    batches.c.expires_at,
    batches.c.as_was,
)

RATE_LIMITED = "rate_limited"
"""The reason of what a limit holds back."""

_NEXT = sa.or_(batches.c.due_at <= sa.bindparam("now"), batches.c.reason == RATE_LIMITED)
_FOLLOW = (
    sa.update(batches)
    .where(
        batches.c.id
        == sa.select(batches.c.id)
        .where(batches.c.state == BatchState.READY, _NEXT, *window.OF_QUEUE, batches.c.published_at.is_(None))
        .order_by(batches.c.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    .values(
        published_at=sa.bindparam("now"),
        due_at=sa.case((batches.c.due_at > sa.bindparam("now"), sa.bindparam("now")), else_=batches.c.due_at),
    )
    .returning(*_FIELDS)
)
_CLAIM = (
    sa.update(batches)
    .where(
        batches.c.id == sa.bindparam("batch"),
        batches.c.due_at <= sa.bindparam("due_by"),
        sa.or_(
            batches.c.state == BatchState.READY,
            sa.and_(batches.c.state == BatchState.LEASED, batches.c.lease_until < sa.bindparam("now")),
        ),
    )
    .values(
        state=BatchState.LEASED,
        epoch=batches.c.epoch + 1,
        lease_until=sa.bindparam("until"),
        worker=sa.bindparam("by"),
        reason=None,
        rule=None,
    )
    .returning(*_FIELDS)
)
_HELD = (
    batches.c.id == sa.bindparam("batch"),
    batches.c.epoch == sa.bindparam("held"),
    batches.c.state == BatchState.LEASED,
)
_RENEW = sa.update(batches).where(*_HELD).values(lease_until=sa.bindparam("until"))
_PUT_OFF = (
    sa.update(batches)
    .where(*_HELD)
    .values(
        {
            "state": BatchState.READY,
            "epoch": batches.c.epoch - 1,
            "due_at": sa.bindparam("until"),
            "reason": sa.bindparam("why"),
            "rule": sa.bindparam("by_rule"),
            "lease_until": None,
            "published_at": None,
            "worker": None,
        }
    )
)
_FINISH = (
    sa.update(batches).where(*_HELD).values(state=BatchState.DONE, lease_until=None, finished_at=sa.bindparam("now"))
)


def insert(connection: sa.Connection, rows: Sequence[Batch], now: datetime) -> list[Batch]:
    """Store new batches; returns those to ring for, and these count as published: the relay finds them if nobody rings.

    They are those that are due, as far as the window of their tenant and queue goes. The others are rung for as those
    before them settle, or by the relay.
    """
    if not rows:
        return []
    rung = window.within(connection, rows, now)
    ids = {row.id for row in rung}
    connection.execute(
        sa.insert(batches),
        [
            {
                "id": row.id,
                "tenant_id": row.tenant_id,
                "channel": row.channel,
                "lane": row.lane,
                "state": row.state,
                "epoch": row.epoch,
                "size": row.size,
                "expires_at": row.expires_at,
                "as_was": row.as_was,
                "due_at": row.due_at,
                "published_at": now if row.id in ids else None,
                "created_at": now,
            }
            for row in rows
        ],
    )
    return rung


def follow(connection: sa.Connection, settled: Batch, now: datetime) -> list[Batch]:
    """The batch of the same tenant and queue that is to be rung for as this one has settled: one, or none waits.

    It is due, or is one that a limit holds back as a whole: what this one needed is now free for that.
    """
    rows = connection.execute(
        _FOLLOW, {"tenant": settled.tenant_id, "on": settled.channel, "in": settled.lane, "now": now}
    )
    return [_batch(row) for row in rows]


def claim(
    connection: sa.Connection, batch_id: UUID, *, worker: str, now: datetime, due_by: datetime, lease_until: datetime
) -> Batch | None:
    """Lease a batch that is due and free, or whose lease ran out; None when it is neither. Its epoch grows by one."""
    times = {"due_by": due_by, "now": now, "until": lease_until}
    row = connection.execute(_CLAIM, {"batch": batch_id, "by": worker, **times}).one_or_none()
    return None if row is None else _batch(row)


def renew(connection: sa.Connection, batch: Batch, lease_until: datetime) -> bool:
    """Prolong the lease; False when another worker has taken the batch over. Locks the row until the commit."""
    renewed = connection.execute(_RENEW, {"batch": batch.id, "held": batch.epoch, "until": lease_until})
    return renewed.rowcount == 1


def put_off(connection: sa.Connection, batch: Batch, until: datetime, *, reason: str, rule: str) -> None:
    """Let the batch wait as a whole, in the transaction that claimed it: the claim counts as none.

    For the relay it is a batch that was never rung for. Its messages are not written to, and cost nothing.
    """
    values = {"batch": batch.id, "held": batch.epoch, "until": until, "why": reason, "by_rule": rule}
    connection.execute(_PUT_OFF, values)


def bring_forward(connection: sa.Connection, reason: str, now: datetime) -> int:
    """What was put off for this reason, as a whole or one by one, need not wait longer; returns how many batches."""
    held = (messages.c.state == MessageState.QUEUED, messages.c.reason == reason)
    # looked up for each: for EXISTS, PostgreSQL may read the whole table
    any_held = sa.select(sa.true()).where(messages.c.batch_id == batches.c.id, *held).limit(1)
    whose = sa.or_(batches.c.reason == reason, any_held.correlate(batches).scalar_subquery().is_not(None))
    theirs = (batches.c.state == BatchState.READY, batches.c.due_at > now, whose)
    moved = connection.scalars(sa.update(batches).where(*theirs).values(due_at=now).returning(batches.c.id)).all()
    if moved:
        within = any_of(connection, messages.c.batch_id, moved)
        connection.execute(sa.update(messages).where(within, messages.c.due_at > now, *held).values(due_at=now))
    return len(moved)


def waiting(connection: sa.Connection, batch_id: UUID) -> tuple[datetime, str, str | None] | None:
    """Until when, and why, this batch waits as a whole; None when it does not."""
    row = connection.execute(
        sa.select(batches.c.due_at, batches.c.reason, batches.c.rule).where(
            batches.c.id == batch_id, batches.c.state == BatchState.READY, batches.c.reason.is_not(None)
        )
    ).one_or_none()
    return None if row is None else (row.due_at, row.reason, row.rule)


def finish(connection: sa.Connection, batch: Batch, now: datetime) -> bool:
    """Close the batch; False when another worker has taken it over."""
    done = connection.execute(_FINISH, {"batch": batch.id, "held": batch.epoch, "now": now})
    return done.rowcount == 1


def due(connection: sa.Connection, now: datetime, *, unclaimed_since: datetime, limit: int) -> list[Batch]:
    """Batches to ring for: due and never rung for, rung for before `unclaimed_since`, or with a lease that ran out.

    Of the first kind no more than a window for each tenant and queue stands rung for; tenants take turns. They are
    stamped as published now, and locked against another relay.
    """
    ready = sa.and_(batches.c.state == BatchState.READY, batches.c.due_at <= now)
    unclaimed = sa.and_(ready, batches.c.published_at < unclaimed_since)
    abandoned = sa.and_(
        batches.c.state == BatchState.LEASED,
        batches.c.lease_until < now,
        sa.or_(
            batches.c.published_at.is_(None),
            batches.c.published_at < batches.c.lease_until,
            batches.c.published_at < unclaimed_since,
        ),
    )
    fair = batches.c.id.in_(window.fairly(ready, unclaimed_since, limit))
    found: list[Batch] = []
    for wanted, order in ((fair, batches.c.due_at), (unclaimed, batches.c.due_at), (abandoned, batches.c.lease_until)):
        chosen = sa.select(*_FIELDS).where(wanted).order_by(order).limit(limit).with_for_update(skip_locked=True)
        rows = [_batch(row) for row in connection.execute(chosen)]
        found += window.in_turns(rows) if wanted is fair else rows
    mark_published(connection, found, now)
    return found


def overdue(connection: sa.Connection, now: datetime, *, limit: int) -> list[Batch]:
    """Batches that no worker holds, and whose earliest deadline has passed; locked against whoever would claim them."""
    waiting = (batches.c.state == BatchState.READY, batches.c.expires_at <= now)
    chosen = sa.select(*_FIELDS).where(*waiting).order_by(batches.c.due_at).limit(limit)
    return [_batch(row) for row in connection.execute(chosen.with_for_update(skip_locked=True))]


def mark_published(connection: sa.Connection, rows: Sequence[Batch], at: datetime | None) -> None:
    """Note when these were rung for; None: they were not."""
    if rows:
        connection.execute(
            sa.update(batches).where(any_of(connection, batches.c.id, [row.id for row in rows])).values(published_at=at)
        )


def oldest_due(connection: sa.Connection) -> datetime | None:
    """When the batch that waits longest was due; None when nothing is under way."""
    moments = [
        connection.scalar(sa.select(sa.func.min(batches.c.due_at)).where(batches.c.state == state))
        for state in (BatchState.READY, BatchState.LEASED)
    ]
    return min((moment for moment in moments if moment is not None), default=None)


def unattended(connection: sa.Connection, now: datetime) -> dict[str, datetime]:
    """For each queue in which work waits though no worker holds any of it, since when the oldest does.

    Work waits in batches that are due, and in those whose lease ran out.
    """
    queue = (batches.c.channel, batches.c.lane)
    leased = batches.c.state == BatchState.LEASED
    held = connection.execute(sa.select(*queue).where(leased, batches.c.lease_until > now).distinct())
    attended = {(row.channel, row.lane) for row in held}
    oldest: dict[str, datetime] = {}
    for moment, wanted in (
        (batches.c.due_at, batches.c.state == BatchState.READY),
        (batches.c.lease_until, sa.and_(leased, batches.c.lease_until <= now)),
    ):
        for row in connection.execute(
            sa.select(*queue, sa.func.min(moment).label("at")).where(wanted).group_by(*queue)
        ):
            if (row.channel, row.lane) not in attended:
                name = f"{row.channel}.{row.lane}"
                oldest[name] = min(row.at, oldest.get(name, row.at))
    return oldest


def _batch(row: Any) -> Batch:
    return Batch(
        id=row.id,
        tenant_id=row.tenant_id,
        channel=Channel(row.channel),
        lane=Lane(row.lane),
        due_at=row.due_at,
        state=BatchState(row.state),
        epoch=row.epoch,
        size=row.size,
        expires_at=row.expires_at,
        as_was=row.as_was,
    )
