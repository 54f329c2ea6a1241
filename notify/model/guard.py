"""What the reputation guard holds: whose rate of bounces or complaints was too high."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class HoldScope(StrEnum):
    """Of what a rate is taken."""

    MAILOUT = "mailout"  # one notification; the subject is its id
    TENANT = "tenant"
    PROVIDER = "provider"
    DOMAIN = "domain"  # the receiving one


class Measure(StrEnum):
    """What is counted against what was sent."""

    BOUNCED = "bounced"
    COMPLAINED = "complained"


@dataclass(frozen=True, slots=True)
class Hold:
    """A rate that was too high, until an operator ends it. `provider` is the one by which most of it went out."""

    id: UUID
    tenant_id: UUID
    scope: HoldScope
    subject: str
    measure: Measure
    bad: int
    sent: int
    provider: str | None
    began_at: datetime

    @property
    def words(self) -> str:
        """The rate as operators read it."""
        return f"{self.bad:,} of {self.sent:,} {self.measure} ({self.bad / max(self.sent, 1):.2%})"
