"""A kind's facts: what `kind.toml` declares, without its templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from notify.rates import Rate


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


class OnQuiet(StrEnum):
    """What becomes of a message that is due in its recipient's quiet hours."""

    HOLD = "hold"  # it goes out when they end
    DROP = "drop"  # it is skipped
    SEND = "send"  # it goes out all the same; so does what is critical


@dataclass(frozen=True, slots=True)
class Retry:
    """What a kind says of its retries; what is None follows the settings."""

    attempts: int | None = None
    base: timedelta | None = None
    cap: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Tracking:
    """What is noted of a kind's mails once they are read: nothing, unless it says so."""

    opens: bool = False
    clicks: bool = False

    def __bool__(self) -> bool:
        return self.opens or self.clicks


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
    retry: Mapping[Channel, Retry] = field(default_factory=dict)
    expires: timedelta | None = None  # after the time it was meant to go out, it is worthless
    recipient_rate: Rate | None = None  # to one recipient; more are delayed
    required: bool = False  # no preference and no pause holds it back: a password reset, an invoice
    transactional: bool = False  # of something the recipient did: needs no footer and no unsubscribe link
    consent: bool = False  # only to those who agreed to its category
    onboarding: bool = False  # goes to unverified addresses, too
    quiet: OnQuiet = OnQuiet.HOLD
    read_receipts: bool = False  # its mails ask to be told when they are shown (RFC 8098)
    keep_replies: bool | None = None  # whether the words of replies to its mails are kept; None: as the settings say
    tracking: Tracking = Tracking()
