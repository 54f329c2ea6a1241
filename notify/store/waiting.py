"""Messages that wait for another try, or for somebody who decides about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import Batch, BatchState, Channel, Filter, Lane, MessageState, Outcome
from notify.store import batches as batch_rows
from notify.store.dialect import any_of
from notify.store.messages import QUIET, REPLAYED, SCHEDULED
from notify.store.tables import attempts, batches, messages, notifications, recipients
from notify.store.work import Part, note_deadlines


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued message that was tried or put off, or one in doubt; `since` is the time of its last change."""

    id: UUID
    notification_id: UUID
    kind: str
    recipient: str
    address: str | None
    channel: Channel
    attempts: int
    reason: str | None
    rule: str | None
    due_at: datetime
    since: datetime
    provider: str | None
    lane: Lane | None = None
    as_was: bool = False

    def as_json(self) -> dict[str, Any]:
        """What operators are shown, as JSON values."""
        return {
            "message": str(self.id),
            "notification": str(self.notification_id),
            "kind": self.kind,
            "channel": self.channel,
            "recipient": self.recipient,
            "address": self.address,
            "attempts": self.attempts,
            "reason": self.reason,
            "rule": self.rule,
            "provider": self.provider,
            "due_at": self.due_at.isoformat(),
            "since": self.since.isoformat(),
        }


def retries(
    connection: sa.Connection,
    tenant_id: UUID,
    wanted: Filter,
    *,
    after: UUID | None = None,
    limit: int,
    lock: bool = False,
) -> list[Waiting]:
    """Messages that wait for another try, in the order of their ids; locked against whoever would claim them.

    Found by the batches that are not done: in those all waiting messages are, and they are few beside all messages.
    """
    chosen = _RETRIES.where(*_retries(tenant_id, wanted, connection), *_after(after))
    if lock:
        chosen = chosen.with_for_update(of=messages)
    return [_waiting(row) for row in connection.execute(chosen.order_by(messages.c.id).limit(limit))]


def count_retries(connection: sa.Connection, tenant_id: UUID, wanted: Filter) -> int:
    """How many messages wait for another try."""
    joined = messages.join(_OPEN, _OPEN.c.id == messages.c.batch_id)
    joined = joined.join(notifications, notifications.c.id == messages.c.notification_id)
    counted = sa.select(sa.func.count()).select_from(joined).where(*_retries(tenant_id, wanted, connection))
    return connection.scalar(counted) or 0


def doubts(
    connection: sa.Connection, tenant_id: UUID, wanted: Filter, *, limit: int | None = None, lock: bool = False
) -> list[Waiting]:
    """Messages in doubt that are held until somebody decides, in the order of their ids."""
    held = (messages.c.tenant_id == tenant_id, messages.c.state == MessageState.IN_DOUBT)
    chosen = _DOUBTS.where(*held, *_common(wanted, connection)).order_by(messages.c.id)
    if wanted.reason:
        chosen = chosen.where(messages.c.reason == wanted.reason)
    if limit is not None:
        chosen = chosen.limit(limit)
    if lock:
        chosen = chosen.with_for_update(of=messages)
    return [_waiting(row) for row in connection.execute(chosen)]


def move_to(
    connection: sa.Connection, parts: Sequence[Part], at: datetime, *, why: tuple[str, str] | None = None
) -> tuple[int, list[Batch]]:
    """Move these waiting messages to new batches, due when they are; `why` is the reason and the rule to wait for it.

    Returns how many still waited, and the batches to ring for.
    """
    new = [batch for batch, _ in parts]
    rung = batch_rows.insert(connection, new, at)
    told = dict(zip(("reason", "rule"), why, strict=True)) if why else {}
    moved = sum(
        connection.execute(
            sa.update(messages)
            .where(any_of(connection, messages.c.id, ids), messages.c.state == MessageState.QUEUED)
            .values(batch_id=batch.id, due_at=batch.due_at, updated_at=at, **told)
        ).rowcount
        for batch, ids in parts
    )
    note_deadlines(connection, new)
    return moved, rung


_OPEN = sa.union_all(  # asked apart, for each state has an index of its own
    *(
        sa.select(*(batches.c[name] for name in ("id", "lane", "reason", "rule", "due_at", "as_was"))).where(
            batches.c.state == one
        )
        for one in (BatchState.READY, BatchState.LEASED)
    )
).subquery("batch")
_OTHERS = (SCHEDULED, QUIET, REPLAYED)
_FIELDS = (
    *(messages.c[name] for name in ("id", "notification_id", "address", "channel", "attempts")),
    messages.c.updated_at.label("since"),
    notifications.c.kind,
    recipients.c.key.label("recipient"),
)
_LAST_PROVIDER = (
    sa.select(attempts.c.provider)
    .where(attempts.c.message_id == messages.c.id, attempts.c.outcome != Outcome.ACCEPTED)
    .order_by(attempts.c.at.desc())
    .limit(1)
    .scalar_subquery()
    .label("provider")
)
_PEOPLE = sa.join(messages, notifications, notifications.c.id == messages.c.notification_id).join(
    recipients, recipients.c.id == messages.c.recipient_id
)
_RETRIES = sa.select(
    *_FIELDS,
    sa.func.coalesce(_OPEN.c.reason, messages.c.reason).label("reason"),
    sa.func.coalesce(_OPEN.c.rule, messages.c.rule).label("rule"),
    sa.case((_OPEN.c.due_at > messages.c.due_at, _OPEN.c.due_at), else_=messages.c.due_at).label("due_at"),
    _OPEN.c.lane,
    _OPEN.c.as_was,
    _LAST_PROVIDER,
).select_from(_PEOPLE.join(_OPEN, _OPEN.c.id == messages.c.batch_id))
_DOUBTS = sa.select(
    *_FIELDS,
    *(messages.c[name] for name in ("reason", "rule", "due_at")),
    sa.func.coalesce(batches.c.as_was, sa.false()).label("as_was"),
    _LAST_PROVIDER,
).select_from(_PEOPLE.outerjoin(batches, batches.c.id == messages.c.batch_id))


def _retries(tenant_id: UUID, wanted: Filter, connection: sa.Connection) -> list[sa.ColumnElement[bool]]:
    waits = sa.or_(
        messages.c.attempts > messages.c.forgiven,
        sa.and_(messages.c.reason.is_not(None), messages.c.reason.not_in(_OTHERS)),
        _OPEN.c.reason.is_not(None),
    )
    found = [
        messages.c.tenant_id == tenant_id,
        messages.c.state == MessageState.QUEUED,
        waits,
        *_common(wanted, connection),
    ]
    if wanted.reason:
        found.append(sa.func.coalesce(_OPEN.c.reason, messages.c.reason) == wanted.reason)
    return found


def _common(wanted: Filter, connection: sa.Connection) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.ids:
        found.append(any_of(connection, messages.c.id, list(wanted.ids)))
    if wanted.kind:
        found.append(notifications.c.kind == wanted.kind)
    if wanted.channel:
        found.append(messages.c.channel == wanted.channel)
    if wanted.notification_id:
        found.append(messages.c.notification_id == wanted.notification_id)
    return found


def _after(last: UUID | None) -> list[sa.ColumnElement[bool]]:
    return [] if last is None else [messages.c.id > last]


def _waiting(row: Any) -> Waiting:
    found = dict(row._mapping)
    lane = found.get("lane")
    return Waiting(**{**found, "channel": Channel(row.channel), "lane": Lane(lane) if lane else None})
