"""How the hand-over of one message ended, and where that leads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from notify.channels.provider import Receipt
from notify.delivery.prepare import Prepared
from notify.errors import DeliveryError, Misconfigured, Rejected, Throttled, Transient, Uncertain
from notify.model import Attempt, BounceClass, MessageState, Outcome
from notify.policy import Verdict
from notify.store.work import Work

OUTCOMES: Mapping[type[DeliveryError], Outcome] = MappingProxyType(
    {
        Transient: Outcome.TRANSIENT,
        Throttled: Outcome.THROTTLED,
        Rejected: Outcome.REJECTED,
        Uncertain: Outcome.UNCERTAIN,
        Misconfigured: Outcome.MISCONFIGURED,
    }
)
EVENTS = MappingProxyType(
    {
        MessageState.DEAD: "message.dead",
        MessageState.IN_DOUBT: "message.in_doubt",
        MessageState.QUEUED: "message.deferred",
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One message that was not accepted; without an attempt it was not tried, without a verdict another provider is.

    `bounce` is what the refusal says of the address.
    """

    work: Work
    verdict: Verdict | None
    attempt: Attempt | None
    prepared: Prepared | None = None
    bounce: BounceClass | None = None


class Accepted(NamedTuple):
    """One message that the provider took, or that was rendered for a dry run."""

    work: Work
    subject: str
    template_version: str
    rendered_at: datetime
    receipt: Receipt
    provider: str
    passed_over: str | None
    at: datetime
