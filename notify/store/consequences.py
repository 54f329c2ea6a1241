"""What followed from events, and the soft bounces of addresses as they weigh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import Channel, Consequence, Effect, EventType
from notify.store.ageing import first_id
from notify.store.dialect import upsert
from notify.store.owners import Owner
from notify.store.tables import consequences, events, recipients, soft_bounces

_FIELDS = tuple(consequences.c[name] for name in ("event_id", "effect", "at", "scope", "until", "detail"))


@dataclass(frozen=True, slots=True)
class Caused:
    """What followed, and the event that was its cause. Of one that is kept no longer, only the consequence is known."""

    consequence: Consequence
    message_id: UUID | None
    event: EventType | None = None
    bounce: str | None = None
    provider: str | None = None
    status: str | None = None
    diagnostic: str | None = None

    @property
    def cause(self) -> str:
        """The cause in words."""
        if self.event is None:
            return "an event that is kept no longer"
        told = (self.provider, self.bounce, self.event, self.status, self.diagnostic)
        return " ".join(part for part in told if part)

    def as_json(self) -> dict[str, Any]:
        """What operators are shown, as JSON values."""
        one = self.consequence
        return {
            "at": one.at.isoformat(),
            "effect": one.effect,
            "scope": one.scope,
            "until": one.until.isoformat() if one.until else None,
            "detail": one.detail,
            "event": str(one.event_id),
            "message": str(self.message_id) if self.message_id else None,
            "cause": self.cause,
        }


def insert(connection: sa.Connection, rows: Sequence[tuple[Owner, Consequence]]) -> None:
    """Note what followed for the addresses of these messages."""
    if rows:
        connection.execute(
            sa.insert(consequences),
            [
                {
                    "id": uuid7(),
                    "tenant_id": owner.tenant_id,
                    "event_id": one.event_id,
                    "message_id": owner.id,
                    "recipient_id": owner.recipient_id,
                    "channel": owner.channel,
                    "address": owner.address,
                    "effect": one.effect,
                    "scope": one.scope,
                    "until": one.until,
                    "detail": one.detail,
                    "at": one.at,
                }
                for owner, one in rows
            ],
        )


def of_address(
    connection: sa.Connection, tenant_id: UUID, channel: Channel, folded: str, *, limit: int = 20
) -> list[Caused]:
    """What followed for this folded address, the latest first."""
    mine = (
        consequences.c.tenant_id == tenant_id,
        consequences.c.channel == channel,
        consequences.c.address == folded,
    )
    return _caused(connection, _CAUSED.where(*mine).order_by(consequences.c.id.desc()).limit(limit))


def of_message(connection: sa.Connection, message_id: UUID) -> list[Caused]:
    """What followed from the events of this message, the first first."""
    return _caused(connection, _CAUSED.where(consequences.c.message_id == message_id).order_by(consequences.c.id))


def suppressed_by(connection: sa.Connection, provider: str, since: datetime, limit: int) -> tuple[int, list[str]]:
    """How many addresses this provider's events suppressed since then, and the keys of some whose they are."""
    caused = consequences.join(events, events.c.id == consequences.c.event_id)
    wanted = (
        consequences.c.id >= first_id(since),
        consequences.c.effect == Effect.SUPPRESSED,
        events.c.provider == provider,
        events.c.received_at >= since,
    )
    count = connection.scalar(sa.select(sa.func.count()).select_from(caused).where(*wanted)) or 0
    if not count:
        return 0, []
    whose = caused.join(recipients, recipients.c.id == consequences.c.recipient_id)
    keys = sa.select(recipients.c.key).select_from(whose).where(*wanted).distinct().order_by(recipients.c.key)
    return count, list(connection.scalars(keys.limit(limit)))


def counted(connection: sa.Connection, message_id: UUID) -> bool:
    """Whether a soft bounce of this message was counted: one may be told by a webhook and by a mailbox."""
    said = sa.or_(consequences.c.effect == Effect.SCORED, consequences.c.until.is_not(None))
    first = sa.select(consequences.c.id).where(consequences.c.message_id == message_id, said).limit(1)
    return connection.scalar(first) is not None


def score(connection: sa.Connection, owner: Owner) -> tuple[float, datetime] | None:
    """The soft bounces of this message's address as they weighed at a moment, locked; None when there are none."""
    chosen = sa.select(soft_bounces.c.score, soft_bounces.c.at).where(*_of(owner))
    row = connection.execute(chosen.with_for_update()).one_or_none()
    return None if row is None else (row.score, row.at)


def first_score(connection: sa.Connection, owner: Owner, value: float, at: datetime) -> bool:
    """Store the first; False when somebody was quicker."""
    place = {"tenant_id": owner.tenant_id, "channel": owner.channel, "address": owner.address}
    row = {"id": uuid7(), **place, "score": value, "at": at}
    adding = upsert(connection, soft_bounces).values(row).on_conflict_do_nothing().returning(soft_bounces.c.id)
    return connection.execute(adding).first() is not None


def set_score(connection: sa.Connection, owner: Owner, value: float, at: datetime) -> None:
    """Store another in the place of the one that was locked."""
    connection.execute(sa.update(soft_bounces).where(*_of(owner)).values(score=value, at=at))


def _of(owner: Owner) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        soft_bounces.c.tenant_id == owner.tenant_id,
        soft_bounces.c.channel == owner.channel,
        soft_bounces.c.address == owner.address,
    )


_CAUSED = sa.select(
    *_FIELDS,
    consequences.c.message_id,
    *(events.c[name] for name in ("type", "bounce", "provider", "status", "diagnostic")),
).outerjoin(events, events.c.id == consequences.c.event_id)


def _caused(connection: sa.Connection, chosen: sa.Select[tuple[object, ...]]) -> list[Caused]:
    return [
        Caused(
            Consequence(row.event_id, Effect(row.effect), row.at, row.scope, row.until, row.detail),
            row.message_id,
            EventType(row.type) if row.type else None,
            row.bounce,
            row.provider,
            row.status,
            row.diagnostic,
        )
        for row in connection.execute(chosen)
    ]
