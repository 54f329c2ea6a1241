"""What came back is kept, once; its message moves forward, never back; and what follows from it is in one transaction.

Who tells may tell again, late, in any order, and before we have written down that the message was sent.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from notify.app import App
from notify.errors import NotifyError, Unreachable
from notify.feedback import consequences
from notify.model import Effect, Event, MessageState
from notify.model.text import storable
from notify.policy import outcome
from notify.store import Connection, events, kept_mails, messages, owners
from notify.store.events import Told
from notify.telemetry import emit

LONGEST_NAME = 200  # characters of what is in a unique index
LONGEST_TEXT = 2000
LOOK_FIRST = timedelta(seconds=5)
"""A provider may be quicker than the worker that settles its batch."""
LOOK_LATEST = timedelta(hours=1)
PARKED_FOR = timedelta(days=7)
FEWEST_LOOKS = 24
"""Before that nothing is given up, however late it seems: a clock that was ahead for a while ends nothing."""
PARKED_AT_ONCE = 500
_OVER = frozenset({MessageState.SKIPPED, MessageState.CANCELLED, MessageState.DEAD})


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of events: `new` of them were not known; of those `parked` wait for their message.

    `moved` messages went on to another state; `effects` counts what followed.
    """

    new: int = 0
    parked: int = 0
    moved: int = 0
    effects: Mapping[Effect, int] | None = None
    provider: str | None = None


def record(app: App, tenant_id: UUID, told: Iterable[Event]) -> Recorded:
    """Keep these events, and do what follows. Each may be told as often as one likes.

    An event belongs to the tenant of its message; `tenant_id` is that of the others. Raises `Unreachable`, and keeps
    nothing, when the database is away.
    """
    now = app.clock.now()
    given = distinct(told)
    with app.store.begin() as connection:
        found = owners.hold(connection, owners.find(connection, given, now))
        rows = [Told(event, owner, now) for event, owner in zip(given, found, strict=True)]
        recorded = record_in(app, connection, tenant_id, rows, now)
    announce(recorded, known=len(given) - recorded.new)
    return recorded


def record_in(app: App, connection: Connection, tenant_id: UUID, told: Sequence[Told], now: datetime) -> Recorded:
    """The same within a transaction, to be announced after it: of `distinct` events, whose messages are held."""
    rows = [_discreet(one) for one in told]
    fresh = events.insert(connection, tenant_id, rows, now + LOOK_FIRST)
    moved, early = _forward(connection, fresh, now)
    events.park(connection, {one.id: now + LOOK_FIRST for one in early})
    done = consequences.follow(app, connection, fresh, now)
    parked = len(early) + sum(one.owner is None for one in fresh)
    return Recorded(len(fresh), parked, moved, done, fresh[0].event.provider if fresh else None)


def announce(recorded: Recorded, *, known: int) -> None:
    """Tell what was recorded, once it is stored; `known` were before."""
    if recorded.new:
        facts = {"new": recorded.new, "known": known, "parked": recorded.parked, "moved": recorded.moved}
        emit("feedback.recorded", provider=recorded.provider, **facts)
    consequences.announce(recorded.effects or {})


def distinct(told: Iterable[Event]) -> list[Event]:
    """Each event once, as every database stores it."""
    return list({(one.provider, one.provider_event_id): one for one in map(_storable, told)}.values())


def look_again(app: App) -> int:
    """Look for the messages of what is parked; returns how many events came to rest.

    One is looked at again after as long as it has waited, for a week and some looks at least: then it is nobody's, and
    keeps no address and no words, for no erasure could find it any more. One that fails, by a fault of our own, keeps
    no other waiting, and is tried as long as it is kept.
    """
    rested, began = 0, app.clock.now()
    with app.store.begin() as connection:
        events.bring_forward(connection, began + LOOK_LATEST, began)  # put off by a clock that was ahead
    while True:
        now = app.clock.now()
        try:
            looked, settled = _look(app, now)
        except Unreachable:
            raise
        except Exception:
            looked, settled = _one_by_one(app, now)
        rested += settled
        if looked < PARKED_AT_ONCE:
            return rested


def _look(app: App, now: datetime, only: UUID | None = None) -> tuple[int, int]:
    """Look at a slice of those that are due, or at this one, in one transaction; how many, and how many rest now."""
    with app.store.begin() as connection:
        waiting = events.parked(connection, now, PARKED_AT_ONCE, only)
        found = _owned(connection, waiting, now)
        events.adopt(connection, [one for one in found if not one.known])
        _, early = _forward(connection, found, now)
        again = [one for one in found if one.owner is None or one in early]
        until = {one.id: next_look(one, now) for one in again}
        settled = {one.id: None for one in found if one.id not in until}
        events.park(connection, {**until, **settled})
        nobodys = [one.id for one in again if not (one.owner or one.known) and until[one.id] is None]
        events.forget(connection, nobodys)
        done = consequences.follow(app, connection, [one for one in found if not one.known], now)
    consequences.announce(done)
    return len(waiting), len(settled)


