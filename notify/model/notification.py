"""One send(): the event that an application announced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Mode(StrEnum):
    """How far a notification may go."""

    LIVE = "live"
    TEST = "test"  # marked, and only to addresses on NOTIFY_TEST_RECIPIENTS
    DRY_RUN = "dry_run"  # written as .eml, no connection opened, never counted as sent


@dataclass(frozen=True, slots=True)
class Notification:
    """What send() returns.

    `messages` counts by state at the time of planning; `repeated` says that the idempotency key had been used
    before, so that this call stored and sent nothing. From `expires_at` on its messages are worth nothing: what has not
    gone out by then dies as expired.
    """

    id: UUID
    tenant_id: UUID
    kind: str
    mode: Mode
    created_at: datetime
    key: str | None = None
    repeated: bool = False
    messages: Mapping[str, int] | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that travels with every message of a notification.

    `inline` is a content id: an HTML part shows the file with `<img src="cid:…">` (RFC 2392).
    """

    name: str
    content: bytes
    content_type: str = "application/octet-stream"
    inline: str | None = None
