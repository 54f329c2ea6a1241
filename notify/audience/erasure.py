"""A person is erased: nothing goes out to them any more, nothing tells of them, and what they refused stays refused.

What waits for them is withdrawn first; then all else is one transaction. Where a worker has a message of theirs in
hand, it waits for that; what is written of such a message all the same, in the moment of the erasure, is taken out by
`mop_up`, which the hourly retention calls.
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
from notify.store import Connection, audit, forgetting, persons, tenants
from notify.store.persons import Person
from notify.store.text import line
from notify.telemetry import emit

LOOK_EVERY = 0.2  # seconds
RECENT = timedelta(days=2)


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
    when it has it still; then nothing was erased.
    """
    why = line("the reason to erase somebody", reason, NotFound)
    until = time.monotonic() + 2 * app.settings.lease_seconds
    pause, cancelled = threading.Event(), 0
    while True:
        with app.store.begin() as connection:
            tenant_id = tenants.tenant_id(connection, tenant)
            person = persons.find(connection, tenant_id, key, lock=True)
            if person is None:
                raise NotFound(f"no recipient {key!r:.80}; `notify recipients list` shows them")
            cancelled += forgetting.withdraw(connection, person, app.clock.now())
            held = forgetting.in_hand(connection, person)
            if not held:
                erased = _forget(app, connection, person, cancelled=cancelled, why=why, actor=actor)
                break
        if time.monotonic() > until:
            raise StillSending(
                f"{held:,} message(s) to this person are in a worker's hands; what waited was cancelled, but nothing "
                "was erased\nNext: run it again in a minute; `notify status` tells whether workers move."
            )
        pause.wait(LOOK_EVERY)  # what waited is withdrawn by now, and stays so
    emit("recipient.erased", recipient=erased.id, cancelled=cancelled, tombstones=erased.tombstones)
    return erased


def _forget(app: App, connection: Connection, person: Person, *, cancelled: int, why: str, actor: str) -> Erased:
    now = app.clock.now()
    buried = forgetting.bury_suppressions(connection, person, app.settings.secrets[0])
    forgetting.forget_keys(connection, person)
    emails = [folded for channel, folded in person.addresses if channel is Channel.EMAIL]
    forgetting.forget_words(connection, person, [leaving.event_of(app, folded) for folded in emails])
    forgetting.forget_what_was_sent(connection, person)
    forgetting.forget_mentions(connection, person)
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
