"""A clock that stands still until it is moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class MovableClock:
    """`now()` is `at` until `move()`; never backwards, for what was stored lies before."""

    def __init__(self, at: datetime | None = None) -> None:
        if at is not None and at.tzinfo is None:
            raise ValueError("the clock needs an aware datetime, such as datetime(2026, 3, 29, 1, 30, tzinfo=UTC)")
        self._at = (at or datetime.now(UTC)).astimezone(UTC)

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return self._at

    def move(self, by: timedelta | None = None, *, to: datetime | None = None) -> None:
        """Move forward `by` a span, or `to` an aware moment."""
        if (by is None) == (to is None):
            raise ValueError("move the clock either by a timedelta or to a moment")
        moment = self._at + by if by is not None else to
        assert moment is not None
        if moment < self._at:
            raise ValueError(f"the clock stands at {self._at:%Y-%m-%d %H:%M:%S} UTC and does not go backwards")
        self._at = moment.astimezone(UTC)
