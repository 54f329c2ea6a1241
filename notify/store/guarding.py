"""What the reputation guard counts and holds: bad events first, for they are few; what was sent where it matters."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import (
    OF_ATTEMPT,
    BounceClass,
    EventType,
    FanOutState,
    Hold,
    HoldScope,
    Lane,
    Measure,
    MessageState,
    Outcome,
)
from notify.store.ageing import first_id
from notify.store.dialect import any_of, upsert
from notify.store.tables import attempts, batches, events, fan_outs, guard_holds, messages, notifications
from notify.store.tables.sending import COUNTED
from notify.store.tenants import DEFAULT_ID

MOST = 100_000
AT_HAND_OVER = events.c.provider_event_id.startswith(OF_ATTEMPT, autoescape=True)
AHEAD = timedelta(days=7)
"""What was planned longer than this before it went out counts for its mailout alone: no index tells of it."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A bounce or a complaint, and the message it is of, sent at `at`. `domain` is the receiving one.

    What was `refused` at the hand-over was not sent: then `at` is when that was told.
    """

    type: EventType
    bounce: BounceClass | None
    message_id: UUID
    notification_id: UUID
    tenant_id: UUID
    domain: str | None
    provider: str | None
    at: datetime
    refused: bool


def bad(connection: sa.Connection, since: datetime, classes: Collection[BounceClass]) -> list[Bad]:
    """The bounces of these classes and the complaints, of what was sent or refused since then, the first first.

    What was sent earlier is left out, for it is not counted as sent either; and what was refused at the hand-over, once
    a replay has sent it after all. Of very many the latest are taken.
    """
    by = (
        sa.select(attempts.c.provider)
        .where(attempts.c.message_id == messages.c.id)
        .order_by(attempts.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    fields = (messages.c.id, messages.c.notification_id, messages.c.tenant_id, messages.c.address)
    rows = connection.execute(
        sa.select(events.c.type, events.c.bounce, *fields, by.label("by"), messages.c.sent_at, events.c.received_at)
        .join(messages, messages.c.id == events.c.message_id)
        .where(
            events.c.received_at >= since,
            COUNTED,
            sa.or_(events.c.type == EventType.COMPLAINED, events.c.bounce.in_(sorted(classes))),
            sa.or_(messages.c.sent_at > since, messages.c.sent_at.is_(None)),
            sa.or_(messages.c.sent_at.is_(None), sa.not_(AT_HAND_OVER)),
        )
        .order_by(events.c.received_at.desc(), events.c.id.desc())
        .limit(MOST)
    ).all()
    return [
        Bad(
            EventType(type_),
            BounceClass(bounce) if bounce else None,
            id_,
            notification_id,
            tenant_id,
            address.rpartition("@")[2].lower() if address else None,
            provider,
            sent_at or received_at,
            sent_at is None,
        )
        for type_, bounce, id_, notification_id, tenant_id, address, provider, sent_at, received_at in reversed(rows)
    ]


def counts(one: Bad, scope: HoldScope, since: datetime) -> bool:
    """Whether it counts against what `sent` counts since then."""
    return one.at > since and (scope is HoldScope.MAILOUT or one.message_id >= first_id(since - AHEAD))


def sent(connection: sa.Connection, scope: HoldScope, subject: str, since: datetime, most: int) -> int:
    """How many messages went out since then, of this mailout, tenant or provider; `most` at most.

    The latest are looked at first.
    """
    of = messages.c
    lately = sa.select(of.id).where(of.sent_at > since, of.id >= first_id(since - AHEAD)).order_by(of.id.desc())
    match scope:
        case HoldScope.MAILOUT:
            found = sa.select(of.id).where(of.notification_id == UUID(subject), of.sent_at > since)
        case HoldScope.TENANT:
            found = lately.where(of.tenant_id == UUID(subject))
        case _:  # a provider: domains are counted together
            by = attempts.c
            found = sa.select(by.message_id).where(by.outcome == Outcome.ACCEPTED, by.provider == subject)
            found = found.where(by.at > since, by.message_id >= first_id(since - AHEAD)).order_by(by.message_id.desc())
    return connection.scalar(sa.select(sa.func.count()).select_from(found.limit(most).subquery())) or 0


def begin_of_slice(connection: sa.Connection, first: UUID, before: UUID, most: int) -> UUID:
    """The id with which the last `most` messages before that one begin, or `first` when there are no more."""
    of = messages.c.id
    backwards = sa.select(of).where(of >= first, of < before).order_by(of.desc())
    return connection.scalar(backwards.offset(most - 1).limit(1)) or first


def sent_to(
    connection: sa.Connection, names: Collection[str], since: datetime, first: UUID, before: UUID
) -> dict[str, int]:
    """How many messages from the first to before the other went out since then, to each of these domains."""
    of, text = messages.c, sa.func
    local = text.length(text.rtrim(of.address, text.replace(of.address, "@", "")))  # up to the last @
    domain = text.lower(text.substr(of.address, local + 1), type_=sa.Text)
    found = sa.select(domain.label("domain"), text.count().label("sent")).where(of.id >= first, of.id < before)
    counted = found.where(of.sent_at > since, of.address.is_not(None)).group_by(domain).subquery()
    these = sa.select(counted.c.domain, counted.c.sent).where(any_of(connection, counted.c.domain, list(names)))
    return {row.domain: row.sent for row in connection.execute(these)}


def waits(connection: sa.Connection, notification_id: UUID) -> bool:
    """Whether anything of this notification is still to go out, on another lane than the critical one."""
    queued = (
        sa.select(messages.c.id)
        .join(batches, batches.c.id == messages.c.batch_id)
        .where(
            messages.c.notification_id == notification_id,
            messages.c.state == MessageState.QUEUED,
            batches.c.lane != Lane.CRITICAL,
        )
        .limit(1)
    )
    planning = sa.select(fan_outs.c.notification_id).where(
        fan_outs.c.notification_id == notification_id, fan_outs.c.state == FanOutState.PLANNING
    )
    return connection.scalar(queued) is not None or connection.scalar(planning) is not None


def hold(connection: sa.Connection, one: Hold) -> bool:
    """Note a rate that is too high; False when it is noted already. A mailout is paused by it."""
    names = ("id", "tenant_id", "scope", "subject", "measure", "bad", "sent", "provider", "began_at")
    adding = upsert(connection, guard_holds).values({name: getattr(one, name) for name in names})
    if connection.execute(adding.on_conflict_do_nothing().returning(guard_holds.c.id)).first() is None:
        return False
    if one.scope is HoldScope.MAILOUT:
        _pause(connection, [UUID(one.subject)], one.words)
    return True


def in_force(connection: sa.Connection, *, lock: bool = False) -> list[Hold]:
    """The holds that nobody has ended, the oldest first."""
    chosen = sa.select(guard_holds).where(guard_holds.c.ended_at.is_(None)).order_by(guard_holds.c.id)
    return [_hold(row) for row in connection.execute(chosen.with_for_update() if lock else chosen)]


def ended_since(connection: sa.Connection, since: datetime) -> dict[tuple[HoldScope, str], datetime]:
    """When holds of a subject were last ended: what came before that counts no more."""
    chosen = sa.select(guard_holds.c.scope, guard_holds.c.subject, sa.func.max(guard_holds.c.ended_at).label("at"))
    chosen = chosen.where(guard_holds.c.ended_at >= since).group_by(guard_holds.c.scope, guard_holds.c.subject)
    return {(HoldScope(row.scope), row.subject): row.at for row in connection.execute(chosen)}


def end(connection: sa.Connection, ended: Collection[Hold], *, actor: str, now: datetime) -> None:
    """End these; their mailouts go on."""
    if not ended:
        return
    those = any_of(connection, guard_holds.c.id, [one.id for one in ended])
    connection.execute(sa.update(guard_holds).where(those).values(ended_at=now, ended_by=actor))
    _pause(connection, [UUID(one.subject) for one in ended if one.scope is HoldScope.MAILOUT], None)


def _pause(connection: sa.Connection, ids: Collection[UUID], words: str | None) -> None:
    if ids:
        these = any_of(connection, notifications.c.id, list(ids))
        connection.execute(sa.update(notifications).where(these).values(paused=words))


def owner_of(bad: Bad, scope: HoldScope) -> UUID:
    """The tenant whose hold it would be: providers and receiving domains are everybody's."""
    return bad.tenant_id if scope in (HoldScope.MAILOUT, HoldScope.TENANT) else DEFAULT_ID


def _hold(row: Any) -> Hold:
    names = ("id", "tenant_id", "subject", "bad", "sent", "provider", "began_at")
    facts = {name: getattr(row, name) for name in names}
    return Hold(scope=HoldScope(row.scope), measure=Measure(row.measure), **facts)
