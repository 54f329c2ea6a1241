"""Fan-outs: who plans one holds its row's lock, so that no slice is planned twice and none waits for a dead planner.

The lock is the lease. A planner that dies loses it with its connection, together with all that its slice had written.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import Channel, FanOut, FanOutState, Local, Mode, Notification
from notify.store import segments
from notify.store.dialect import any_of
from notify.store.segments import Asked
from notify.store.tables import fan_outs, notifications, recipients

_FIELDS = (
    notifications.c.id,
    notifications.c.tenant_id,
    notifications.c.kind,
    notifications.c.mode,
    notifications.c.created_at,
    notifications.c.at,
    notifications.c.at_local,
    notifications.c.expires_at,
    fan_outs.c.channels,
    fan_outs.c.tags,
    fan_outs.c.segment,
    fan_outs.c.cursor,
    fan_outs.c.recipients,
    fan_outs.c.messages,
    fan_outs.c.updated_at,
)
_UNDER_WAY = fan_outs.c.state == FanOutState.PLANNING


def insert(
    connection: sa.Connection,
    notification: Notification,
    channels: Sequence[Channel],
    tags: Sequence[str],
    segment: str | None = None,
) -> None:
    """Note that this notification, just stored, goes to everyone, to those with any of the tags, or to a segment.

    `segment` is an expression: what is saved under its name may change while the planning goes on.
    """
    now = notification.created_at
    row = {"notification_id": notification.id, "tenant_id": notification.tenant_id, "state": FanOutState.PLANNING}
    counted = {"cursor": "", "recipients": 0, "messages": 0, "created_at": now, "updated_at": now}
    to = {"channels": list(channels), "tags": list(tags), "segment": segment}
    connection.execute(sa.insert(fan_outs), {**row, **counted, **to})


def take(connection: sa.Connection, passed_over: Collection[UUID] = ()) -> FanOut | None:
    """The fan-out that nobody plans and that waits longest, for this transaction alone; None when there is none."""
    chosen = _chosen().with_for_update(of=fan_outs, skip_locked=True).limit(1)
    if passed_over:
        chosen = chosen.where(sa.not_(any_of(connection, fan_outs.c.notification_id, list(passed_over))))
    row = connection.execute(chosen).one_or_none()
    return None if row is None else _fan_out(row)


def advance(connection: sa.Connection, fan_out: FanOut, state: FanOutState, at: datetime) -> None:
    """Write down how far it has come. Only who has taken it may do so. Of what is done, the segment is forgotten."""
    connection.execute(
        sa.update(fan_outs)
        .where(fan_outs.c.notification_id == fan_out.notification.id)
        .values(
            state=state,
            cursor=fan_out.cursor,
            recipients=fan_out.recipients,
            messages=fan_out.messages,
            segment=fan_out.segment if state is FanOutState.PLANNING else None,  # it may name people
            updated_at=at,
        )
    )


def cancel(connection: sa.Connection, notification_id: UUID, at: datetime) -> bool:
    """Plan nobody further; False when nothing was under way. Waits for the slice in hand."""
    stopped = connection.execute(
        sa.update(fan_outs)
        .where(fan_outs.c.notification_id == notification_id, _UNDER_WAY)
        .values(state=FanOutState.CANCELLED, segment=None, updated_at=at)
    )
    return stopped.rowcount == 1


def under_way(connection: sa.Connection) -> list[tuple[FanOut, datetime]]:
    """Every fan-out that is being planned, and when its last slice was stored; the one that waits longest first."""
    return [(_fan_out(row), row.updated_at) for row in connection.execute(_chosen())]


@dataclass(frozen=True, slots=True)
class Slice:
    """The recipients after the fan-out's cursor, up to and with the one whose key is `until`.

    `size` of them, before tags or a segment are asked for; `last` says that none follows. `chosen` are the ids of those
    in the fan-out's segment, if it has one: asked once, so that all channels see the same.
    """

    until: str
    size: int
    last: bool
    chosen: Sequence[UUID] | None = None


def cut(connection: sa.Connection, fan_out: FanOut, size: int, segment: Asked | None = None) -> Slice:
    """The next slice of at most `size` recipients: read from the index of keys, and no further."""
    tenant = recipients.c.tenant_id == fan_out.notification.tenant_id
    alive = recipients.c.erased_at.is_(None)  # whose key was renamed, and may lie ahead once more
    keys = sa.select(recipients.c.key).where(tenant, alive, recipients.c.key > fan_out.cursor)
    part = keys.order_by(recipients.c.key).limit(size).subquery()
    until, found = connection.execute(sa.select(sa.func.max(part.c.key), sa.func.count()).select_from(part)).one()
    cursor = until or fan_out.cursor
    chosen = segments.within(connection, segment, after=fan_out.cursor, until=cursor) if segment else None
    return Slice(cursor, found, last=found < size, chosen=chosen)


def _chosen() -> sa.Select[Any]:
    joined = sa.select(*_FIELDS).join(notifications, notifications.c.id == fan_outs.c.notification_id)
    return joined.where(_UNDER_WAY).order_by(fan_outs.c.updated_at)


def _fan_out(row: Any) -> FanOut:
    return FanOut(
        notification=Notification(
            row.id, row.tenant_id, row.kind, Mode(row.mode), row.created_at, expires_at=row.expires_at
        ),
        channels=tuple(Channel(channel) for channel in row.channels),
        tags=tuple(row.tags),
        segment=row.segment,
        at=Local.parse(row.at_local, since=row.created_at) if row.at_local else row.at,
        cursor=row.cursor,
        recipients=row.recipients,
        messages=row.messages,
    )
