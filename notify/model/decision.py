"""What policy answers for one recipient and one channel; each answer names the rule that gave it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Send:
    """Send it now."""

    rule: str = "allowed"


@dataclass(frozen=True, slots=True)
class Skip:
    """Never send it. `reason` is machine-readable (`suppressed`, `no_address`)."""

    reason: str
    rule: str


@dataclass(frozen=True, slots=True)
class Defer:
    """Send it, but not before `until`."""

    until: datetime
    reason: str
    rule: str


Decision = Send | Skip | Defer
