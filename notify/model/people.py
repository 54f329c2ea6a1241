"""What operators and applications see of a recipient: everything known, and the history of how it came to be so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from notify.model.kind import Channel
from notify.model.preferences import NONE, Preferences
from notify.model.recipient import Suppression


class Source(StrEnum):
    """The way by which a change came in."""

    SEND = "send"  # a description given to send()
    IMPORT = "import"
    CLI = "cli"
    PYTHON = "python"  # notify.recipients and its neighbours
    PAGE = "page"  # the recipient's own, on a page of notify's


class Status(StrEnum):
    """Whether a recipient is written to. To one who is inactive, only required kinds go."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    ERASED = "erased"  # only a number is left of the person


APPLICATION = "application"
"""Who makes a change from Python, unless it says on whose behalf."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change, by which way, and why: it stands in the history of each recipient that is changed."""

    actor: str
    source: Source
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """One change of a recipient. `changes` holds by field what was before and what came after.

    Fields are `locale`, `timezone`, `tags`, `status`, a channel for its primary address (`email`) and for the others
    (`email.others`), and `attributes.NAME`. What was not there is None.
    """

    at: datetime
    actor: str
    source: str
    reason: str | None
    changes: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """An address of a recipient. The `primary` one of its channel is written to."""

    channel: Channel
    value: str
    primary: bool
    verified: bool
    verified_at: datetime | None = None
    suppressions: tuple[Suppression, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """Everything known of a recipient. `overrides` names the fields that were set by hand: imports leave them.

    One that the person chose for themself stands there as `own:locale`, too: send() leaves it as well.
    """

    id: UUID
    key: str
    status: Status
    locale: str | None
    timezone: str | None
    attributes: Mapping[str, Any]
    tags: tuple[str, ...]
    addresses: tuple[OwnAddress, ...]
    overrides: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    preferences: Preferences = NONE
    deactivated_at: datetime | None = None
    changes: int = field(default=0, compare=False)
    """How many rows its history has."""

    def primary(self, channel: Channel) -> OwnAddress | None:
        """The address that the channel uses."""
        return next((one for one in self.addresses if one.primary and one.channel == channel), None)

    def as_json(self) -> dict[str, Any]:
        """What programs read: times as ISO 8601, nothing left out."""
        return {
            "key": self.key,
            "id": str(self.id),
            "status": self.status.value,
            "locale": self.locale,
            "timezone": self.timezone,
            "attributes": dict(self.attributes),
            "tags": list(self.tags),
            "addresses": [_address_json(one) for one in self.addresses],
            "preferences": self.preferences.as_json(),
            "overrides": list(self.overrides),
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "deactivated_at": self.deactivated_at.isoformat() if self.deactivated_at else None,
            "changes": self.changes,
        }


def _address_json(one: OwnAddress) -> dict[str, Any]:
    return {
        "channel": one.channel.value,
        "address": one.value,
        "primary": one.primary,
        "verified": one.verified,
        "verified_at": one.verified_at.isoformat() if one.verified_at else None,
        "suppressions": [
            {
                "scope": row.scope,
                "reason": row.reason,
                "source": row.source,
                "expires_at": row.expires_at.isoformat() if row.expires_at else None,
            }
            for row in one.suppressions
        ],
    }
