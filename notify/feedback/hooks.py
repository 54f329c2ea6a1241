"""Webhooks: what was verified is stored before it is answered for, and read later, as often as it takes.

A delivery that cannot be read is kept and named. None keeps others waiting. Of one that told nothing new, only that it
came is kept: nothing would lead from a person to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

from notify.app import App
from notify.channels.facts import require_named
from notify.channels.hook import Carrier, Confirming, Payload, Reporter
from notify.channels.reporters import openers, readers
from notify.errors import NotifyError, Unreachable, Unreadable
from notify.feedback.incoming import Mail, take
from notify.feedback.record import distinct, record
from notify.model import Event
from notify.store import Connection, events, hooks
from notify.store.hooks import Posted, Read, Waiting
from notify.store.tenants import DEFAULT_ID
from notify.telemetry import emit

SLICE = 200
MOST_OCTETS = 8 * 1024 * 1024  # of the bodies that are read at a time
WAITS = (timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))
"""Between the tries of one that fails by no fault of its own; after the last of them it is rejected."""
TRIES = len(WAITS) + 1
SHORTEST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=15)
PATIENCE = timedelta(days=1)
"""So long one waits for a service that does not answer, half as long each time as it has waited already."""
LONGEST_PROBLEM = 500  # characters
OCTETS = "x-octets"  # a header of our own: how many a body had before it was cut


def receive(app: App, posted: Sequence[Posted]) -> int:
    """Store these deliveries, all or none; returns how many are new. Raises `Unreachable`."""
    with app.store.begin() as connection:
        return hooks.add(connection, posted)


def run(app: App, seconds: float) -> int:
    """Read what waits, each once, until nothing is left or `seconds` have passed; returns how many came to an end.

    One slice is read at least. Raises `Unreachable` when the database is away: what is stored stays, and the next call
    goes on there.
    """
    until = time.monotonic() + seconds
    known = _Known(readers(app.settings.sns_topics), openers())
    ended = 0
    while True:
        with app.store.read() as connection:
            found = hooks.waiting(connection, app.clock.now(), SLICE, MOST_OCTETS)
        if not found:
            return ended
        ended += _slice(app, known, found)
        if time.monotonic() >= until:
            return ended


@dataclass(frozen=True, slots=True)
class _Known:
    """Who can read what was stored, by name."""

    reporters: Mapping[str, Reporter]
    carriers: Mapping[str, Carrier]


def _slice(app: App, known: _Known, found: Sequence[Waiting]) -> int:
    """Read these; returns how many came to an end. Others are put off."""
    told: dict[UUID, list[Event]] = {}
    mails: dict[UUID, list[Mail]] = {}
    done: list[Read] = []
    troubles: dict[UUID, Exception] = {}
    for one in found:
        try:
            if one.posted.provider in known.carriers:
                mails[one.id] = [_mail(known.carriers[one.posted.provider], one)]
            else:
                told[one.id] = _told(known.reporters, one)
        except Unreadable as error:
            done.append(Read(one.id, reason=error.reason, problem=error.why[:LONGEST_PROBLEM]))
        except Exception as error:  # whatever it is, it must not keep the others waiting
            troubles[one.id] = error
    troubles |= _give(told, partial(record, app, DEFAULT_ID))
    spent = set[UUID]()
    for name in known.carriers:
        theirs = {one.id: mails[one.id] for one in found if one.id in mails and one.posted.provider == name}
        troubles |= _give(theirs, partial(_take, app, name, spent))
    done += [Read(id_, len(each)) for id_, each in (told | mails).items() if id_ not in troubles]
    now = app.clock.now()
    put_off: list[tuple[Waiting, int, datetime]] = []
    for one in found:
        if one.id in troubles:
            tries, until = _next(one, troubles[one.id], now)
            if until is None:
                done.append(Read(one.id, reason="failed", problem=_words(troubles[one.id])))
            else:
                put_off.append((one, tries, until))
    with app.store.begin() as connection:
        hooks.settle(connection, done, now)
        read = {id_: each for id_, each in told.items() if id_ not in troubles}
        hooks.empty(connection, spent | _silent(connection, read))
        for one, tries, until in put_off:
            hooks.put_off(connection, one.id, tries, _words(troubles[one.id]), until)
    _announce(found, done, troubles)
    return len(done)


def _next(one: Waiting, trouble: Exception, now: datetime) -> tuple[int, datetime | None]:
    """How many tries it has had, and when it is read again; None when it is given up."""
    if isinstance(trouble, Unreachable):  # no fault of ours either: that costs no try
        age = now - one.posted.received_at
        wait = min(max(age / 2, SHORTEST_WAIT), LONGEST_WAIT)
        return one.tries, now + wait if age < PATIENCE else None
    tries = one.tries + 1
    return tries, now + WAITS[one.tries] if tries < TRIES else None


def _told(known: Mapping[str, Reporter], one: Waiting) -> list[Event]:
    """What it tells, each event with the name of the delivery that told it. Raises what the reporter raises."""
    reporter = known.get(one.posted.provider)
    if reporter is None:
        raise Unreadable("unknown_provider", f"no reporter is called {one.posted.provider}")
    payload = _payload(one)
    if isinstance(reporter, Confirming) and reporter.confirm(payload):
        emit("hook.confirmed", provider=reporter.name)
        return []
    said = [require_named(event) for event in reporter.events(payload)]
    return [replace(event, detail={**event.detail, "payload": str(one.id)}) for event in said]


def _mail(carrier: Carrier, one: Waiting) -> Mail:
    """The mail that was handed over; its place is the delivery. Raises what the carrier raises."""
    mail = carrier.mail(_payload(one))
    return Mail(mail.octets, mail.size, one.posted.received_at, mail.envelope_to, str(one.id))


def _payload(one: Waiting) -> Payload:
    posted, headers = one.posted, one.posted.headers
    left_out = max(0, int(headers.get(OCTETS, "0")) - len(posted.body))
    return Payload(posted.payload_id, posted.body, headers.get("content-type", ""), posted.received_at, left_out)


def _silent(connection: Connection, told: Mapping[UUID, Sequence[Event]]) -> set[UUID]:
    """Those of these deliveries that no event came from: they told nothing, or only what another had told."""
    heard = events.payloads(connection, distinct(one for each in told.values() for one in each))
    return {id_ for id_ in told if str(id_) not in heard}


def _take(app: App, carrier: str, spent: set[UUID], mails: Sequence[Mail]) -> None:
    """Take these mails, and add to `spent` those that are no business of ours or came before: of these none is kept."""
    taken = take(app, f"hooks/{carrier}", mails)
    spent.update(map(UUID, taken.ignored | taken.repeated))


T = TypeVar("T")


def _give(told: Mapping[UUID, Sequence[T]], give: Callable[[Sequence[T]], object]) -> dict[UUID, Exception]:
    """Give all away in one transaction; when that fails, each by itself. Returns what failed. Raises `Unreachable`."""
    everything = [one for each in told.values() for one in each]
    if not everything:
        return {}
    try:
        give(everything)
    except Unreachable:
        raise
    except Exception as error:
        if len(told) == 1:
            return dict.fromkeys(told, error)
        failed: dict[UUID, Exception] = {}
        for id_, each in told.items():
            failed |= _give({id_: each}, give)
        return failed
    return {}


def _words(error: Exception) -> str:
    """What an operator may read: our own errors in words, of others the kind, for their texts may hold anything."""
    text = str(error).partition("\n")[0] if isinstance(error, NotifyError) else type(error).__name__
    return text[:LONGEST_PROBLEM]


def _announce(found: Sequence[Waiting], done: Sequence[Read], troubles: Mapping[UUID, Exception]) -> None:
    providers = {one.id: one.posted.provider for one in found}
    for one in done:
        if one.reason is not None:
            emit("hook.rejected", payload=one.id, provider=providers[one.id], reason=one.reason)
    for id_, error in troubles.items():
        emit("hook.failed", payload=id_, provider=providers[id_], error=_words(error))
