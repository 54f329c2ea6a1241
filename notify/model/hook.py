"""What a provider posted to us, as it came: stored first, read by a task."""

from __future__ import annotations

from enum import StrEnum


class HookState(StrEnum):
    """Where a stored payload stands."""

    RECEIVED = "received"
    PROCESSED = "processed"
    REJECTED = "rejected"
