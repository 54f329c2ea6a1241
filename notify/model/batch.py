"""1-500 messages of one tenant, channel and lane, due at one time: the unit of work a worker leases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from notify.model.kind import Channel, Lane


class BatchState(StrEnum):
    """A batch is ready until a worker leases it, and done when each of its messages has an outcome."""

    READY = "ready"
    LEASED = "leased"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Batch:
    """The broker carries only its id. `epoch` counts claims and fences late writes.

    `expires_at` is the earliest deadline of its messages.
    """

    id: UUID
    tenant_id: UUID
    channel: Channel
    lane: Lane
    due_at: datetime
    state: BatchState = BatchState.READY
    epoch: int = 0
    size: int = 0
    expires_at: datetime | None = None
    as_was: bool = False  # its messages go out as they were rendered when they died

    @property
    def queue(self) -> str:
        """The name of the broker queue that carries this batch's id."""
        return f"{self.channel}.{self.lane}"
