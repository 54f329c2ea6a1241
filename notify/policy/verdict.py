"""Where a message goes that was not accepted: tried again in time, held, or dead. Never tried past its deadline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from notify.errors import DeliveryError, Rejected, Uncertain
from notify.model import MessageState, OnDoubt
from notify.policy.retry import RetryPolicy, costs_attempt, next_try

EXPIRED = "expired"
"""The reason of a message that is dead because its deadline passed, or would pass before its next try."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state that follows, and why; `tried` says that it costs an attempt."""

    state: MessageState
    reason: str
    rule: str
    due_at: datetime | None = None
    tried: bool = True

    def within(self, deadline: datetime | None) -> Verdict:
        """The same, or dead as expired at once when it would wait until its deadline or longer."""
        if deadline is None or self.due_at is None or self.due_at < deadline:
            return self
        wait = f"the next try would come at {self.due_at:%Y-%m-%d %H:%M:%S} ({self.reason})"
        return Verdict(MessageState.DEAD, EXPIRED, f"{_named(deadline)}: {wait}", tried=self.tried)


def past(deadline: datetime | None, now: datetime) -> bool:
    """Whether a message is worth nothing any more."""
    return deadline is not None and now >= deadline


def expired(deadline: datetime) -> Verdict:
    """The end of a message whose deadline has passed: it is never delivered late."""
    return Verdict(MessageState.DEAD, EXPIRED, f"{_named(deadline)} has passed", tried=False)


def after_failure(
    error: DeliveryError, attempt: int, now: datetime, policy: RetryPolicy, draw: float, *, on_doubt: OnDoubt
) -> Verdict:
    """What becomes of a message after its `attempt`-th try (from 1) failed with `error`; `draw` as for `next_try`."""
    if isinstance(error, Uncertain) and on_doubt is OnDoubt.HOLD:
        return Verdict(MessageState.IN_DOUBT, error.reason, "on_doubt = hold")
    due_at = next_try(error, attempt, now, policy, draw)
    if due_at is None:
        last = isinstance(error, Rejected)
        rule = "refused for good" if last else f"no more than {policy.attempts} attempts"
        return Verdict(MessageState.DEAD, error.reason, rule)
    tried = costs_attempt(error)
    cost = f"attempt {attempt} of {policy.attempts}" if tried else "costs no attempt"
    return Verdict(MessageState.QUEUED, error.reason, f"{type(error).__name__}, {cost}", _whole_second(due_at), tried)


def put_off(until: datetime, reason: str, rule: str) -> Verdict:
    """What becomes of messages that were not tried at all, because nobody takes them before `until`."""
    return Verdict(MessageState.QUEUED, reason, rule, _whole_second(until), tried=False)


def _named(deadline: datetime) -> str:
    return f"deadline {deadline:%Y-%m-%d %H:%M:%S} UTC"


def _whole_second(moment: datetime) -> datetime:
    """Rounded up, so that retries gather in few batches."""
    return moment.replace(microsecond=0) + timedelta(seconds=1)