def _one_by_one(app: App, now: datetime) -> tuple[int, int]:
    """The same for a slice that cannot be looked at together: each that fails is named and parked further on."""
    with app.store.begin() as connection:
        due = [one for _, _, one in events.parked(connection, now, PARKED_AT_ONCE)]
    rested = 0
    for one in due:
        try:
            _, settled = _look(app, now, one.id)
            rested += settled
        except Unreachable:
            raise
        except Exception as error:
            with app.store.begin() as connection:
                events.park(connection, {one.id: _after_as_long(now - one.received_at, now)})
            text = str(error) if isinstance(error, NotifyError) else type(error).__name__
            emit("feedback.failed", id=one.id, error=text)
    return len(due), rested


def next_look(one: Told, now: datetime) -> datetime | None:
    """When to look again for the message of an event; None: it will not come any more."""
    waited = now - one.received_at
    if waited >= PARKED_FOR and one.looks >= FEWEST_LOOKS:
        return None
    return _after_as_long(waited, now)


def _after_as_long(waited: timedelta, now: datetime) -> datetime:
    return now + min(max(waited, LOOK_FIRST), LOOK_LATEST)


def _owned(connection: Connection, waiting: Sequence[tuple[UUID, UUID | None, Told]], now: datetime) -> list[Told]:
    """The same, each with its message if that is here by now.

    Whoever erases a person may wait for these events: those are left for the next look.
    """
    told = [one for _, _, one in waiting]
    found = owners.hold(connection, owners.find(connection, [one.event for one in told], now), patient=False)
    return [replace(one, owner=owner) for one, owner in zip(told, found, strict=True)]


def _forward(connection: Connection, told: Sequence[Told], now: datetime) -> tuple[int, list[Told]]:
    """Move the messages of these on; returns how many went, and the events that came before their message was sent."""
    owned: dict[UUID, list[Told]] = defaultdict(list)
    for one in told:
        if one.owner is not None:
            owned[one.owner.id].append(one)
    standing = events.lock_fed(connection, list(owned), outcome.FED)
    moves: dict[tuple[MessageState, MessageState], list[UUID]] = defaultdict(list)
    moved = 0
    for id_, was in standing.items():
        steps = outcome.steps(was, outcome.fold(was, [one.event.type for one in owned[id_]]))
        moved += bool(steps)
        for before, after in zip((was, *steps), steps, strict=False):
            moves[before, after].append(id_)
    for before, after in sorted(moves, key=_first_out_of_doubt):
        _move(connection, moves[before, after], before, after, now)
    early = [one for id_, group in owned.items() if id_ not in standing for one in group]
    return moved, [one for one in early if one.owner and one.owner.state not in _OVER]


def _first_out_of_doubt(step: tuple[MessageState, MessageState]) -> int:
    return 0 if step[0] is MessageState.IN_DOUBT else 1


def _move(connection: Connection, ids: Sequence[UUID], was: MessageState, state: MessageState, now: datetime) -> None:
    if was is not MessageState.IN_DOUBT:
        messages.move(connection, ids, was, state, at=now)
        return
    rule = "what came back proves that a provider has it"
    messages.move(connection, ids, was, state, at=now, sent_at=now, reason="settled", rule=rule)
    kept_mails.forget(connection, ids)


def _discreet(one: Told) -> Told:
    """The event as it may be kept: of who was erased, that it happened and no more."""
    if one.owner is None or one.owner.address is not None:
        return one
    kept = {name: one.event.detail[name] for name in ("payload", "mail") if name in one.event.detail}
    return replace(one, event=replace(one.event, address=None, diagnostic=None, detail=kept))


def _storable(event: Event) -> Event:
    """The event as every database stores it: no NUL, no half characters, no name longer than an index bears."""
    name = storable(event.provider_event_id)
    if len(name) > LONGEST_NAME:
        name = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
    return replace(
        event,
        at=event.at.astimezone(UTC),
        provider_event_id=name,
        header_id=_short(event.header_id),
        provider_message_id=_short(event.provider_message_id),
        address=_short(event.address),
        status=_short(event.status),
        diagnostic=_short(event.diagnostic),
        detail=plain(event.detail),
    )


def _short(text: str | None) -> str | None:
    return None if text is None else storable(text, LONGEST_TEXT)


def plain(value: Any) -> Any:
    """The value as JSON that every database stores."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(str(name)): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
