"""A selection of recipients that is being planned, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from notify.model.kind import Channel
from notify.model.local import Local
from notify.model.notification import Notification


class FanOutState(StrEnum):
    """A fan-out is planning until everyone selected has a message, or until it is cancelled."""

    PLANNING = "planning"
    PLANNED = "planned"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class FanOut:
    """Everyone of a tenant's roster, those with any of the `tags`, or those in `segment`, in the order of their keys.

    A segment is an expression.
    All up to `cursor`, a key, are planned: so many `recipients`, with so many `messages`. `at` is what send(at=…) said.
    """

    notification: Notification
    channels: tuple[Channel, ...]
    tags: tuple[str, ...]
    at: datetime | Local | None
    cursor: str
    recipients: int
    messages: int
    segment: str | None = None
