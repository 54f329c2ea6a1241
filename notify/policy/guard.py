"""When the share of bounces or complaints is too high: judged by enough messages, never by one or two complaints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from notify.model import BounceClass, EventType, HoldScope, Measure

WINDOWS: Mapping[timedelta, frozenset[HoldScope]] = MappingProxyType(
    {
        timedelta(days=1): frozenset(HoldScope),
        timedelta(days=7): frozenset(HoldScope) - {HoldScope.DOMAIN},  # no index tells what went to a domain
    }
)
"""Of what was sent in each, a rate is taken: of a day what is sudden, of a week what comes late, as complaints do."""

FEWEST = 3
"""One complaint of 200 is 0.5 %, and chance."""

BOUNCES = frozenset({BounceClass.HARD, BounceClass.BLOCK})
"""What tells how we choose whom to write to: no full mailbox, no refused content, no list of the provider's own."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The highest shares (0.05 is 5 %), and the fewest sent messages that are judged."""

    bounced: float
    complained: float
    least: int

    def share(self, measure: Measure) -> float:
        """The highest share of this."""
        return self.bounced if measure is Measure.BOUNCED else self.complained


def measure(event: EventType, bounce: BounceClass | None) -> Measure | None:
    """What an event counts as, if it does."""
    if event is EventType.COMPLAINED:
        return Measure.COMPLAINED
    if event is EventType.BOUNCED and bounce in BOUNCES:
        return Measure.BOUNCED
    return None


def may_be_too_many(measure: Measure, bad: int, bounds: Bounds) -> bool:
    """Whether so many could be too many: else what was sent need not be counted."""
    return bad >= FEWEST and bad > bounds.share(measure) * bounds.least


def enough(measure: Measure, bad: int, bounds: Bounds) -> int:
    """Of so many sent messages so few are not too many: there is no need to count on."""
    return max(bounds.least, int(bad / bounds.share(measure)) + 1)


def too_many(measure: Measure, bad: int, sent: int, bounds: Bounds, *, least: int | None = None) -> bool:
    """Whether so many of what was sent are too many."""
    judged = sent >= (bounds.least if least is None else least)
    return judged and bad >= FEWEST and bad > bounds.share(measure) * sent
