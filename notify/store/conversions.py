"""What recipients did that mails were sent for: each recorded once, and of the last click before it.

Which click that is, is asked when it is shown: a click may come late, and may turn out to have been a machine's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import EventType
from notify.store.dialect import upsert
from notify.store.tables import conversions, events, messages, notifications, recipients


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a recipient did, and when. It belongs to their last click between `clicked_since` and `at`."""

    id: UUID
    recipient_id: UUID
    name: str
    key: str
    value: float | None
    at: datetime
    clicked_since: datetime


@dataclass(frozen=True, slots=True)
class Attributed:
    """A conversion with its recipient's key, and the message that led to it, if one did."""

    conversion: Conversion
    recipient: str
    message_id: UUID | None
    kind: str | None
    link_id: str | None
    clicked_at: datetime | None


def add(connection: sa.Connection, tenant_id: UUID, one: Conversion, now: datetime) -> Conversion:
    """Record this one; returns it, or the one that was recorded under its key before."""
    row = {name: getattr(one, name) for name in Conversion.__dataclass_fields__}
    adding = upsert(connection, conversions).on_conflict_do_nothing(index_elements=["tenant_id", "key"])
    connection.execute(adding, {**row, "tenant_id": tenant_id, "recorded_at": now})
    mine = (conversions.c.tenant_id == tenant_id, conversions.c.key == one.key)
    return _conversion(connection.execute(sa.select(conversions).where(*mine)).one())


def listing(
    connection: sa.Connection,
    tenant_id: UUID,
    *,
    name: str | None = None,
    kind: str | None = None,
    since: datetime | None = None,
    limit: int,
) -> list[Attributed]:
    """The latest first; with `kind`, only those that mails of this kind led to."""
    link = events.c.detail["link"].as_string().label("link")
    led = (recipients.c.key.label("recipient"), events.c.message_id, events.c.at.label("clicked_at"), link)
    where = [conversions.c.tenant_id == tenant_id]
    where += [conversions.c.name == name] if name is not None else []
    where += [notifications.c.kind == kind] if kind is not None else []
    where += [conversions.c.at >= since] if since is not None else []
    rows: Sequence[Any] = connection.execute(
        sa.select(conversions, *led, notifications.c.kind)
        .join(recipients, recipients.c.id == conversions.c.recipient_id)
        .outerjoin(events, events.c.id == _last_click())
        .outerjoin(messages, messages.c.id == events.c.message_id)
        .outerjoin(notifications, notifications.c.id == messages.c.notification_id)
        .where(*where)
        .order_by(conversions.c.at.desc(), conversions.c.id.desc())
        .limit(limit)
    ).all()
    return [
        Attributed(_conversion(row), row.recipient, row.message_id, row.kind, row.link, row.clicked_at) for row in rows
    ]


def _last_click() -> sa.ScalarSelect[UUID]:
    """The last click of a conversion's recipient before it, by a person."""
    clicked = events.alias("clicked")
    return (
        sa.select(clicked.c.id)
        .where(
            clicked.c.recipient_id == conversions.c.recipient_id,
            clicked.c.type == EventType.CLICKED,
            sa.not_(clicked.c.bot),
            clicked.c.at.between(conversions.c.clicked_since, conversions.c.at),
        )
        .order_by(clicked.c.at.desc(), clicked.c.id.desc())
        .limit(1)
        .correlate(conversions)
        .scalar_subquery()
    )


def _conversion(row: Any) -> Conversion:
    return Conversion(**{name: getattr(row, name) for name in Conversion.__dataclass_fields__})
