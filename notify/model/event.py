"""What came back of a message: one closed vocabulary, whoever told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

MAIL = "mail"
"""The provider of what mails tell: a mailbox, or a listener."""
OF_ATTEMPT = "attempt:"
"""So begins our own name of what was told by a refusal at the hand-over."""


class EventType(StrEnum):
    """What happened."""

    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    OPENED = "opened"
    CLICKED = "clicked"
    UNSUBSCRIBED = "unsubscribed"
    REPLIED = "replied"
    AUTO_REPLIED = "auto_replied"
    READ = "read"


class BounceClass(StrEnum):
    """Whose fault a bounce is."""

    HARD = "hard"  # the address is dead
    SOFT = "soft"  # full, greylisted, timed out: it may work tomorrow
    BLOCK = "block"  # policy, reputation, authentication, spam: about the sender
    CONTENT = "content"  # size, virus, format: about the message
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that came back, as whoever told said it; what is not known is None."""

    type: EventType
    at: datetime
    provider: str
    provider_event_id: str
    message_id: UUID | None = None  # ours: from the idempotency key, a tag, a VERP token, our Message-ID
    header_id: str | None = None  # the Message-ID header, <…@…>
    provider_message_id: str | None = None  # what the provider answered when it took it (attempts.provider_id)
    address: str | None = None
    bounce: BounceClass | None = None
    status: str | None = None  # enhanced status, RFC 3463
    diagnostic: str | None = None
    bot: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)


class Effect(StrEnum):
    """What followed from an event for the address that it tells of."""

    SUPPRESSED = "suppressed"
    SCORED = "scored"  # a soft bounce was counted
    UNSUBSCRIBED = "unsubscribed"  # as if they had used the link of the mail
    STOOD = "stood"  # what would have followed stood already, or something stronger


@dataclass(frozen=True, slots=True)
class Consequence:
    """What followed from an event, with its cause. `detail` is in words."""

    event_id: UUID
    effect: Effect
    at: datetime
    scope: str | None = None
    until: datetime | None = None
    detail: str | None = None
