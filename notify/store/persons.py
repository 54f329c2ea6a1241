"""Every row that tells of one person, table by table: what an export shows and an erasure forgets.

`THEIRS` and `NOBODYS` together name every table; a test says so of a new one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import ERASED_KEY, Address, Channel, IncomingState
from notify.store import tables, tombstones
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
    incoming_mails,
    kept_mails,
    messages,
    notifications,
    recipient_changes,
    recipients,
    segments,
    soft_bounces,
    suppressions,
    tracked_links,
)


@dataclass(frozen=True, slots=True)
class Person:
    """Whose rows are meant: by id, by key, and by every address that they have or had, folded."""

    tenant_id: UUID
    id: UUID
    key: str
    addresses: frozenset[tuple[Channel, str]]

    @property
    def anonymous(self) -> str:
        """What stands in the place of the key once they are erased."""
        return f"{ERASED_KEY}{self.id}"

    @property
    def names(self) -> re.Pattern[str]:
        """Finds the key, as a word of its own, and the addresses."""
        words = [rf"(?<![A-Za-z0-9]){re.escape(self.key)}(?![A-Za-z0-9])"]
        words += [re.escape(folded) for _, folded in sorted(self.addresses)]
        return re.compile("|".join(words), re.IGNORECASE)


def find(connection: sa.Connection, tenant_id: UUID, key: str, *, lock: bool = False) -> Person | None:
    """The person with this key; None when there is none. With `lock`, no message is planned for them meanwhile."""
    chosen = sa.select(recipients.c.id).where(recipients.c.tenant_id == tenant_id, recipients.c.key == key)
    id_ = connection.scalar(chosen.with_for_update() if lock else chosen)
    if id_ is None:
        return None
    reached = (
        sa.select(addresses.c.channel, addresses.c.value).where(addresses.c.recipient_id == id_),
        sa.select(messages.c.channel, messages.c.address).where(messages.c.recipient_id == id_).distinct(),
    )
    found = {(channel, value) for one in reached for channel, value in connection.execute(one) if value is not None}
    history = sa.select(recipient_changes.c.changes).where(recipient_changes.c.recipient_id == id_)
    for changes in connection.scalars(history):
        found |= {(channel, value) for field, pair in changes.items() for channel, value in _reached(field, pair)}
    folded = {(Channel(channel), Address(Channel(channel), value).folded) for channel, value in found}
    return Person(tenant_id, id_, key, frozenset(folded))


def _reached(field: str, pair: Any) -> Iterator[tuple[str, str]]:
    """The addresses of a change: the primary one of a channel stands alone, the others in a list."""
    channel = field.removesuffix(".others")
    if channel not in list(Channel) or not isinstance(pair, list):
        return
    for side in pair:
        for value in side if isinstance(side, list) else [side]:
            if isinstance(value, str):
                yield channel, value


def segments_naming(connection: sa.Connection, person: Person) -> list[str]:
    """The names of the saved segments whose expression has their key or an address of theirs, in order."""
    saved = sa.select(segments.c.name, segments.c.expression).where(segments.c.tenant_id == person.tenant_id)
    rows = connection.execute(saved.order_by(segments.c.name))
    return [name for name, expression in rows if person.names.search(expression)]


def messages_of(person: Person) -> sa.ScalarSelect[Any]:
    """The ids of their messages."""
    return sa.select(messages.c.id).where(messages.c.recipient_id == person.id).scalar_subquery()


def notifications_of(person: Person, *, alone: bool = False) -> sa.ScalarSelect[Any]:
    """The ids of the notifications that they got; `alone`: and nobody else."""
    chosen = sa.select(messages.c.notification_id).where(messages.c.recipient_id == person.id)
    if alone:
        others = messages.alias("others")
        shared = sa.exists().where(
            others.c.notification_id == messages.c.notification_id, others.c.recipient_id != person.id
        )
        many = sa.exists().where(tables.fan_outs.c.notification_id == messages.c.notification_id)
        chosen = chosen.where(sa.not_(shared), sa.not_(many))
    return chosen.scalar_subquery()


def _suppressions(person: Person, secrets: Sequence[str]) -> sa.ColumnElement[bool]:
    named = [
        sa.and_(
            suppressions.c.channel == channel,
            suppressions.c.address.in_([folded, *tombstones.all_of(secrets, channel, folded)]),
        )
        for channel, folded in sorted(person.addresses)
    ]
    return sa.and_(suppressions.c.tenant_id == person.tenant_id, sa.or_(sa.false(), *named))


def _events(person: Person, _: Sequence[str]) -> sa.ColumnElement[bool]:
    loose = sa.and_(
        events.c.tenant_id == person.tenant_id,
        events.c.message_id.is_(None),
        events.c.recipient_id.is_(None),
        sa.func.lower(events.c.address).in_(sorted(folded for _, folded in person.addresses)),
    )
    return sa.or_(events.c.recipient_id == person.id, events.c.message_id.in_(messages_of(person)), loose)


def _consequences(person: Person, _: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.or_(consequences.c.recipient_id == person.id, _at_theirs(consequences, person))


def _incoming_mails(person: Person, _: Sequence[str]) -> sa.ColumnElement[bool]:
    """What came back of their messages; and what is nobody's, or not believed, from or about their address."""
    named = [incoming_mails.c.recipient_id == person.id, incoming_mails.c.message_id.in_(messages_of(person))]
    doubtful = sa.or_(incoming_mails.c.message_id.is_(None), incoming_mails.c.state != IncomingState.MATCHED)
    report = sa.func.lower(sa.cast(incoming_mails.c.report, sa.Text))
    sender = sa.func.lower(incoming_mails.c.sender)
    for _channel, folded in sorted(person.addresses):
        # with its quotation marks it is a whole value of the report: not the end of another, nor a word of a server
        told = {json.dumps(folded, ensure_ascii=plain) for plain in (True, False)}
        loose = [report.contains(one, autoescape=True) for one in sorted(told)]
        loose += [sender == folded, sender.contains(f"<{folded}>", autoescape=True)]
        named.append(sa.and_(doubtful, sa.or_(*loose)))
    return sa.or_(*named)


