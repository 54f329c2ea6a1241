"""What came back of messages: rows that are only ever added, each known by its provider's own name of the event.

One whose message is not known, or was not recorded as sent yet, is parked: `look_at` says when to look again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import BounceClass, Event, EventType, MessageState
from notify.store import bulk
from notify.store.dialect import any_of
from notify.store.owners import Owner
from notify.store.tables import events, messages, tenants


@dataclass(frozen=True, slots=True)
class Happened:
    """One event: what, when, who told of it, and for a bounce whose fault it was."""

    type: EventType
    at: datetime
    provider: str
    bounce: BounceClass | None
    status: str | None
    diagnostic: str | None
    bot: bool


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it is stored, with the message that it is of, if that is known."""

    event: Event
    owner: Owner | None
    received_at: datetime
    id: UUID = field(default_factory=uuid7)
    known: bool = False
    """Whether its message was known before: what follows from it was done then."""
    looks: int = 0
    """How often its message was looked for."""


def of_message(connection: sa.Connection, message_id: UUID) -> list[Happened]:
    """What happened to this message after its hand-over, in the order of time."""
    fields = (events.c[name] for name in ("type", "at", "provider", "bounce", "status", "diagnostic", "bot"))
    rows = connection.execute(
        sa.select(*fields).where(events.c.message_id == message_id).order_by(events.c.at, events.c.id)
    )
    return [
        Happened(EventType(type_), at, provider, BounceClass(bounce) if bounce else None, status, diagnostic, bool(bot))
        for type_, at, provider, bounce, status, diagnostic, bot in rows
    ]


def insert(connection: sa.Connection, tenant_id: UUID, told: Sequence[Told], look_at: datetime) -> list[Told]:
    """Store these, each once; returns those that were not known. Of `tenant_id` are those whose message is not known.

    They are written in the order of their names: two callers with the same events must not wait for each other in a
    circle.
    """
    already = _already(connection, tenant_id, told)
    fresh = sorted((one for one in told if _name(one.event) not in already), key=lambda one: _name(one.event))
    if not fresh:
        return []
    rows = [_row(one, tenant_id, look_at) for one in fresh]
    columns: dict[str, bulk.Column] = {name: [row[name] for row in rows] for name in rows[0]}
    if bulk.insert_new(connection, events, columns) == len(fresh):
        return fresh
    mine = any_of(connection, events.c.id, [one.id for one in fresh])  # another caller was quicker with some
    made = set(connection.scalars(sa.select(events.c.id).where(mine)))
    return [one for one in fresh if one.id in made]


def payloads(connection: sa.Connection, told: Sequence[Event]) -> set[str]:
    """The deliveries that first told these events, as `detail` names them."""
    if not told:
        return set()
    chosen = sa.select(events.c.detail["payload"].as_string()).where(
        events.c.tenant_id.in_(sa.select(tenants.c.id)),  # whoever's: their index begins with it
        any_of(connection, events.c.provider, list({one.provider for one in told})),
        any_of(connection, events.c.provider_event_id, list({one.provider_event_id for one in told})),
    )
    return {one for one in connection.scalars(chosen) if one is not None}


def _already(connection: sa.Connection, tenant_id: UUID, told: Sequence[Told]) -> set[tuple[str, str]]:
    """Those that are stored, under this tenant or under that of their message."""
    tenants = {tenant_id, *(one.owner.tenant_id for one in told if one.owner)}
    names = {one.event.provider_event_id for one in told}
    if not names:
        return set()
    chosen = sa.select(events.c.provider, events.c.provider_event_id).where(
        any_of(connection, events.c.tenant_id, list(tenants)),
        any_of(connection, events.c.provider, list({one.event.provider for one in told})),
        any_of(connection, events.c.provider_event_id, list(names)),
    )
    return {(provider, name) for provider, name in connection.execute(chosen)}


def lock_fed(
    connection: sa.Connection, ids: Collection[UUID], states: Collection[MessageState]
) -> dict[UUID, MessageState]:
    """Those of these messages that are in one of these states, locked in the order of their ids.

    None that a worker holds is waited for.
    """
    if not ids:
        return {}
    wanted = (any_of(connection, messages.c.id, list(ids)), messages.c.state.in_(list(states)))
    chosen = sa.select(messages.c.id, messages.c.state).where(*wanted).order_by(messages.c.id).with_for_update()
    return {id_: MessageState(state) for id_, state in connection.execute(chosen)}


