"""A time by the clock on the recipient's own wall: one notification, as many moments as there are time zones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time


@dataclass(frozen=True, slots=True)
class Local:
    """`wall` is a date with its time of day, or a time of day alone: then it is the first such after `since`.

    Neither has a time zone: each recipient's counts. Make one with `notify.local()`.
    """

    wall: datetime | time
    since: datetime | None = None

    @classmethod
    def parse(cls, text: str, since: datetime | None = None) -> Local:
        """Read `09:00`, `09:00:30`, `2026-11-22T09:00` or `2026-11-22 09:00`. Raises `ValueError`."""
        text = text.strip()
        wall = time.fromisoformat(text) if _is_time(text) else datetime.fromisoformat(text)
        if wall.tzinfo is not None:
            raise ValueError(f"{text!r} names a time zone, and each recipient has their own")
        return cls(wall, since)

    def __str__(self) -> str:
        return self.wall.isoformat(timespec="auto" if self.wall.second or self.wall.microsecond else "minutes")


def _is_time(text: str) -> bool:
    return ":" in text[:3]
