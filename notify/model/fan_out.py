"""A selection of recipients that is being planned, slice by slice."""

from __future__ import annotations

from enum import StrEnum


class FanOutState(StrEnum):
    """A fan-out is planning until everyone selected has a message, or until it is cancelled."""

    PLANNING = "planning"
    PLANNED = "planned"
    CANCELLED = "cancelled"
