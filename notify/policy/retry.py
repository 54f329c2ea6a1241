"""When a message that a provider did not take is tried again: exponential, full jitter, bounded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from notify.errors import DeliveryError, Misconfigured, Rejected, Throttled
from notify.model import Retry
from notify.settings import Settings


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `attempts` tries; waits grow from `base` towards `cap`."""

    attempts: int = 15
    base: timedelta = timedelta(seconds=30)
    cap: timedelta = timedelta(hours=1)

    @classmethod
    def of(cls, said: Retry | None, settings: Settings) -> RetryPolicy:
        """What a kind says, over the settings. A first wait of its own is never cut by the settings' longest."""
        said = said or Retry()
        base = said.base or timedelta(seconds=settings.retry_base_seconds)
        longest = timedelta(seconds=settings.retry_cap_seconds)
        cap = said.cap or (max(longest, base) if said.base else longest)
        return cls(said.attempts or settings.retry_attempts, base, cap)


MISCONFIGURED_WAIT = timedelta(minutes=5)  # only an operator can mend it: asking more often helps nobody
UNREACHED_WAIT = timedelta(minutes=1)


def costs_attempt(error: DeliveryError) -> bool:
    """Throttling and a provider's misconfiguration are not the message's fault: they use up none of its tries."""
    return not isinstance(error, Throttled | Misconfigured)


def next_try(error: DeliveryError, attempt: int, now: datetime, policy: RetryPolicy, draw: float) -> datetime | None:
    """When to try again after the `attempt`-th try (from 1) failed with `error`; None when the message is dead.

    `draw` is uniform in [0, 1): full jitter spreads the herd over the whole wait (Brooker, "Exponential Backoff
    And Jitter"). A wait that the provider asked for is honoured, with the jitter on top. Whether an `Uncertain`
    message may go out again is not asked here: its kind's `on_doubt` decides.
    """
    if isinstance(error, Rejected):
        return None
    if isinstance(error, Misconfigured):
        return now + MISCONFIGURED_WAIT
    if costs_attempt(error) and attempt >= policy.attempts:
        return None
    doubled: int = 2 ** min(attempt - 1, 32)
    ceiling = min(policy.base * doubled, policy.cap)
    asked = timedelta(seconds=error.retry_after or 0.0)
    return now + asked + ceiling * draw


def next_round(error: DeliveryError, now: datetime, draw: float) -> datetime:
    """When to try messages that were not tried at all, because their provider could not be reached or takes nothing.

    It costs them no attempt: an outage of a night must not use up their tries.
    """
    wait = MISCONFIGURED_WAIT if isinstance(error, Misconfigured) else UNREACHED_WAIT
    return now + timedelta(seconds=error.retry_after or 0.0) + wait * (1 + draw)
