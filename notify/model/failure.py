"""What operators deal with: replays of dead letters, and alerts."""

from __future__ import annotations

from enum import StrEnum


class ReplayState(StrEnum):
    """Where a bulk replay of dead letters stands."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class AlertState(StrEnum):
    """Whether what an alert tells of still holds."""

    FIRING = "firing"
    CLEARED = "cleared"
