"""What came back of a message: one closed vocabulary, whoever told."""

from __future__ import annotations

from enum import StrEnum


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
