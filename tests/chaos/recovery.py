"""How long whatever a kill or an outage held up had to wait."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Kill:
    """One moment of death: how many processes, the messages in their hands, and how many hand-overs it may have cut."""

    at: datetime
    processes: int
    held: frozenset[UUID]
    cut: int


def after_kills(kills: Sequence[Kill], sent_at: Mapping[UUID, datetime]) -> list[float]:
    """For each kill, the seconds until the last message that it held was sent, or was held again by a later victim.

    A message that was never sent, for it was given up or is held in doubt, is not waited for.
    """
    seconds = []
    later: dict[UUID, datetime] = {}
    for kill in reversed(kills):
        ends = [end for held in kill.held if (end := later.get(held) or sent_at.get(held)) is not None]
        seconds.append(max(((end - kill.at).total_seconds() for end in ends), default=0.0))
        later.update(dict.fromkeys(kill.held, kill.at))
    return seconds[::-1]


def percentile(values: Iterable[float], share: float) -> float | None:
    """The least value that at least `share` of all do not exceed; None of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else None
