"""What a person told, or what was told to them, is taken out of every row that has it; counts and times stay.

Each function is a step of an erasure, and harmless when it is done again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import FanOutState, MessageState
from notify.store import hooks, incoming, suppressions
from notify.store.persons import THEIRS, Person, messages_of, notifications_of
from notify.store.tables import (
    addresses,
    attachments,
    attempts,
    audit,
    consents,
    consequences,
    conversions,
    dead_letters,
    events,
    fan_outs,
    incoming_mails,
    kept_mails,
    messages,
    notifications,
    recipient_changes,
    recipients,
    soft_bounces,
    tracked_links,
)

ERASED = "erased"
RULE = "the person was erased"
GONE = "[erased]"
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def withdraw(connection: sa.Connection, person: Person, now: datetime) -> int:
    """Nothing that waits for them goes out; returns how many messages that were."""
    waiting = (messages.c.recipient_id == person.id, messages.c.state == MessageState.QUEUED)
    values = {"state": MessageState.CANCELLED, "reason": ERASED, "rule": RULE, "updated_at": now}
    return connection.execute(sa.update(messages).where(*waiting).values(values)).rowcount


def in_hand(connection: sa.Connection, person: Person) -> int:
    """How many of their messages a worker has at this moment."""
    held = (messages.c.recipient_id == person.id, messages.c.state == MessageState.SENDING)
    return connection.scalar(sa.select(sa.func.count()).select_from(messages).where(*held)) or 0


def forget_what_was_sent(connection: sa.Connection, person: Person) -> None:
    """Messages, attempts, mails, links, what came back and followed, dead letters; data of what only they got."""
    theirs, alone = messages_of(person), notifications_of(person, alone=True)
    connection.execute(sa.delete(kept_mails).where(kept_mails.c.message_id.in_(theirs)))
    connection.execute(sa.delete(attachments).where(attachments.c.notification_id.in_(alone)))
    for table in (soft_bounces, tracked_links, conversions):
        connection.execute(sa.delete(table).where(THEIRS[table](person, ())))
    _empty_payloads(connection, person)
    for table, where, values in (
        (incoming_mails, THEIRS[incoming_mails](person, ()), incoming.NO_WORDS),
        (attempts, attempts.c.message_id.in_(theirs), {"subject": None, "response": None, "passed_over": None}),
        (dead_letters, dead_letters.c.message_id.in_(theirs), {"detail": None, "payload": None}),
        (events, THEIRS[events](person, ()), {"address": None, "diagnostic": None, "detail": {}}),
        (consequences, THEIRS[consequences](person, ()), {"address": None, "detail": None}),
        (
            notifications,
            notifications.c.id.in_(alone),
            {"data": {}, "correlation_id": None, "cancellation_key": None, "request_hash": ERASED},
        ),
        (messages, messages.c.recipient_id == person.id, {"address": None, "data": sa.null(), "rule": RULE}),
    ):
        connection.execute(sa.update(table).where(where).values(values))


def _empty_payloads(connection: sa.Connection, person: Person) -> None:
    """What was posted of them, and of others with them, was read into events and mails long ago."""
    told = connection.scalars(sa.select(events.c.detail["payload"].as_string()).where(THEIRS[events](person, ())))
    carried = connection.scalars(sa.select(incoming_mails.c.place).where(THEIRS[incoming_mails](person, ())))
    hooks.empty(connection, [UUID(one) for one in {*told, *carried} if one is not None and _ID.fullmatch(one)])


def forget_keys(connection: sa.Connection, person: Person) -> None:
    """The application's own keys of what only they got, where these name them; and where a fan-out stands."""
    alone = notifications.c.id.in_(notifications_of(person, alone=True))
    named = sa.select(notifications.c.id, notifications.c.idempotency_key).where(
        alone, notifications.c.idempotency_key.is_not(None)
    )
    for id_, key in connection.execute(named).all():
        if person.names.search(key):
            connection.execute(
                sa.update(notifications).where(notifications.c.id == id_).values(idempotency_key=f"erased:{id_}")
            )
    done = (
        fan_outs.c.tenant_id == person.tenant_id,
        fan_outs.c.cursor == person.key,
        fan_outs.c.state != FanOutState.PLANNING,
    )
    connection.execute(sa.update(fan_outs).where(*done).values(cursor=""))


