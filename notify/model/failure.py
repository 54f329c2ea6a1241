"""What operators deal with: replays of dead letters, and pauses of providers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ReplayState(StrEnum):
    """Where a bulk replay of dead letters stands."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Pause:
    """A provider that is passed over. `digest` is that of its URL at the time; empty: an operator paused it."""

    name: str
    digest: str
    reason: str
    response: str | None
    actor: str
    paused_at: datetime
