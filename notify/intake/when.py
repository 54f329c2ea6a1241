"""When something should go out, and until when it is worth it, as applications say it: checked, never guessed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from notify.errors import InvalidData, InvalidDeadline, RequestError
from notify.model import Local
from notify.settings import duration

At = datetime | Local


def local(wall: str | time | datetime) -> Local:
    """A time by each recipient's own clock, for `send(at=…)`: `notify.local("09:00")`, `local("2026-11-22T09:00")`.

    A time of day is its next occurrence; a `time` or a `datetime` without a zone will do, too. On the night when clocks
    are put forward, a time that is skipped comes as much later as they are (02:30 is 03:30); when they are put back,
    one that comes twice is the first (RFC 5545 §3.3.5). Raises `InvalidData`.
    """
    example = 'write it like notify.local("09:00") or notify.local("2026-11-22T09:00")'
    if isinstance(wall, str):
        try:
            return Local.parse(wall)
        except ValueError as error:
            raise InvalidData(f"local: {error}; {example}") from None
    if not isinstance(wall, time | datetime):
        raise InvalidData(f"local: {wall!r:.60} is no time; {example}")
    if wall.tzinfo is not None:
        raise InvalidData(f"local: {wall} names a time zone, and each recipient has their own; {example}")
    return Local(wall)


def planned(at: At | None, delay: timedelta | str | None, now: datetime) -> tuple[At | None, timedelta | None]:
    """The time to send, and the delay it was made of, if it was. Raises `InvalidData`."""
    if delay is None:
        return (Local(at.wall, now) if isinstance(at, Local) else moment("at", at, InvalidData)), None
    if at is not None:
        raise InvalidData("at and delay both say when; give one of them")
    span = _span(delay)
    try:
        return now + span, span
    except OverflowError:
        raise InvalidData(f"delay: {span} from now is beyond the year 9999") from None


def expires(given: timedelta | datetime | None, at: At | None) -> timedelta | datetime | None:
    """A deadline as it was given, or a time in UTC. Raises `InvalidDeadline`."""
    if isinstance(given, timedelta):
        if given <= timedelta():
            raise InvalidDeadline(f"expires must be longer than nothing, not {given}")
        return given
    if given is not None and not isinstance(given, datetime):
        raise InvalidDeadline(f"expires is a timedelta or a datetime with a time zone, not {given!r:.60}")
    deadline = moment("expires", given, InvalidDeadline)
    if deadline is not None and isinstance(at, datetime) and deadline <= at:
        raise InvalidDeadline(f"expires ({deadline}) must lie after at ({at})")
    return deadline


def moment(name: str, given: datetime | None, error: type[RequestError]) -> datetime | None:
    """A time in UTC. Raises `error`, which names it, for what has no time zone."""
    if given is None:
        return None
    if not isinstance(given, datetime) or given.utcoffset() is None:
        near = "; for the clock of each recipient write notify.local(…)" if error is InvalidData else ""
        raise error(f"{name} must be a datetime with a time zone, such as datetime.now(UTC), not {given!r:.60}{near}")
    try:
        return given.astimezone(UTC)
    except OverflowError:
        raise error(f"{name} must lie within the years 1 to 9999 in UTC, which {given} does not") from None


def _span(delay: timedelta | str) -> timedelta:
    try:
        span = duration(delay) if isinstance(delay, str) else delay
    except ValueError as error:
        raise InvalidData(f"delay: {error}") from None
    if not isinstance(span, timedelta) or span < timedelta():
        raise InvalidData(f"delay is a timedelta or a text such as '2h', and not negative; not {delay!r:.60}")
    return span
