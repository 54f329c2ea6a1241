"""What came back of messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from notify.model import BounceClass, EventType
from notify.store.tables import events


@dataclass(frozen=True, slots=True)
class Happened:
    """One event: what, when, who told of it, and for a bounce whose fault it was."""

    type: EventType
    at: datetime
    provider: str
    bounce: BounceClass | None
    status: str | None
    diagnostic: str | None
    bot: bool


def of_message(connection: sa.Connection, message_id: UUID) -> list[Happened]:
    """What happened to this message after its hand-over, in the order of time."""
    fields = (events.c[name] for name in ("type", "at", "provider", "bounce", "status", "diagnostic", "bot"))
    rows = connection.execute(
        sa.select(*fields).where(events.c.message_id == message_id).order_by(events.c.at, events.c.id)
    )
    return [
        Happened(EventType(type_), at, provider, BounceClass(bounce) if bounce else None, status, diagnostic, bool(bot))
        for type_, at, provider, bounce, status, diagnostic, bot in rows
    ]
