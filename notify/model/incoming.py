"""Mails that came back: what each is, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class IncomingKind(StrEnum):
    """What a mail is, once it is known whether it answers one of ours."""

    BOUNCE = "bounce"
    DELAY = "delay"
    COMPLAINT = "complaint"
    AUTO_REPLY = "auto_reply"
    DELIVERED = "delivered"
    READ_RECEIPT = "read_receipt"
    CHALLENGE = "challenge"
    REPLY = "reply"  # a person answers a mail of ours
    OTHER = "other"
    REJECTED = "rejected"  # not read at all


class IncomingState(StrEnum):
    """Where a mail stands."""

    MATCHED = "matched"  # its message is known, and what it says was recorded
    UNMATCHED = "unmatched"  # it reports of a message that nobody knows: an operator decides
    RESOLVED = "resolved"  # an operator did
    REJECTED = "rejected"  # forged, too large, unreadable: nothing follows
    IGNORED = "ignored"  # no business of ours


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a mailbox was read: every mail up to this UID, under this UIDVALIDITY (RFC 9051 §2.3.1.1).

    `settled`: they are also marked or moved, if they are to be.
    """

    uid_validity: int
    last_uid: int
    settled: bool = True
