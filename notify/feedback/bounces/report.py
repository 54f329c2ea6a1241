"""What a mail that came back says, in words that do not depend on who wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a mail is, of all that comes to a return path."""

    BOUNCE = "bounce"  # at least one recipient failed
    DELAY = "delay"  # still being tried; nobody failed
    COMPLAINT = "complaint"
    AUTO_REPLY = "auto_reply"
    DELIVERED = "delivered"  # a report that says it arrived
    READ_RECEIPT = "read_receipt"
    CHALLENGE = "challenge"  # asks the sender to prove that it is human
    OTHER = "other"  # ordinary mail, and whatever cannot be read


class Verdict(StrEnum):
    """What a report means for one recipient."""

    HARD = "hard"  # the address is dead
    SOFT = "soft"  # it may work tomorrow
    BLOCK = "block"  # about the sender: policy, reputation, authentication, spam
    CONTENT = "content"  # about the message: size, virus, format
    DELAYED = "delayed"
    OTHER = "other"  # delivered, or nobody can tell why it failed


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient of a report.

    `address` is the one that was mailed, where the report tells (Original-Recipient), else the one that failed.
    `status` is an enhanced status code (RFC 3463), `diagnostic` what the refusing server said, in one line of 500
    characters at most.
    """

    address: str
    verdict: Verdict
    status: str | None = None
    diagnostic: str | None = None
    final_address: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What one mail says. `original_message_id` is the returned mail's Message-ID with its angle brackets."""

    kind: Kind
    recipients: tuple[Recipient, ...] = ()
    original_message_id: str | None = None
    feedback_type: str | None = None  # of a complaint: abuse, fraud, opt-out … (RFC 5965 §3.1)
