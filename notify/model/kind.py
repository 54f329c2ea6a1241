"""A kind's facts: what `kind.toml` declares, without its templates."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Channel(StrEnum):
    """A way to reach a person or a system."""

    EMAIL = "email"
    SMS = "sms"
    WEB_PUSH = "web_push"
    IN_APP = "in_app"
    CHAT = "chat"
    WEBHOOK = "webhook"


class Lane(StrEnum):
    """Separate queues, so that a million-recipient mailout never delays a password reset."""

    CRITICAL = "critical"
    NORMAL = "normal"
    BULK = "bulk"


class OnDoubt(StrEnum):
    """What becomes of a message that may or may not have reached its provider."""

    RESEND = "resend"  # at least once: the same Message-ID and provider key go out again
    HOLD = "hold"  # at most once: it waits for feedback or an operator


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of notification.

    `version` is a digest of the folder's files and of what they inherit: two mails with the same
    version were made from the same templates.
    """

    name: str
    title: str
    category: str
    channels: tuple[Channel, ...]
    lane: Lane
    on_doubt: OnDoubt
    critical: bool
    version: str
    unsubscribe: bool = False
