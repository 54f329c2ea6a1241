"""When the share of bounces or complaints is too high: judged by enough messages, never by one or two complaints."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from notify.model import BounceClass, EventType, Measure

WINDOW = timedelta(days=1)
FEWEST = 3
"""One complaint of 200 is 0.5 %, and chance."""


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
    """What an event counts as. A full mailbox and a refused content say nothing of how we choose whom to write to."""
    if event is EventType.COMPLAINED:
        return Measure.COMPLAINED
    if event is EventType.BOUNCED and bounce not in (BounceClass.SOFT, BounceClass.CONTENT):
        return Measure.BOUNCED
    return None


def may_be_too_many(measure: Measure, bad: int, bounds: Bounds) -> bool:
    """Whether so many could be too many: else what was sent need not be counted."""
    return bad >= FEWEST and bad > bounds.share(measure) * bounds.least


def too_many(measure: Measure, bad: int, sent: int, bounds: Bounds, *, least: int | None = None) -> bool:
    """Whether so many of what was sent are too many."""
    enough = sent >= (bounds.least if least is None else least)
    return enough and bad >= FEWEST and bad > bounds.share(measure) * sent
