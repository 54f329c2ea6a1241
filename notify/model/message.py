"""One notification × one recipient × one channel: the unit of record, and the states it may pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from notify.model.kind import Channel


class MessageState(StrEnum):
    """Where a message stands. `docs/architecture.md` draws it; the database holds a CHECK of the same names."""

    QUEUED = "queued"  # waits in a batch for its time
    SENDING = "sending"  # a worker holds its batch
    SENT = "sent"  # a provider accepted it
    DELIVERED = "delivered"  # the provider reported delivery
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    IN_DOUBT = "in_doubt"  # a process died between "sent" and "recorded"
    DEAD = "dead"  # given up: the dead letter
    SKIPPED = "skipped"  # policy said no
    CANCELLED = "cancelled"


TRANSITIONS: Mapping[MessageState, frozenset[MessageState]] = MappingProxyType(
    {
        MessageState.QUEUED: frozenset(
            {MessageState.SENDING, MessageState.SKIPPED, MessageState.CANCELLED, MessageState.DEAD}
        ),
        MessageState.SENDING: frozenset(
            {
                MessageState.SENT,
                MessageState.QUEUED,
                MessageState.SKIPPED,
                MessageState.IN_DOUBT,
                MessageState.DEAD,
            }
        ),
        MessageState.SENT: frozenset({MessageState.DELIVERED, MessageState.BOUNCED, MessageState.COMPLAINED}),
        MessageState.DELIVERED: frozenset({MessageState.BOUNCED, MessageState.COMPLAINED}),
        MessageState.BOUNCED: frozenset({MessageState.COMPLAINED}),
        MessageState.COMPLAINED: frozenset(),
        MessageState.IN_DOUBT: frozenset({MessageState.QUEUED, MessageState.SENT, MessageState.DEAD}),
        MessageState.DEAD: frozenset({MessageState.QUEUED}),
        MessageState.SKIPPED: frozenset(),
        MessageState.CANCELLED: frozenset(),
    }
)
"""From each state, the states that may follow."""


class Outcome(StrEnum):
    """How one attempt ended."""

    ACCEPTED = "accepted"
    TRANSIENT = "transient"
    THROTTLED = "throttled"
    REJECTED = "rejected"
    UNCERTAIN = "uncertain"
    MISCONFIGURED = "misconfigured"
    UNRENDERABLE = "unrenderable"  # its template failed: no provider was asked
    RENDERED = "rendered"  # dry run: written as .eml, no provider was asked


@dataclass(frozen=True, slots=True)
class Message:
    """The unit of record. `reason` and `rule` say why it is skipped, dead or deferred, `updated_at` since when."""

    id: UUID
    tenant_id: UUID
    notification_id: UUID
    recipient_id: UUID
    channel: Channel
    address: str | None
    state: MessageState
    attempts: int
    due_at: datetime
    created_at: datetime
    updated_at: datetime
    batch_id: UUID | None = None
    reason: str | None = None
    rule: str | None = None
    sent_at: datetime | None = None
    consent_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to hand a message to a provider. The audit trail: written once, never updated."""

    id: UUID
    tenant_id: UUID
    message_id: UUID
    number: int
    epoch: int
    outcome: Outcome
    at: datetime
    provider: str | None = None
    provider_id: str | None = None
    reason: str | None = None
    response: str | None = None
    subject: str | None = None
    header_id: str | None = None  # the Message-ID header, the same on every attempt
    template_version: str | None = None
    rendered_at: datetime | None = None
    passed_over: str | None = None  # the providers before this one, and why not they
