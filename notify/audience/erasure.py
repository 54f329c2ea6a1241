"""A person is erased: nothing goes out to them any more, nothing tells of them, and what they refused stays refused.

What waits for them is withdrawn first. Then what was kept of bounces and webhooks is looked through, and emptied where
it tells of them, slice by slice: nobody who writes waits for that, and an erasure that is broken off there goes on when
it is run again. All else is one transaction, and in it what has come meanwhile. Where a worker has a message of theirs
in hand, it waits for that, and then looks through what came; what is written of such a message all the same, in the
moment of the erasure, is taken out by `mop_up`, which the hourly retention calls.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from notify.app import App
from notify.audience import leaving
from notify.errors import NotFound, StillSending
from notify.model import Channel
from notify.store import Connection, audit, forgetting, kept_bodies, persons, tenants
from notify.store.kept_bodies import Search
from notify.store.persons import Person
from notify.store.text import line
from notify.telemetry import emit

LOOK_EVERY = 0.2  # seconds
RECENT = timedelta(days=2)
SEEN_AT_ONCE = 200  # kept bodies that are looked through in one transaction
FEW = 200
"""A round that found no more bodies than these was short, and fewer have come meanwhile: no other follows."""
ROUNDS = 5
"""So many at most: each finds what came during the one before, a fraction of it unless bodies come as fast as they are
looked through, some ten thousand a second. What has come since the last, and while a worker was waited for, is looked
through within the erasure, however much it is: nothing is missed, and whoever waits for its locks waits longer.
"""


@dataclass(frozen=True, slots=True)
class Erased:
    """Whom nobody knows any more. Messages were cancelled, suppressions became tombstones, audit rows anonymous.

    `segments` are the saved ones that have their key or an address: whoever wrote them is to write them anew.
    """

    id: UUID
    cancelled: int
    tombstones: int
    audit_rows: int
    segments: tuple[str, ...] = ()


def erase(app: App, key: str, *, reason: str, actor: str, tenant: str | None = None) -> Erased:
    """Forget the person with this key for good.

    Waits up to two leases for a worker that has one of their messages in hand. Raises `NotFound`, and `StillSending`
    when it has it still; then they are not erased, though what waited for them is cancelled, and kept bodies that tell
    of them may be emptied already. That stays so, and the erasure goes on from there when it is run again.
    """
    why = line("the reason to erase somebody", reason, NotFound)
    patience = 2 * app.settings.lease_seconds
    until = time.monotonic() + patience
    pause, cancelled = threading.Event(), 0
    search: Search | None = None
    searched = False  # just now
    while True:
        with app.store.begin() as connection:
            tenant_id = tenants.tenant_id(connection, tenant)
            person = persons.find(connection, tenant_id, key, lock=True)
            if person is None:
                raise NotFound(f"no recipient {key!r:.80}; `notify recipients list` shows them")
            cancelled += forgetting.withdraw(connection, person, app.clock.now())
            held = forgetting.in_hand(connection, person)
            if search is not None and not search.covers(person):
                search = None
            if not held and search is not None and searched:
                erased = _forget(app, connection, person, search, cancelled=cancelled, why=why, actor=actor)
                break
        if not held:
            begun = time.monotonic()
            search, searched = _searched(app, person, search), True
            until += time.monotonic() - begun
            continue
        if time.monotonic() > until:
            raise StillSending(
                f"{held:,} message(s) to this person are in a worker's hands; what waited was cancelled, but they are "
                "not erased\nNext: run it again in a minute; `notify status` tells whether workers move."
            )
        searched = False
        pause.wait(LOOK_EVERY)  # what waited is withdrawn by now, and stays so
    emit("recipient.erased", recipient=erased.id, cancelled=cancelled, tombstones=erased.tombstones)
    return erased


def _searched(app: App, person: Person, search: Search | None) -> Search:
    """Look through all that is kept, and empty what tells of them; what comes meanwhile in further rounds.

    A search that was begun goes on.
    """
    if search is None:
        with app.store.read() as connection:
            search = Search.of(connection, person)
    for _ in range(ROUNDS):
        with app.store.read() as connection:
            unseen = search.unseen(connection)
        for start in range(0, len(unseen), SEEN_AT_ONCE):
            with app.store.read() as connection:
                search.look(connection, unseen[start : start + SEEN_AT_ONCE])
        while search.left:
            with app.store.begin() as connection:
                search.empty(connection)
        if len(unseen) < FEW:
            break
    return search


def _forget(
    app: App, connection: Connection, person: Person, search: Search, *, cancelled: int, why: str, actor: str
) -> Erased:
    now = app.clock.now()
    buried = forgetting.bury_suppressions(connection, person, app.settings.secrets[0])
    forgetting.forget_keys(connection, person)
    emails = [folded for channel, folded in person.addresses if channel is Channel.EMAIL]
    forgetting.forget_words(connection, person, [leaving.event_of(app, folded) for folded in emails])
    forgetting.forget_what_was_sent(connection, person)
    kept_bodies.forget(connection, search)
    forgetting.forget_person(connection, person, now, actor=actor, reason=why)
    with audit.door(connection, person.tenant_id, now):
        anonymous = forgetting.anonymise_audit(connection, person)
    detail = {"reason": why, "cancelled": cancelled, "tombstones": buried, "audit_rows": anonymous}
    audit.write(
        connection,
        person.tenant_id,
        actor=actor,
        action="recipients.erase",
        subject=person.anonymous,
        detail=detail,
        at=now,
    )
    return Erased(person.id, cancelled, buried, anonymous, tuple(persons.segments_naming(connection, person)))


def mop_up(app: App) -> int:
    """Take out what was written of people while they were erased; returns how many were looked after."""
    with app.store.begin() as connection:
        lately = forgetting.erased_since(connection, app.clock.now() - RECENT)
        for person in lately:
            forgetting.withdraw(connection, person, app.clock.now())
            forgetting.forget_what_was_sent(connection, person)
    return len(lately)