def forget_words(connection: sa.Connection, person: Person, named: Collection[str]) -> None:
    """What was said by links that name an address alone, and not the person: `named` are these links' events."""
    said = events.c.tenant_id == person.tenant_id, events.c.provider_event_id.in_(named)
    connection.execute(sa.update(events).where(*said).values(detail={"scopes": {}}))


def forget_person(connection: sa.Connection, person: Person, now: datetime, *, actor: str, reason: str) -> None:
    """The recipient, the addresses, the history, and what proved their consent; the chain of consents still holds."""
    connection.execute(sa.delete(addresses).where(addresses.c.recipient_id == person.id))
    connection.execute(sa.delete(recipient_changes).where(recipient_changes.c.recipient_id == person.id))
    change = {"actor": actor, "source": ERASED, "reason": reason, "changes": {ERASED: [False, True]}}
    row = {"id": uuid7(), "tenant_id": person.tenant_id, "recipient_id": person.id, "at": now}
    connection.execute(sa.insert(recipient_changes), {**row, **change})
    connection.execute(sa.update(consents).where(consents.c.recipient_id == person.id).values(proof=sa.null()))
    nothing: dict[str, Any] = {"locale": None, "timezone": None, "attributes": {}, "preferences": {}}
    marks = {"key": person.anonymous, "updated_at": now, "deactivated_at": now, "erased_at": now}
    connection.execute(
        sa.update(recipients).where(recipients.c.id == person.id).values(**nothing, **marks, tags=[], overrides=[])
    )


def bury_suppressions(connection: sa.Connection, person: Person, secret: str) -> int:
    """Tombstones in the place of their addresses; returns how many suppressions there were."""
    return sum(
        suppressions.bury(connection, person.tenant_id, channel, folded, secret)
        for channel, folded in sorted(person.addresses)
    )


def anonymise_audit(connection: sa.Connection, person: Person) -> int:
    """What was done stays on record, but not to whom; the door of the audit is open. Returns how many rows."""
    found = connection.execute(sa.select(audit).where(THEIRS[audit](person, ()))).all()
    for row in found:
        subject = _anonymous(person, row.subject)
        theirs = subject != row.subject or subject == str(person.id)
        values = {
            "actor": _anonymous(person, row.actor),
            "subject": subject,
            # what was done to them may hold any of their words; where they are only named among others, the rest stays
            "detail": {ERASED: True} if theirs else _redacted(person, row.detail),
        }
        connection.execute(sa.update(audit).where(audit.c.id == row.id).values(values))
    return len(found)


def erased_since(connection: sa.Connection, since: datetime) -> list[Person]:
    """Those erased lately, known by nothing but their id."""
    rows = connection.execute(
        sa.select(recipients.c.tenant_id, recipients.c.id, recipients.c.key).where(recipients.c.erased_at >= since)
    )
    return [Person(row.tenant_id, row.id, row.key, frozenset()) for row in rows]


def _anonymous(person: Person, text: str) -> str:
    if text == person.key:
        return person.anonymous
    if text.endswith(f":{person.key}"):
        return text.removesuffix(person.key) + person.anonymous
    for _channel, folded in person.addresses:
        text = re.sub(re.escape(folded), GONE, text, flags=re.IGNORECASE)
    return text


def _redacted(person: Person, value: Any) -> Any:
    if isinstance(value, str):
        return _anonymous(person, value)
    if isinstance(value, Mapping):
        return {_anonymous(person, name): _redacted(person, item) for name, item in value.items()}
    if isinstance(value, list):
        return [_redacted(person, item) for item in value]
    return value