def _soft_bounces(person: Person, _: Sequence[str]) -> sa.ColumnElement[bool]:
    return _at_theirs(soft_bounces, person)


def _at_theirs(table: sa.Table, person: Person) -> sa.ColumnElement[bool]:
    """Rows of one of their addresses."""
    named = [sa.and_(table.c.channel == channel, table.c.address == folded) for channel, folded in person.addresses]
    return sa.and_(table.c.tenant_id == person.tenant_id, sa.or_(sa.false(), *named))


def _audit(person: Person, _: Sequence[str]) -> sa.ColumnElement[bool]:
    """Rows whose subject or actor they are, and those that name them or an address of theirs."""
    detail = sa.func.lower(sa.cast(audit.c.detail, sa.Text))
    told = {json.dumps(person.key, ensure_ascii=plain) for plain in (True, False)}
    for _channel, folded in person.addresses:
        told |= {json.dumps(folded, ensure_ascii=plain).strip('"') for plain in (True, False)}
    named = [detail.contains(one.lower(), autoescape=True) for one in sorted(told)]
    for column in (audit.c.subject, audit.c.actor):
        for name in (person.key, str(person.id)):
            named += [column == name, column.endswith(f":{name}", autoescape=True)]
        named += [
            sa.func.lower(column).contains(folded, autoescape=True) for _channel, folded in sorted(person.addresses)
        ]
    return sa.and_(audit.c.tenant_id == person.tenant_id, sa.or_(*named))


Where = Callable[[Person, Sequence[str]], sa.ColumnElement[bool]]

THEIRS: dict[sa.Table, Where] = {
    recipients: lambda person, _: recipients.c.id == person.id,
    addresses: lambda person, _: addresses.c.recipient_id == person.id,
    recipient_changes: lambda person, _: recipient_changes.c.recipient_id == person.id,
    suppressions: _suppressions,
    consents: lambda person, _: consents.c.recipient_id == person.id,
    notifications: lambda person, _: notifications.c.id.in_(notifications_of(person)),
    attachments: lambda person, _: attachments.c.notification_id.in_(notifications_of(person)),
    messages: lambda person, _: messages.c.recipient_id == person.id,
    attempts: lambda person, _: attempts.c.message_id.in_(messages_of(person)),
    kept_mails: lambda person, _: kept_mails.c.message_id.in_(messages_of(person)),
    dead_letters: lambda person, _: dead_letters.c.message_id.in_(messages_of(person)),
    events: _events,
    consequences: _consequences,
    soft_bounces: _soft_bounces,
    incoming_mails: _incoming_mails,
    tracked_links: lambda person, _: tracked_links.c.recipient_id == person.id,
    conversions: lambda person, _: conversions.c.recipient_id == person.id,
    audit: _audit,
}
"""Which rows of a table tell of a person."""

NOBODYS = {
    "tenants": "whose installation it is",
    "segments": "conditions on many, which an operator wrote; those that name the person are listed",
    "batches": "ids, times and counts",
    "fan_outs": "conditions, until the planning is over, and counts; the key at which it stands is emptied when theirs",
    "replays": "which dead letters are meant",
    "provider_pauses": "what a provider said of its sender",
    "hook_payloads": "what providers posted, of many at once; emptied when it tells of somebody who is erased",
    "guard_holds": "rates and counts",
    "mailboxes": "how far each was read",
    "alerts": "the state of the installation",
    "schedule_claims": "which ticks were done",
    "workers": "processes",
}
"""Tables that tell of nobody, and what they tell."""


def rows(connection: sa.Connection, person: Person, secrets: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row that tells of them, with the name of its table."""
    for table, where in THEIRS.items():
        for row in connection.execute(sa.select(table).where(where(person, secrets)).order_by(*table.primary_key)):
            yield table.name, dict(row._mapping)
