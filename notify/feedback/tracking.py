"""Opens and clicks: written to a stream of Redis when they are seen, and drained from there into events, each once.

An entry leaves the stream when its event is committed. It has a name of its own, so that it counts once, however often
it is written or read. Nothing is known of who saw it but the message, the link, the time, and whether it was a machine.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from redis import RedisError

from notify.app import App
from notify.errors import NotifyError, Unreachable
from notify.feedback import robots
from notify.feedback.record import record
from notify.feedback.robots import Click
from notify.model import Event, EventType
from notify.store import tracked_events
from notify.store.tenants import DEFAULT_ID
from notify.store.tracked_events import PROVIDER, Sent
from notify.telemetry import emit

STREAM = "notify:tracking"
MOST = 200_000
"""Entries: some 40 MB. While so many wait, nothing is added."""
SLICE = 1000
SETTLING = timedelta(seconds=60)
"""So long an entry waits for a worker to write down that its message was sent: else nobody knows how quick it was."""
FAILING = timedelta(days=1)
"""So long an entry stays that cannot be recorded by a fault of our own."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A pixel that was fetched, or a link that was followed; `machine` is why it was no person, if that is clear."""

    id: UUID
    message_id: UUID
    at: datetime
    link_id: UUID | None = None
    machine: str | None = None


def write(app: App, seen: Sequence[Sighting]) -> int:
    """Add these to the stream; returns how many there was no room for. Raises `RedisError`: then some may be in it."""
    room = max(0, MOST - int(app.redis.xlen(STREAM)))
    adding = app.redis.pipeline(transaction=False)
    for one in seen[:room]:
        adding.xadd(STREAM, _fields(one))
    adding.execute()
    return len(seen[room:])


def drain(app: App, seconds: float) -> int:
    """Record what is in the stream, until nothing is left or `seconds` have passed; returns how many entries left it.

    One slice is read at least. Raises `Unreachable` when Redis or the database is away: what was not recorded stays.
    """
    until = time.monotonic() + seconds
    done, after = 0, "-"
    while True:
        try:
            entries: Any = app.redis.xrange(STREAM, min=after, max="+", count=SLICE)
            if not entries:
                return done
            over = _settled(app, {id_: _sighting(fields) for id_, fields in entries})
            if over:
                app.redis.xdel(STREAM, *over)
        except RedisError as error:
            raise Unreachable(f"Redis: {type(error).__name__}") from error
        done += len(over)
        after = f"({entries[-1][0].decode()}"
        if len(entries) < SLICE or time.monotonic() >= until:
            return done


def _settled(app: App, entries: Mapping[bytes, Sighting | None]) -> list[bytes]:
    """Record these, by halves where that fails for all: one that fails alone is named, and stays for a day."""
    try:
        return _slice(app, entries)
    except (RedisError, Unreachable):
        raise
    except Exception as error:
        if len(entries) > 1:
            each, half = list(entries.items()), len(entries) // 2
            return _settled(app, dict(each[:half])) + _settled(app, dict(each[half:]))
        [(id_, one)] = entries.items()
        text = str(error) if isinstance(error, NotifyError) else type(error).__name__
        emit("tracking.failed", entry=id_.decode(), error=text)
        if one is None or app.clock.now() < one.at + FAILING:
            return []
        emit("tracking.lost", reason="failed", sightings=1)
        return [id_]


def _slice(app: App, entries: Mapping[bytes, Sighting | None]) -> list[bytes]:
    """Record these; returns those that are done with: the others wait for their message."""
    now = app.clock.now()
    seen = {id_: one for id_, one in entries.items() if one is not None}
    with app.store.read() as connection:
        sent = tracked_events.sent(connection, {one.message_id for one in seen.values()})
    waiting = {id_ for id_, one in seen.items() if _waits(one, sent.get(one.message_id), now)}
    counted = [
        one
        for id_, one in seen.items()
        if id_ not in waiting and not ((message := sent.get(one.message_id)) and message.erased)
    ]
    if counted:
        record(app, DEFAULT_ID, [_event(one, sent.get(one.message_id)) for one in counted])
        _mark_company(app, counted)
    if unreadable := len(entries) - len(seen):
        emit("tracking.lost", reason="unreadable", sightings=unreadable)
    return [id_ for id_ in entries if id_ not in waiting]


def _waits(one: Sighting, message: Sent | None, now: datetime) -> bool:
    return message is not None and message.on_its_way and now < one.at + SETTLING


def _event(one: Sighting, message: Sent | None) -> Event:
    quick = message is not None and robots.is_quick(one.at, message.accepted_at)
    why = one.machine or ("quick" if quick else None)
    told = {"link": None if one.link_id is None else str(one.link_id), "why": why}
    return Event(
        EventType.OPENED if one.link_id is None else EventType.CLICKED,
        one.at,
        PROVIDER,
        str(one.id),
        message_id=one.message_id,
        bot=why is not None,
        detail={name: value for name, value in told.items() if value is not None},
    )


def _mark_company(app: App, seen: Sequence[Sighting]) -> None:
    """Of messages that had a click just now: look at those around it, also what was recorded before."""
    clicked = [one for one in seen if one.link_id is not None]
    if not clicked:
        return
    since = min(one.at for one in clicked) - robots.TOGETHER
    with app.store.begin() as connection:
        of_message: dict[UUID, list[Click]] = defaultdict(list)
        known: set[UUID] = set()
        for message_id, id_, link, at, bot, why in tracked_events.clicks(
            connection, {one.message_id for one in clicked}, since
        ):
            of_message[message_id].append(Click(id_, link, at, why == robots.HEAD))
            if bot:
                known.add(id_)
        found = set().union(*map(robots.in_company, of_message.values())) - known
        tracked_events.mark_machines(connection, sorted(found))


def _fields(one: Sighting) -> dict[Any, Any]:
    told = {
        "e": one.id.hex,
        "m": one.message_id.hex,
        "t": str(int(one.at.timestamp() * 1000)),
        "l": one.link_id.hex if one.link_id else None,
        "b": one.machine,
    }
    return {name: value for name, value in told.items() if value is not None}


def _sighting(fields: Mapping[bytes, bytes]) -> Sighting | None:
    """What `_fields` wrote; None for anything else."""
    try:
        return Sighting(
            UUID(fields[b"e"].decode()),
            UUID(fields[b"m"].decode()),
            datetime.fromtimestamp(int(fields[b"t"]) / 1000, UTC),
            UUID(fields[b"l"].decode()) if b"l" in fields else None,
            fields[b"b"].decode() if b"b" in fields else None,
        )
    except (KeyError, ValueError, OverflowError, OSError):
        return None
