"""When a clock on the wall shows a time: also on the nights when it is put forward or back.

A time that is skipped in spring is read with the offset from before the gap, and so comes as much later as the gap is
long: 02:30 is 03:30. One that comes twice in autumn is the first of the two (RFC 5545 §3.3.5).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from notify.model import Local

FIRST = datetime.min.replace(tzinfo=UTC) + timedelta(days=2)
LAST = datetime.max.replace(tzinfo=UTC) - timedelta(days=2)
MOST_WEST = timedelta(hours=12)  # behind UTC: the last places on Earth where a date begins
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_UTC = ZoneInfo("UTC")


@lru_cache(maxsize=1024)
def zone(name: str | None, default: str) -> ZoneInfo:
    """The time zone of this name; the default one when there is none, or no such zone any more."""
    for each in filter(None, (name, default)):
        with suppress(ValueError, OSError, KeyError):
            return ZoneInfo(each)
    return _UTC


def moment(at: Local, where: ZoneInfo) -> datetime:
    """The moment in UTC at which a clock in this zone shows `at`."""
    if isinstance(at.wall, datetime):
        return _shown(at.wall, where)
    since = at.since
    assert since is not None, "a time of day is of the first day after some moment"
    return _next(at.wall, where, since)


def latest(at: Local) -> datetime:
    """When it is over everywhere: no clock on Earth shows it for the first time after that."""
    if isinstance(at.wall, datetime):
        return _within(at.wall.replace(tzinfo=UTC)) + MOST_WEST
    assert at.since is not None
    return _within(at.since) + timedelta(hours=25)


def wall(now: datetime, where: ZoneInfo) -> datetime:
    """What the clock shows, without a zone."""
    return _within(now).astimezone(where).replace(tzinfo=None)


def ends(start: time, end: time, now: datetime, where: ZoneInfo) -> datetime | None:
    """When the clock is outside the hours from `start` until `end` again; None when it is outside now.

    They may go over midnight; where both are the same there are none. Asked in an hour that comes twice, it goes by
    what the clock shows, both times.
    """
    if not _inside(start, end, wall(now, where).time()):
        return None
    at = _within(now)
    while True:
        shown = wall(at, where)
        turn = datetime.combine(shown.date(), end)
        ahead = at + ((turn if turn > shown else turn + _DAY) - shown)
        change = _first_change(at, ahead, where)
        if change is None:
            return ahead
        at = change
        if not _inside(start, end, wall(at, where).time()):
            return at


def _shown(shown: datetime, where: ZoneInfo) -> datetime:
    earliest, last = FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None)
    return min(max(shown, earliest), last).replace(tzinfo=where, fold=0).astimezone(UTC)


def _next(of_day: time, where: ZoneInfo, since: datetime) -> datetime:
    today: date = wall(since, where).date()
    for days in (0, 1, 2):
        found = _shown(datetime.combine(today + days * _DAY, of_day), where)
        if found >= since:
            return found
    raise AssertionError(f"no {of_day} within two days of {since}")


def _inside(start: time, end: time, shown: time) -> bool:
    if start <= end:
        return start <= shown < end
    return shown >= start or shown < end


def _first_change(after: datetime, until: datetime, where: ZoneInfo) -> datetime | None:
    """When the clock is changed between these two, to the second; None when it is not."""
    offset = after.astimezone(where).utcoffset()
    if until.astimezone(where).utcoffset() == offset:
        return None
    low, high = after.replace(microsecond=0), until.replace(microsecond=0)
    while high - low > _SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(where).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high


def _within(given: datetime) -> datetime:
    """Moments that no clock can show, at the ends of the calendar, count as the last that each can."""
    return min(max(given.astimezone(UTC), FIRST), LAST)
