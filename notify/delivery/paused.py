"""What the reputation guard has paused does not go out: its batches wait as a whole. Critical lanes go on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from notify.delivery.route import Wait
from notify.model import Batch, Defer, Lane
from notify.store.work import MAILOUT_PAUSED, Work

LOOK_AGAIN = timedelta(hours=1)
"""Who resumes a mailout brings its batches forward; this is for what was planned since."""


def whole(batch: Batch, works: Sequence[Work], now: datetime) -> Wait | None:
    """Why this batch waits as a whole, if all it holds is paused."""
    held = [one.occasion for one in works if one.occasion.paused is not None]
    if batch.lane is Lane.CRITICAL or not held or len(held) < len(works):
        return None
    return Wait(now + LOOK_AGAIN, MAILOUT_PAUSED, _rule(held[0].paused))


def one(batch: Batch, work: Work, now: datetime) -> Defer | None:
    """The same of one message among others that may go out."""
    if batch.lane is Lane.CRITICAL or work.occasion.paused is None:
        return None
    return Defer(now + LOOK_AGAIN, MAILOUT_PAUSED, _rule(work.occasion.paused))


def _rule(words: str | None) -> str:
    return f"the guard paused it: {words}"
