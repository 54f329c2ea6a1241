"""What follows from an event for the address that it tells of. What is about the sender or the mail is no fault of it.

A soft bounce counts one, and half as much after each half-life: the sum is the same in whatever order they are told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from notify.errors import DeliveryError, Rejected, Transient
from notify.model import BounceClass, EventType, MessageState
from notify.policy.verdict import Verdict

HALF_LIFE = timedelta(days=14)
SOFT_FOR = timedelta(days=30)
"""How long an address rests whose soft bounces were too many."""

_FULL = "mailbox_full"
_BLOCKED = frozenset({"blocked", "host_blocked", "sender_unauthenticated"})
"""Policy, reputation, or a sender that proves nothing (RFC 3463 §3.8): about us, and the guard counts it."""
_NOT_THEIR_DEATH = frozenset(
    {
        *("recipient_rejected", "smtputf8_unsupported"),
        *("recipient_suppressed", "address_suppressed"),  # a provider's list: also of who complained, or left
    }
)


class Step(StrEnum):
    """What is to be done about an address."""

    SUPPRESS_DEAD = "suppress_dead"
    SUPPRESS_COMPLAINED = "suppress_complained"
    COUNT = "count"  # a soft bounce
    LEAVE = "leave"  # as if the link of the mail had been used


def follows(event: EventType, bounce: BounceClass | None) -> Step | None:
    """None when nothing does: a block and a refused content say nothing of the person, nor does what nobody knows."""
    if event is EventType.BOUNCED:
        return {BounceClass.HARD: Step.SUPPRESS_DEAD, BounceClass.SOFT: Step.COUNT}.get(bounce or BounceClass.OTHER)
    return {EventType.COMPLAINED: Step.SUPPRESS_COMPLAINED, EventType.UNSUBSCRIBED: Step.LEAVE}.get(event)


def refused(error: DeliveryError, verdict: Verdict) -> BounceClass | None:
    """What a refusal at the hand-over says of the address or of us, once the message is dead of it; None when nothing.

    What is tried again says nothing yet: it may be accepted after all. A server that refuses an address at once
    condemns it as one that bounces later. Whose mailbox was full, or passing trouble to the last attempt, counts. Where
    only our own guess, a provider's list, or what a server lacks, stands behind it, nothing is known of the person.
    """
    if verdict.state is not MessageState.DEAD or verdict.reason != error.reason:
        return None
    if error.reason in _BLOCKED:
        return BounceClass.BLOCK
    if isinstance(error, Rejected):
        if error.reason == _FULL:
            return BounceClass.SOFT
        return BounceClass.HARD if error.scope == "address" and error.reason not in _NOT_THEIR_DEATH else None
    return BounceClass.SOFT if isinstance(error, Transient) and error.scope == "message" else None


@dataclass(frozen=True, slots=True)
class Score:
    """The soft bounces of an address, as they weigh at a moment."""

    value: float
    at: datetime

    def weighed(self, at: datetime) -> float:
        """What it weighs then; before its own moment, noted by a clock that was ahead, no more than then."""
        return self.value * float(0.5 ** (max(at - self.at, timedelta(0)) / HALF_LIFE))


def counted(score: Score | None, at: datetime) -> Score:
    """The score with one more soft bounce, of this moment; it may have been before others that are known."""
    if score is None:
        return Score(1.0, at)
    if at >= score.at:
        return Score(score.weighed(at) + 1.0, at)
    return Score(score.value + Score(1.0, at).weighed(score.at), score.at)