def parked(
    connection: sa.Connection, now: datetime, limit: int, only: UUID | None = None
) -> list[tuple[UUID, UUID | None, Told]]:
    """Those to look at again, for this transaction alone: each with its tenant and, if it is known, its message."""
    wanted = [events.c.look_at <= now, *([] if only is None else [events.c.id == only])]
    chosen = sa.select(events).where(*wanted).order_by(events.c.look_at).limit(limit)
    rows = connection.execute(chosen.with_for_update(skip_locked=True))
    return [(row.tenant_id, row.message_id, _told(row)) for row in rows]


def bring_forward(connection: sa.Connection, after: datetime, now: datetime) -> None:
    """What was to be looked at after that moment is to be looked at now."""
    connection.execute(sa.update(events).where(events.c.look_at > after).values(look_at=now))


def park(connection: sa.Connection, until: Mapping[UUID, datetime | None]) -> None:
    """These were looked at, and when they are looked at again; None: never."""
    alike: dict[datetime | None, list[UUID]] = defaultdict(list)
    for id_, moment in until.items():
        alike[moment].append(id_)
    for moment, ids in alike.items():
        said = {"look_at": moment, "looks": events.c.looks + 1}
        connection.execute(sa.update(events).where(any_of(connection, events.c.id, ids)).values(said))


def forget(connection: sa.Connection, ids: Collection[UUID]) -> None:
    """Of these, that they happened is kept, and not to whom."""
    if ids:
        nobody: dict[str, Any] = {"address": None, "diagnostic": None, "detail": {}}
        connection.execute(sa.update(events).where(any_of(connection, events.c.id, list(ids))).values(nobody))


def adopt(connection: sa.Connection, told: Sequence[Told]) -> None:
    """The message of these is known now. A tenant that was told the same event keeps it once.

    In the order of their names, as they are inserted by others.
    """
    twin = events.alias("twin")
    for one in sorted(told, key=lambda one: _name(one.event)):
        if one.owner is None:
            continue
        taken = sa.exists().where(
            twin.c.tenant_id == one.owner.tenant_id,
            twin.c.provider == one.event.provider,
            twin.c.provider_event_id == one.event.provider_event_id,
            twin.c.id != one.id,
        )
        values = {"message_id": one.owner.id, "recipient_id": one.owner.recipient_id}
        mine = events.c.id == one.id
        connection.execute(sa.update(events).where(mine).values(values))
        moved = sa.update(events).where(mine, sa.not_(taken)).values(tenant_id=one.owner.tenant_id)
        connection.execute(moved)


def _name(event: Event) -> tuple[str, str]:
    return event.provider, event.provider_event_id


def _row(one: Told, tenant_id: UUID, look_at: datetime) -> dict[str, Any]:
    event, owner = one.event, one.owner
    return {
        "id": one.id,
        "tenant_id": owner.tenant_id if owner else tenant_id,
        "message_id": owner.id if owner else None,
        "recipient_id": owner.recipient_id if owner else None,
        "type": event.type,
        "bounce": event.bounce,
        "provider": event.provider,
        "provider_event_id": event.provider_event_id,
        "address": event.address,
        "status": event.status,
        "diagnostic": event.diagnostic,
        "bot": event.bot,
        "detail": dict(event.detail),
        "at": event.at,
        "received_at": one.received_at,
        "claimed_id": event.message_id,
        "header_id": event.header_id,
        "provider_message_id": event.provider_message_id,
        "look_at": None if owner else look_at,
    }


def _told(row: Any) -> Told:
    return Told(_event(row), None, row.received_at, row.id, row.message_id is not None, row.looks)


def _event(row: Any) -> Event:
    return Event(
        type=EventType(row.type),
        at=row.at,
        provider=row.provider,
        provider_event_id=row.provider_event_id,
        message_id=row.message_id or row.claimed_id,
        header_id=row.header_id,
        provider_message_id=row.provider_message_id,
        address=row.address,
        bounce=BounceClass(row.bounce) if row.bounce else None,
        status=row.status,
        diagnostic=row.diagnostic,
        bot=bool(row.bot),
        detail=row.detail,
    )
